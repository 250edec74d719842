package webhooks

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// maxURLLength bounds what is stored and sent in a request line.
const maxURLLength = 2048

// ErrURLNotAllowed says that a URL cannot be a webhook target. The texts of the
// errors that wrap it are written for the developer who chose the URL.
var ErrURLNotAllowed = errors.New("this URL cannot be a webhook target")

// Policy says which targets are allowed.
type Policy struct {
	// AllowPrivate opens loopback and RFC 1918 addresses and every port, for
	// development. It has no effect where Production is set.
	AllowPrivate bool
	// Production insists on https and port 443.
	Production bool
}

func (p Policy) private() bool { return p.AllowPrivate && !p.Production }

// hostPattern is deliberately narrow: a name that resolvers could read in
// different ways is refused.
var hostPattern = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)

// numberPattern matches a last label that old C resolvers read as a number, so
// that "127.1", "2130706433" and "0x7f000001" mean 127.0.0.1 to some.
var numberPattern = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)$`)

// CheckURL reports whether raw may be stored as an endpoint's target. It does
// not resolve names: what a name means is judged when it is dialled.
func CheckURL(raw string, p Policy) error {
	if len(raw) > maxURLLength {
		return refuse("it is longer than %d bytes", maxURLLength)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Host == "" {
		return refuse("it is not an absolute URL such as https://example.com/webhooks")
	}
	if strings.Contains(raw, " ") {
		return refuse("it contains a space (write %%20)")
	}
	if u.User != nil {
		return refuse("it contains a user name or password")
	}
	if u.Fragment != "" || strings.Contains(raw, "#") {
		return refuse("it contains a fragment (#)")
	}
	if err := checkScheme(u.Scheme, p); err != nil {
		return err
	}
	if err := checkPort(effectivePort(u), p); err != nil {
		return err
	}

	return checkHost(u, p)
}

func checkScheme(scheme string, p Policy) error {
	switch {
	case scheme == "https", scheme == "http" && !p.Production:
		return nil
	case p.Production:
		return refuse("it must use https")
	default:
		return refuse("it must use https or http")
	}
}

func effectivePort(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	if u.Scheme == "http" {
		return "80"
	}

	return "443"
}

func checkPort(port string, p Policy) error {
	switch {
	case port == "443", port == "80" && !p.Production, p.private() && port != "0":
		return nil
	case p.Production:
		return refuse("the port must be 443")
	default:
		return refuse("the port must be 443 or 80")
	}
}

func checkHost(u *url.URL, p Policy) error {
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		// A zone is a link of this host, which no receiver is beyond.
		if addr.Zone() != "" || !addressAllowed(addr, p.private()) {
			return refuse("its address is not on the public internet")
		}

		return nil
	}
	if len(host) > 253 || !hostPattern.MatchString(host) || numberPattern.MatchString(host) {
		return refuse("its host is not a valid name (write international names in punycode)")
	}
	if host == "metadata.google.internal" {
		return refuse("its host is not on the public internet")
	}
	if !p.private() && privateName(host) {
		return refuse("its host is not on the public internet")
	}

	return nil
}

// privateName reports whether a name cannot be a public one: single labels and
// the suffixes set aside for local use.
func privateName(host string) bool {
	if !strings.Contains(host, ".") {
		return true
	}
	for _, suffix := range []string{".localhost", ".local", ".internal", ".home.arpa"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}

	return false
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrURLNotAllowed}, args...)...)
}
