package webhooks

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// maxClients bounds the endpoints whose connections are kept.
	maxClients = 512
	// maxIdle is how many connections an endpoint keeps between attempts.
	maxIdle = 2
	// idleTimeout is how long: below the minute and more after which load
	// balancers and NAT forget a connection, some of them without a word.
	idleTimeout = 55 * time.Second
)

// clientKey names whose connections may be shared: those of one endpoint while
// it has this URL.
type clientKey struct{ endpointID, url string }

// clients holds an HTTP client of its own for each endpoint: what one has
// dialled, resumed or left unread is never another's, even on the same host.
type clients struct {
	made      *lru.Cache[clientKey, *http.Client]
	transport *http.Transport
}

func newClients(p Policy, o Options) *clients {
	made, err := lru.NewWithEvict(maxClients, func(_ clientKey, old *http.Client) { old.CloseIdleConnections() })
	if err != nil {
		panic(err) // Only for a size that is not positive.
	}
	dialer := &net.Dialer{Resolver: o.Resolver, Timeout: connectTimeout(o.Timeout), ControlContext: p.control}

	return &clients{made: made, transport: &http.Transport{
		// No proxy from the environment: it would dial in our place, unchecked.
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxRead,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
		// A dial goes on when its attempt has ended; it must end too.
		TLSHandshakeTimeout: o.Timeout,
		TLSClientConfig:     &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
	}}
}

// connectTimeout leaves time for an answer, and to tell a host that cannot be
// reached from one that does not answer.
func connectTimeout(attempt time.Duration) time.Duration { return attempt * 2 / 3 }

// of returns the client of a request's endpoint.
func (c *clients) of(r Request) *http.Client {
	key := clientKey{r.EndpointID, r.URL}
	if client, ok := c.made.Get(key); ok {
		return client
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client := &http.Client{Transport: c.transport.Clone(), CheckRedirect: stay}
	if first, ok, _ := c.made.PeekOrAdd(key, client); ok {
		return first
	}

	return client
}

// close ends the connections that wait for a next attempt.
func (c *clients) close() { c.made.Purge() }
