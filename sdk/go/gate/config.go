package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

// Charger makes charges. [*lntpay.Charges] is one.
type Charger interface {
	// Create makes a charge.
	Create(ctx context.Context, params lntpay.ChargeParams, options ...lntpay.WriteOption) (*lntpay.Charge, error)
}

// What fields of a [Config] that are zero stand for.
const (
	DefaultService    = "lntpay"
	DefaultLifetime   = time.Hour
	DefaultMaxMinting = 32
	DefaultMaxUses    = 1_000_000
)

// What LNTPay allows an invoice, and what it gets if nothing is said: not so
// long that unpaid ones fill the node.
const (
	minInvoiceExpiry   = time.Minute
	maxInvoiceExpiry   = 7 * 24 * time.Hour
	usualInvoiceExpiry = 10 * time.Minute
)

// Config says what a gate asks for.
type Config struct {
	// Charges makes the invoices. Required.
	Charges Charger
	// Key mints the tokens and verifies them. Required.
	Key l402.Key
	// OldKeys are still accepted and mint nothing.
	OldKeys []l402.Key
	// Service is whose tokens these are, 1 to 64 letters, digits, dots, dashes
	// and underscores; "lntpay" if empty. Gates with the same key and service take
	// each other's tokens, for the same resource.
	Service string
	// Price is what a request costs, in millisatoshi. Zero is free: the handler
	// runs without a token, which is right for the OPTIONS of browsers, and may be
	// for HEAD. It is asked again when the token comes, and one that has cost less
	// is refused. An error is answered 500. Required.
	Price func(*http.Request) (amountMsat int64, err error)
	// Resource is what a token opens; the method and the path that the client
	// asked for, without query, if nil.
	Resource func(*http.Request) string
	// Description is what the invoice says; the resource if nil.
	Description func(*http.Request) string
	// Metadata is added to the charge's, which has l402_service and
	// l402_resource: at most 48 pairs.
	Metadata func(*http.Request) map[string]string
	// Capabilities are those of new tokens: names like Service.
	Capabilities []string
	// Capability is the one of them that a request needs; none if nil or empty.
	Capability func(*http.Request) string
	// Lifetime is that of a token from when it is minted, which is when its
	// invoice is made; an hour if zero, and a minute at least.
	Lifetime time.Duration
	// InvoiceExpiry is how long an invoice can be paid: a minute to a week, and
	// not beyond Lifetime. If zero ten minutes, or half of Lifetime if that is less,
	// and a minute at least.
	InvoiceExpiry time.Duration
	// Once lets a token open one request only. It is used up when the handler
	// has begun to answer with anything below 500.
	Once bool
	// Uses remembers which tokens were used, with Once; [NewMemory] if nil. That
	// is right for one process, and forgets when it ends.
	Uses Uses
	// MaxMinting is how many charges may be in the making; 32 if zero. Past it
	// the answer is 503.
	MaxMinting int
	// Log is told of what goes wrong, never of tokens; slog.Default if nil.
	Log *slog.Logger
}

// Fixed is one price for all requests.
func Fixed(amountMsat int64) func(*http.Request) (int64, error) {
	return func(*http.Request) (int64, error) { return amountMsat, nil }
}

// Names stand in lists with commas and colons, and before an "=".
var name = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	c.OldKeys, c.Capabilities = slices.Clone(c.OldKeys), slices.Clone(c.Capabilities)
	if c.Service == "" {
		c.Service = DefaultService
	}
	if c.Lifetime == 0 {
		c.Lifetime = DefaultLifetime
	}
	if c.InvoiceExpiry == 0 {
		// Who pays at the last moment still has half of the token's time.
		c.InvoiceExpiry = max(minInvoiceExpiry, min(usualInvoiceExpiry, c.Lifetime/2))
	}
	if c.MaxMinting == 0 {
		c.MaxMinting = DefaultMaxMinting
	}
	if c.Once && c.Uses == nil {
		c.Uses = NewMemory(DefaultMaxUses)
	}
	if c.Resource == nil {
		c.Resource = methodAndPath
	}
	if c.Description == nil {
		c.Description = c.Resource
	}
	if c.Metadata == nil {
		c.Metadata = func(*http.Request) map[string]string { return nil }
	}
	if c.Capability == nil {
		c.Capability = func(*http.Request) string { return "" }
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}

	return c
}

// check says what is wrong with a configuration that has its defaults.
func (c Config) check() error {
	isNoName := func(text string) bool { return !name.MatchString(text) }
	switch {
	case c.Charges == nil:
		return errors.New("gate: Config.Charges is required")
	case c.Price == nil:
		return errors.New("gate: Config.Price is required")
	case slices.Contains(append(c.OldKeys, c.Key), l402.Key{}):
		return errors.New("gate: Config.Key is required, and a key must not be zero")
	case isNoName(c.Service):
		return fmt.Errorf("gate: Config.Service %q is not 1 to 64 letters, digits, dots, dashes and underscores", c.Service)
	case slices.ContainsFunc(c.Capabilities, isNoName):
		return errors.New("gate: Config.Capabilities are names like Service")
	case c.Lifetime < minInvoiceExpiry:
		return fmt.Errorf("gate: Config.Lifetime is less than %s, the least that an invoice can be paid", minInvoiceExpiry)
	case c.InvoiceExpiry < minInvoiceExpiry || c.InvoiceExpiry > maxInvoiceExpiry:
		return fmt.Errorf("gate: Config.InvoiceExpiry is not between %s and %s", minInvoiceExpiry, maxInvoiceExpiry)
	case c.InvoiceExpiry > c.Lifetime:
		return errors.New("gate: Config.InvoiceExpiry is beyond Lifetime: a token could be paid for that has ended")
	case c.MaxMinting < 0:
		return errors.New("gate: Config.MaxMinting is negative")
	}

	return nil
}

// methodAndPath is the path as the client asked for it. A mux that strips a
// prefix leaves RequestURI alone, and a token must not open what is below
// another prefix. It is not decoded or cleaned either: routers differ in what
// they make of it. Nor is it cut at "#", which net/http takes for a part of the
// path: a token for /a must not open what a handler finds as "/a#b".
func methodAndPath(r *http.Request) string {
	path := r.RequestURI
	if path == "" {
		path = r.URL.EscapedPath()
	}
	// First of all, since a query may have anything in it.
	path, _, _ = strings.Cut(path, "?")
	// The absolute form, which is meant for proxies.
	if scheme, rest, found := strings.Cut(path, "://"); found && !strings.Contains(scheme, "/") {
		_, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}

	return r.Method + " " + path
}
