package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"regexp"
	"strings"
	"time"

	"github.com/lntpay/lntpay/sdk/go/gate"
)

// service is a Service that is ready to be used.
type service struct {
	Service

	host, path  *regexp.Regexp
	prices      []price
	priceMsat   int64 // 0 is none
	free        []*regexp.Regexp
	noChallenge []*regexp.Regexp
	freebies    *freebies
	// gate admits; silent is the same one without the means to make an invoice.
	// Both are nil with auth off.
	gate, silent *gate.Gate
	proxy        *httputil.ReverseProxy
}

// price is a Price that is ready to be used.
type price struct {
	method string
	path   *regexp.Regexp
	msat   int64
}

// newService compiles what check has found to be right; the gates and the proxy
// come on top.
func newService(cfg Service, limits Limits) (*service, error) {
	s := &service{Service: cfg}
	var err error
	if s.host, err = compile(cfg.Host); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	if s.path, err = compile(cfg.Path); err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	if s.free, err = compileAll(cfg.Free); err != nil {
		return nil, fmt.Errorf("free: %w", err)
	}
	if s.noChallenge, err = compileAll(cfg.NoChallenge); err != nil {
		return nil, fmt.Errorf("no_challenge: %w", err)
	}
	if cfg.PriceSats != nil || cfg.PriceMsat != nil {
		if s.priceMsat, err = amount(cfg.PriceSats, cfg.PriceMsat); err != nil {
			return nil, err
		}
	}
	for _, row := range cfg.Prices {
		p := price{method: row.Method}
		if p.path, err = compile(row.Path); err != nil {
			return nil, fmt.Errorf("prices: %w", err)
		}
		if p.msat, err = amount(row.PriceSats, row.PriceMsat); err != nil {
			return nil, fmt.Errorf("prices: %w", err)
		}
		s.prices = append(s.prices, p)
	}
	if cfg.Freebies > 0 {
		s.freebies = newFreebies(cfg.Freebies, limits.FreebieClients, time.Now)
	}

	return s, nil
}

func compileAll(expressions []string) ([]*regexp.Regexp, error) {
	var all []*regexp.Regexp
	for _, expression := range expressions {
		compiled, err := compile(expression)
		if err != nil {
			return nil, err
		}
		all = append(all, compiled)
	}

	return all, nil
}

// matches says whether an expression, if there is one, matches.
func matches(expression *regexp.Regexp, text string) bool {
	return expression == nil || expression.MatchString(text)
}

func anyMatches(expressions []*regexp.Regexp, text string) bool {
	for _, expression := range expressions {
		if expression.MatchString(text) {
			return true
		}
	}

	return false
}

// find is the service of a request, nil if there is none.
func find(services []*service, host, path string) *service {
	host = hostname(host)
	for _, s := range services {
		if matches(s.host, host) && matches(s.path, path) {
			return s
		}
	}

	return nil
}

// hostname is a Host header's name: without port or the dot of the root, in
// lower case.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}

	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// kind says what a request to a service is.
type kind int

const (
	kindPaid kind = iota
	// kindFree costs nothing.
	kindFree
	// kindUnsold has no price: nobody can have it.
	kindUnsold
)

func (s *service) judge(method, path string) kind {
	switch {
	case s.Auth == authOff || anyMatches(s.free, path):
		return kindFree
	case s.priceOf(method, path) == 0:
		return kindUnsold
	}

	return kindPaid
}

// priceOf is what a request costs in millisatoshi, 0 if it has no price.
func (s *service) priceOf(method, path string) int64 {
	for _, p := range s.prices {
		sameMethod := p.method == "" || p.method == method || (p.method == http.MethodGet && method == http.MethodHead)
		if sameMethod && matches(p.path, path) {
			return p.msat
		}
	}

	return s.priceMsat
}
