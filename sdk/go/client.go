package lntpay

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Sat is one satoshi in millisatoshi.
const Sat int64 = 1000

// The environment variables that [New] and [Verify] read.
const (
	EnvAPIKey        = "LNTPAY_API_KEY"
	EnvBaseURL       = "LNTPAY_BASE_URL"
	EnvWebhookSecret = "LNTPAY_WEBHOOK_SECRET"
)

// What [Options] that are zero stand for.
const (
	DefaultTimeout    = 60 * time.Second
	DefaultTryTimeout = 20 * time.Second
	DefaultMaxRetries = 6
)

// Options say how a [Client] works. The zero value takes all from the
// environment and the defaults.
type Options struct {
	// APIKey is lnt_sandbox_… or lnt_production_…; LNTPAY_API_KEY if empty.
	APIKey string
	// BaseURL is where the API is, with or without /v1 at its end, such as
	// http://127.0.0.1:8080; LNTPAY_BASE_URL if empty. There is no default: the
	// backend is yours, and a key must not go to anybody else's by mistake.
	BaseURL string
	// HTTPClient sends the requests; one of the client's own if nil. Its Timeout
	// is not used, and redirects are not followed.
	HTTPClient *http.Client
	// Timeout is what a call may take in all, with its retries; a Wait's time
	// comes on top. A context may give a call less.
	Timeout time.Duration
	// TryTimeout is what one of a call's tries may take. It should be more than
	// the 10 s that the API waits for an answer that is on its way.
	TryTimeout time.Duration
	// MaxRetries is how often a call is repeated at most; none if negative.
	MaxRetries int
}

// Client calls the API. It may be used by many goroutines; make one and keep it.
type Client struct {
	// Charges are requests for money.
	Charges *Charges
	// L402 are tokens that are sold by a charge.
	L402 *L402
	// Withdrawals are payments of outside invoices.
	Withdrawals *Withdrawals
	// Ledger is what was booked, and what it adds up to.
	Ledger *Ledger
	// Keys are the API keys of the workspace.
	Keys *Keys
	// WebhookEndpoints are where events are delivered to.
	WebhookEndpoints *WebhookEndpoints
	// Deliveries are how that went.
	Deliveries *Deliveries
	// Events are what happened, in order.
	Events *Events
	// Sandbox has charges paid and invoices to withdraw to, with sandbox keys.
	Sandbox *SandboxService

	apiKey              string
	baseURL             string
	http                *http.Client
	timeout, tryTimeout time.Duration
	maxRetries          int
	backoff             backoff
	streamBackoff       backoff
	// streamIdle is how long a stream may be silent; the API sends a comment
	// every 15 s.
	streamIdle time.Duration
}

// New makes a client. It makes no call.
func New(options Options) (*Client, error) {
	apiKey := first(options.APIKey, os.Getenv(EnvAPIKey))
	if apiKey == "" {
		return nil, errors.New("lntpay: no API key: set Options.APIKey or " + EnvAPIKey)
	}
	if strings.ContainsFunc(apiKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("lntpay: the API key holds a space or what is not ASCII")
	}
	baseURL, err := parseBaseURL(first(options.BaseURL, os.Getenv(EnvBaseURL)))
	if err != nil {
		return nil, err
	}
	c := &Client{
		apiKey:        apiKey,
		baseURL:       baseURL,
		http:          httpClient(options.HTTPClient),
		timeout:       first(options.Timeout, DefaultTimeout),
		tryTimeout:    first(options.TryTimeout, DefaultTryTimeout),
		maxRetries:    max(0, first(options.MaxRetries, DefaultMaxRetries)),
		backoff:       backoff{first: 250 * time.Millisecond, most: 8 * time.Second},
		streamBackoff: backoff{first: time.Second, most: 30 * time.Second},
		streamIdle:    45 * time.Second,
	}
	c.Charges = &Charges{c}
	c.L402 = &L402{c}
	c.Withdrawals = &Withdrawals{c}
	c.Ledger = &Ledger{c}
	c.Keys = &Keys{c}
	c.WebhookEndpoints = &WebhookEndpoints{c}
	c.Deliveries = &Deliveries{c}
	c.Events = &Events{c}
	c.Sandbox = &SandboxService{c}

	return c, nil
}

// parseBaseURL takes an address with or without /v1, which every path begins
// with.
func parseBaseURL(text string) (string, error) {
	if text == "" {
		return "", errors.New("lntpay: no base URL: set Options.BaseURL or " + EnvBaseURL)
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return "", fmt.Errorf("lntpay: the base URL %q is not http:// or https:// and a host", text)
	}
	if parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return "", errors.New("lntpay: the base URL has a user, a query or a fragment")
	}

	return strings.TrimSuffix(strings.TrimRight(parsed.String(), "/"), "/v1"), nil
}

// httpClient is a copy that sends each request as it is or not at all: the API
// does not redirect, and a POST that is redirected becomes a GET.
func httpClient(given *http.Client) *http.Client {
	var own http.Client
	if given != nil {
		own = *given
	} else if base, ok := http.DefaultTransport.(*http.Transport); ok {
		transport := base.Clone()
		transport.MaxIdleConnsPerHost = 32
		own.Transport = transport
	}
	own.Timeout = 0
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

	return &own
}

// first is the first that is not zero.
func first[T comparable](values ...T) (found T) {
	for _, value := range values {
		if value != found {
			return value
		}
	}

	return found
}
