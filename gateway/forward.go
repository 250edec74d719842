package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"
)

// exchangeKey is where a request's context has its exchange.
type exchangeKey struct{}

// errStopping ends what still runs when the time of a shutdown is over.
var errStopping = errors.New("gateway: stopping")

var errResponseTooLarge = errors.New("gateway: the upstream's answer is longer than limits.response_bytes")

// copyBytes is what is copied of a body at a time, as much as ReverseProxy would
// allocate for each request.
const copyBytes = 32 << 10

// buffers is httputil.BufferPool.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[copyBytes]byte); ok {
		return buffer[:]
	}

	return make([]byte, copyBytes)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(buffer []byte) { b.pool.Put((*[copyBytes]byte)(buffer)) }

// newProxy makes what forwards to the upstream of s.
func (g *Gateway) newProxy(s *service, transport http.RoundTripper) (*httputil.ReverseProxy, error) {
	target, err := parseUpstream(s.Upstream)
	if err != nil {
		return nil, err
	}
	if target.Scheme == schemeH2C {
		target.Scheme = "http"
	}

	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			// As it came: prices are not by query, so nothing hangs on its reading.
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			if s.PreserveHost {
				r.Out.Host = r.In.Host
			}
			g.setHeaders(r, s, exchangeOf(r.In.Context()).answer.requestID)
		},
		Transport:      transport,
		FlushInterval:  -1,
		BufferPool:     &buffers{},
		ErrorLog:       slog.NewLogLogger(g.log.With("service", s.Name).Handler(), slog.LevelDebug),
		ModifyResponse: func(response *http.Response) error { return exchangeOf(response.Request.Context()).answered(response) },
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			exchangeOf(r.Context()).failed(r.Context(), err)
		},
	}, nil
}

func exchangeOf(ctx context.Context) *exchange {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		panic("gateway: a request without its exchange")
	}

	return x
}

func (x *exchange) forward(r *http.Request) {
	x.sent = time.Now()
	x.service.proxy.ServeHTTP(x.answer, r)
}

// answered sees the upstream's answer before it is passed on.
func (x *exchange) answered(response *http.Response) error {
	x.g.metrics.observeUpstream(x.service.Name, time.Since(x.sent))
	// These are the gateway's to say.
	response.Header.Del(headerRequestID)
	response.Header.Del(headerReceipt)
	if response.StatusCode == http.StatusSwitchingProtocols {
		// ReverseProxy takes the connection over and writes the header there.
		x.answer.status = http.StatusSwitchingProtocols
		x.answer.Header().Set(headerRequestID, x.answer.requestID)

		return nil
	}
	limit := x.g.config.Limits.ResponseBytes
	if limit > 0 && response.ContentLength > limit && response.Request.Method != http.MethodHead {
		return errResponseTooLarge
	}
	x.answer.upstream = true
	response.Body = &upstreamBody{ReadCloser: response.Body, x: x, ctx: response.Request.Context(), left: limit, limited: limit > 0}

	return nil
}

// failed answers for an upstream that has not.
func (x *exchange) failed(ctx context.Context, err error) {
	if x.answer.status == http.StatusSwitchingProtocols {
		x.answer.status = 0 // It did not come to that.
	}
	if x.outcome = outcomeUpstreamError; x.isClients(ctx) {
		x.outcome = outcomeClientGone
	}
	p := x.explain(ctx, err)
	// The text of err may have the upstream's address, which is not for clients.
	x.g.log.WarnContext(ctx, "no answer from upstream", "request_id", x.answer.requestID, "service", x.service.Name,
		"status", p.status, "error", err)
	x.refuse(p)
}

// isClients says whether it is the client that has ended the exchange.
func (x *exchange) isClients(ctx context.Context) bool {
	return x.clientFailed.get() != nil || x.isSlow(ctx) ||
		(errors.Is(ctx.Err(), context.Canceled) && !errors.Is(context.Cause(ctx), errStopping))
}

// isSlow says whether the time is over because the client took it for its body.
func (x *exchange) isSlow(ctx context.Context) bool {
	return errors.Is(ctx.Err(), context.DeadlineExceeded) && x.sending.Load()
}

func (x *exchange) explain(ctx context.Context, err error) problem {
	var (
		tooLong  *http.MaxBytesError
		timeout  net.Error
		timedOut = errors.Is(ctx.Err(), context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout())
	)
	switch {
	case errors.As(x.clientFailed.get(), &tooLong):
		return tooLarge
	case x.isSlow(ctx):
		return problem{http.StatusRequestTimeout, codeRequestTimeout, "The request took too long.", "The body did not come in time."}
	case x.isClients(ctx):
		return problem{statusClientGone, codeClientGone, "The client is gone.", "The client did not wait for the answer."}
	case errors.Is(context.Cause(ctx), errStopping):
		return problem{http.StatusServiceUnavailable, codeUnavailable, "The gateway is stopping.", "Repeat the request."}
	case errors.Is(err, errResponseTooLarge):
		return problem{
			http.StatusBadGateway, codeResponseTooLarge, "The answer is too large.", "The service answered with more than is passed on.",
		}
	case timedOut:
		return problem{http.StatusGatewayTimeout, codeUpstreamTimeout, "The service took too long.", "The service has not answered in time."}
	}

	return problem{
		http.StatusBadGateway, codeUpstreamAway, "The service is away.", "The service could not be reached, or gave no proper answer.",
	}
}

// errorBox holds the first error of a reader that another goroutine runs.
type errorBox struct {
	mu  sync.Mutex
	err error
}

func (b *errorBox) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
}

func (b *errorBox) get() error {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.err
}

// watchedBody is a client's body; it notes that the client broke off.
type watchedBody struct {
	io.ReadCloser

	x   *exchange
	ctx context.Context //nolint:containedctx // It is the request's, and ends with the body.
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.x.sending.Store(false)
	case err != nil && b.ctx.Err() == nil && !errors.Is(err, http.ErrBodyReadAfterClose):
		b.x.clientFailed.set(err)
	}

	return n, err
}

// patience is how long a client may hold an answer up, in all, before it is to
// blame for an upstream that breaks off. Upstreams bound their writes.
const patience = time.Second

// upstreamBody is an upstream's body; it notes that the upstream broke off, and
// ends at the limit.
type upstreamBody struct {
	io.ReadCloser

	x       *exchange
	ctx     context.Context //nolint:containedctx // It is the request's, and ends with the body.
	left    int64
	limited bool
	// returned is when Read has last done so; heldUp is for how long the client
	// kept what it had returned from being written.
	returned time.Time
	heldUp   time.Duration
}

// Read implements io.Reader.
func (b *upstreamBody) Read(p []byte) (int, error) {
	if !b.returned.IsZero() {
		b.heldUp += time.Since(b.returned)
	}
	n, err := b.ReadCloser.Read(p)
	b.returned = time.Now()
	if err != nil && err != io.EOF && b.ctx.Err() == nil && b.x.clientFailed.get() == nil && b.heldUp < patience {
		b.x.brokeOff, b.x.outcome = true, outcomeUpstreamError
	}
	if b.limited {
		if b.left -= int64(n); b.left < 0 {
			b.x.outcome = outcomeUpstreamError

			return n + int(b.left), errResponseTooLarge
		}
	}

	return n, err
}
