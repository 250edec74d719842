package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/lntpay/lntpay/payments"
)

// serviceName is what a name may be: it becomes a part of caveats, where
// comma, colon and equals sign have a meaning, and a label of metrics.
var serviceName = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z`)

// A token lives as long as its invoice can be paid, at least; more than ten years
// is a mistake of the unit.
const (
	minLifetimeS = 60
	maxLifetimeS = 10 * 366 * 24 * 3600
)

// faults collects what is wrong with the settings.
type faults []error

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

// check refuses what contradicts itself, all faults at once.
func (c *Config) check() error {
	var f faults
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		f.add("log_level: %q is not debug, info, warn or error", c.LogLevel)
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		f.add("tls_cert_file and tls_key_file go together")
	}
	if _, err := parseNetworks(c.TrustedProxies); err != nil {
		f.add("trusted_proxies: %w", err)
	}
	c.Limits.check(&f)
	if len(c.Services) == 0 {
		f.add("services: there is none")
	}
	names := map[string]bool{}
	for i, service := range c.Services {
		path := fmt.Sprintf("services[%d]", i)
		if service.Name != "" {
			path = fmt.Sprintf("services[%d] (%s)", i, service.Name)
		}
		service.check(&f, path)
		if names[service.Name] {
			f.add("%s.name: another service has this name", path)
		}
		names[service.Name] = true
		for j := range i {
			if c.Services[j].hides(service) {
				f.add("%s: no request comes here: services[%d] (%s) before it takes them all", path, j, c.Services[j].Name)
			}
		}
	}

	return errors.Join(f...)
}

// hides says whether a later service gets nothing, as far as the texts of the
// expressions show it.
func (s *Service) hides(later Service) bool {
	takes := func(wide, narrow string) bool {
		return wide == narrow || slices.Contains([]string{"", ".*", "^.*$", "/.*", "^/.*$"}, wide)
	}

	return takes(s.Host, later.Host) && takes(s.Path, later.Path)
}

func (l Limits) check(f *faults) {
	for _, limit := range []struct {
		name          string
		value, lowest int64
	}{
		{"connections", int64(l.Connections), 1},
		{"in_flight", int64(l.InFlight), 1},
		{"minting", int64(l.Minting), 1},
		{"uses", int64(l.Uses), 1},
		{"freebie_clients", int64(l.FreebieClients), 1},
		{"header_bytes", int64(l.HeaderBytes), 1024},
		{"path_bytes", int64(l.PathBytes), 1},
		{"request_bytes", l.RequestBytes, 0},
		{"response_bytes", l.ResponseBytes, 0},
		{"header_timeout_ms", int64(l.HeaderTimeoutMS), 1},
		{"idle_timeout_ms", int64(l.IdleTimeoutMS), 1},
		{"connect_timeout_ms", int64(l.ConnectTimeoutMS), 1},
		{"response_header_timeout_ms", int64(l.ResponseHeaderTimeoutMS), 0},
		{"request_timeout_ms", int64(l.RequestTimeoutMS), 0},
		{"shutdown_timeout_ms", int64(l.ShutdownTimeoutMS), 1},
	} {
		if limit.value < limit.lowest {
			f.add("limits.%s: %d is below %d", limit.name, limit.value, limit.lowest)
		}
	}
}

func (s *Service) check(f *faults, path string) {
	if !serviceName.MatchString(s.Name) {
		f.add("%s.name: %q is not 1 to 64 letters, digits, dots, hyphens and underscores", path, s.Name)
	}
	s.checkExpressions(f, path)
	if _, err := parseUpstream(s.Upstream); err != nil {
		f.add("%s.upstream: %w", path, err)
	}
	if !strings.HasPrefix(s.Upstream, "https:") && (s.TLSCAFile != "" || s.TLSServerName != "") {
		f.add("%s: tls_ca_file and tls_server_name need an https upstream", path)
	}
	for name, value := range s.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			f.add("%s.headers: %q is not a header", path, name)
		} else if ours(name) || slices.Contains([]string{"Host", "Connection", "Upgrade"}, textproto.CanonicalMIMEHeaderKey(name)) {
			f.add("%s.headers: %s is not yours to set", path, name)
		}
	}
	s.checkPrices(f, path)
	if s.Resource != resourcePath && s.Resource != resourceService {
		f.add("%s.resource: %q is not path or service", path, s.Resource)
	}
	if s.LifetimeS != 0 && (s.LifetimeS < minLifetimeS || s.LifetimeS > maxLifetimeS) {
		f.add("%s.lifetime_s: %d is not between %d and %d", path, s.LifetimeS, minLifetimeS, maxLifetimeS)
	}
	if s.Freebies < 0 {
		f.add("%s.freebies: %d is below 0", path, s.Freebies)
	}
	for _, capability := range s.Capabilities {
		if !serviceName.MatchString(capability) {
			f.add("%s.capabilities: %q is not letters, digits, dots, hyphens and underscores", path, capability)
		}
	}
}

func (s *Service) checkExpressions(f *faults, path string) {
	for name, expressions := range map[string][]string{
		"host": {s.Host}, "path": {s.Path}, "free": s.Free, "no_challenge": s.NoChallenge,
	} {
		for _, expression := range expressions {
			if _, err := compile(expression); err != nil {
				f.add("%s.%s: %w", path, name, err)
			}
			if expression == "" && (name == "free" || name == "no_challenge") {
				f.add("%s.%s: an empty expression", path, name)
			}
		}
	}
}

func (s *Service) checkPrices(f *faults, path string) {
	priced := s.PriceSats != nil || s.PriceMsat != nil
	if priced {
		if _, err := amount(s.PriceSats, s.PriceMsat); err != nil {
			f.add("%s: %w", path, err)
		}
	}
	for i, price := range s.Prices {
		at := fmt.Sprintf("%s.prices[%d]", path, i)
		if _, err := amount(price.PriceSats, price.PriceMsat); err != nil {
			f.add("%s: %w", at, err)
		}
		if _, err := compile(price.Path); err != nil {
			f.add("%s.path: %w", at, err)
		}
		if price.Method != "" && !knownMethod(price.Method) {
			f.add("%s.method: %q is not a method of HTTP, in capitals", at, price.Method)
		}
	}
	if len(s.NoChallenge) > 0 && s.Resource == resourcePath {
		f.add("%s.no_challenge: nobody could buy a token for these paths: it needs resource: service", path)
	}
	selling := priced || len(s.Prices) > 0
	switch {
	case s.Auth == authOn && !selling:
		f.add("%s: price_sats, price_msat or prices is required, or auth: off", path)
	case s.Auth == authOff && (selling || s.Once || s.Freebies > 0 || len(s.Free)+len(s.NoChallenge) > 0):
		f.add("%s: auth is off, which makes everything free: prices, free, no_challenge, freebies and once have no place", path)
	case s.Auth != authOn && s.Auth != authOff:
		f.add("%s.auth: %q is not on or off", path, s.Auth)
	}
}

func knownMethod(method string) bool {
	return slices.Contains([]string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}, method)
}

// amount reads a price: one of the two, positive, in millisatoshi.
func amount(sats, msat *int64) (int64, error) {
	switch {
	case (sats == nil) == (msat == nil):
		return 0, errors.New("one of price_sats and price_msat is required")
	case sats != nil && (*sats < 1 || *sats > int64(payments.MaxMsat/payments.MsatPerSat)):
		return 0, fmt.Errorf("price_sats: %d is not an amount", *sats)
	case sats != nil:
		return *sats * int64(payments.MsatPerSat), nil
	case *msat < 1 || *msat > int64(payments.MaxMsat):
		return 0, fmt.Errorf("price_msat: %d is not an amount", *msat)
	}

	return *msat, nil
}

// compile makes an expression that matches all of a text or nothing; nil if it
// is empty.
func compile(expression string) (*regexp.Regexp, error) {
	if expression == "" {
		return nil, nil //nolint:nilnil // No expression matches everything.
	}
	// By itself first: "a)(b" would be an expression within the brackets.
	if _, err := regexp.Compile(expression); err != nil {
		return nil, err
	}

	return regexp.Compile(`\A(?:` + expression + `)\z`)
}

// parseUpstream reads the address of an upstream.
func parseUpstream(text string) (*url.URL, error) {
	target, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not an address", text)
	}
	switch {
	case !slices.Contains([]string{"http", "https", schemeH2C}, target.Scheme) || target.Hostname() == "":
		return nil, fmt.Errorf("%q is not http://, https:// or h2c:// and a host", text)
	case target.User != nil || target.RawQuery != "" || target.ForceQuery || target.Fragment != "":
		return nil, errors.New("it has a user, a query or a fragment")
	case target.Path != "" && target.Path != "/" && unclear(target) != "":
		return nil, fmt.Errorf("its path has %s", unclear(target))
	}

	return target, nil
}

// parseNetworks reads addresses and networks in CIDR notation.
func parseNetworks(texts []string) ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			address, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("%q is not an address or a network", text)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		networks = append(networks, network.Masked())
	}

	return networks, nil
}
