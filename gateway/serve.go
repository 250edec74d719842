package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lntpay/lntpay/payments"
	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/gate"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

// saneRequestID is what a client may send to find its request again; anything
// else is replaced, so that a header cannot write into a log.
var saneRequestID = regexp.MustCompile(`\A[A-Za-z0-9._:-]{1,128}\z`)

// exchange is a request and what becomes of it.
type exchange struct {
	g       *Gateway
	answer  *answer
	service *service
	payment *gate.Payment
	// charge was made for the challenge that is the answer.
	charge *lntpay.Charge
	// asked says that a token was asked for, where none is sold.
	asked   bool
	outcome outcome
	started time.Time
	// sent is when the upstream was asked.
	sent time.Time
	// clientFailed says that the client's body broke off, brokeOff that the
	// upstream's answer did. They are written before they are read: by the
	// transport before it returns an error, and by the handler itself.
	clientFailed errorBox
	brokeOff     bool
	// sending says that the client has not sent all of its body.
	sending atomic.Bool
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get(headerRequestID)
	if !saneRequestID.MatchString(id) {
		id = payments.NewID("req")
	}
	x := &exchange{g: g, answer: newAnswer(w, r, id), outcome: outcomeRefused, started: time.Now()}
	x.sending.Store(r.ContentLength != 0 && r.Body != http.NoBody)
	x.answer.bodyComes = func() bool { return r.ProtoMajor == 1 && x.sending.Load() }
	if r.ProtoMajor == 2 {
		x.answer.ownTimeout = milliseconds(g.config.Limits.HeaderTimeoutMS)
	}
	defer x.finish(r)
	select {
	case g.places <- struct{}{}:
		defer func() { <-g.places }()
	default:
		x.refuse(problem{
			http.StatusServiceUnavailable, codeUnavailable, "Too many requests are under way.", "Repeat the request later.",
		})

		return
	}
	g.metrics.inFlight.Inc()
	defer g.metrics.inFlight.Dec()
	if refusal := x.route(r); refusal != nil {
		x.refuse(*refusal)

		return
	}
	ctx := context.WithValue(r.Context(), exchangeKey{}, x)
	if limit := g.config.Limits.RequestTimeoutMS; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, milliseconds(limit))
		defer cancel()
	}
	// The transport does not return before it has read what it reads: a client
	// that keeps its body back must not keep the request for ever.
	defer context.AfterFunc(ctx, func() {
		if x.sending.Load() {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now())
		}
	})()
	x.serve(x.judged(ctx, r))
}

// route finds the service, or says why nobody gets the request.
func (x *exchange) route(r *http.Request) *problem {
	limits := x.g.config.Limits
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace || r.Method != strings.ToUpper(r.Method) {
		// TRACE would show the client the headers that are set upstream; a "post"
		// is not POST by its price, and may be to the upstream.
		return &problem{
			http.StatusMethodNotAllowed, codeMethodNotAllowed, "The method is not allowed.", r.Method + " is not forwarded.",
		}
	}
	if len(r.URL.Path) > limits.PathBytes {
		return &problem{http.StatusRequestURITooLong, codePathTooLong, "The path is too long.", "Nothing here has so long a path."}
	}
	if why := unclear(r.URL); why != "" {
		return &problem{
			http.StatusBadRequest, codeInvalidRequest, "The path is ambiguous.", "The path has " + why + ". Write it in its plain form.",
		}
	}
	x.service = find(x.g.services, r.Host, r.URL.Path)
	if x.service == nil || x.service.judge(r.Method, r.URL.Path) == kindUnsold {
		return &problem{
			http.StatusNotFound, codeNotFound, "There is nothing here.", "No service is offered under this host, method and path.",
		}
	}
	if limits.RequestBytes > 0 && r.ContentLength > limits.RequestBytes {
		return &tooLarge
	}

	return nil
}

var tooLarge = problem{
	http.StatusRequestEntityTooLarge, codePayloadTooLarge, "The body is too large.", "The request's body is longer than is forwarded.",
}

// judged is the request with the path that was judged, and no other way to
// write it; its body is watched.
func (x *exchange) judged(ctx context.Context, r *http.Request) *http.Request {
	judged := r.WithContext(ctx)
	judged.URL = &url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	if r.Body != nil && r.Body != http.NoBody {
		body := r.Body
		if limit := x.g.config.Limits.RequestBytes; limit > 0 {
			body = http.MaxBytesReader(x.answer.ResponseWriter, body, limit)
		}
		judged.Body = &watchedBody{ReadCloser: body, x: x, ctx: ctx}
	}

	return judged
}

// serve has the request paid for, unless it is free, and forwards it.
func (x *exchange) serve(r *http.Request) {
	s := x.service
	if s.judge(r.Method, r.URL.Path) == kindFree || x.takesFreebie(r) {
		x.outcome = outcomeFree
		x.forward(r)

		return
	}
	admission := x.admit(r)
	if admission == nil {
		// Not by the status: gRPC's is 200.
		if x.charge != nil {
			x.outcome = outcomeChallenged
		}

		return
	}
	x.outcome, x.payment = outcomeAdmitted, admission.Payment
	// Deferred, so that it is told when the proxy gives up by a panic as well.
	defer func() { admission.Done(x.settled()) }()
	x.forward(admission.Request())
}

// takesFreebie says whether the request is one of its client's free ones. A
// token is looked at first: whoever has one does not lose a freebie.
func (x *exchange) takesFreebie(r *http.Request) bool {
	if x.service.freebies == nil {
		return false
	}
	_, err := l402.FromHeader(r.Header)

	return errors.Is(err, l402.ErrNoCredential) && x.service.freebies.take(x.g.client(r))
}

// admit has the gate judge the request. If it is not let through, nil, it has
// been answered.
func (x *exchange) admit(r *http.Request) *gate.Admission {
	if !anyMatches(x.service.noChallenge, r.URL.Path) {
		admission := x.service.gate.Admit(x.answer, r)
		x.answer.receipt = x.answer.Header().Get(headerReceipt)

		return admission
	}
	unheard := unheard{http.Header{}}
	admission := x.service.silent.Admit(unheard, r)
	switch {
	case admission != nil:
	case unheard.header.Get("Retry-After") != "" && !x.asked:
		// The token may be good, and its holder must not throw it away.
		x.refuse(problem{
			http.StatusServiceUnavailable, codeUnavailable, "The token cannot be judged.", "Repeat the request later.",
		})
	default:
		x.answer.Header().Set("WWW-Authenticate", "L402")
		x.refuse(problem{
			http.StatusUnauthorized, codeInvalidToken, "A token is required.", "A paid token opens this path, and none is sold here.",
		})
	}
	x.answer.receipt = unheard.header.Get(headerReceipt)

	return admission
}

// unheard is the ResponseWriter of an answer that nobody gets.
type unheard struct{ header http.Header }

// Header implements http.ResponseWriter.
func (u unheard) Header() http.Header { return u.header }

// Write implements http.ResponseWriter.
func (u unheard) Write(body []byte) (int, error) { return len(body), nil }

// WriteHeader implements http.ResponseWriter.
func (u unheard) WriteHeader(int) {}

func (x *exchange) refuse(p problem) { p.write(x.answer, x.answer.requestID) }

// settled is the status by which the gate decides about a token that opens one
// request: a 5xx gives it back. An answer that the upstream broke off is one. A
// client that leaves, or does not read until the upstream gives up, gets nothing
// back, or it could have an answer but for its last byte as often as it likes.
func (x *exchange) settled() int {
	if x.brokeOff {
		return http.StatusBadGateway
	}

	return x.answer.status
}

// finish counts and logs the request, and answers for a panic.
func (x *exchange) finish(r *http.Request) {
	cause := recover()
	aborted := cause != nil
	err, _ := cause.(error)
	if aborted && !errors.Is(err, http.ErrAbortHandler) {
		x.g.log.ErrorContext(r.Context(), "panic", "request_id", x.answer.requestID, "panic", cause, "stack", string(debug.Stack()))
		if x.answer.status == 0 {
			aborted = false
			x.refuse(problem{
				http.StatusInternalServerError, payments.CodeInternal, "Something went wrong on our side.",
				"The error was recorded under this request id.",
			})
		}
	}
	x.record(r, aborted)
	if aborted {
		panic(http.ErrAbortHandler)
	}
}

func (x *exchange) record(r *http.Request, aborted bool) {
	name := noService
	if x.service != nil {
		name = x.service.Name
	}
	x.g.metrics.requests.WithLabelValues(name, string(x.outcome)).Inc()
	attributes := []slog.Attr{
		slog.String("request_id", x.answer.requestID), slog.String("service", name), slog.String("outcome", string(x.outcome)),
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", x.answer.status),
		slog.Int64("bytes", x.answer.bytes), slog.Int64("took_ms", time.Since(x.started).Milliseconds()),
		slog.String("client", x.g.client(r).String()),
	}
	switch {
	case x.payment != nil:
		attributes = append(attributes, slog.String("charge_id", x.payment.ChargeID), slog.Int64("amount_msat", x.payment.AmountMsat))
	case x.charge != nil:
		attributes = append(attributes, slog.String("charge_id", x.charge.ID), slog.Int64("amount_msat", x.charge.AmountMsat))
	}
	if aborted {
		attributes = append(attributes, slog.Bool("aborted", true))
	}
	x.g.log.LogAttrs(r.Context(), slog.LevelInfo, "request", attributes...)
}
