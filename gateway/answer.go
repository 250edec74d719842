package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

const (
	headerRequestID = "X-Request-Id"
	headerReceipt   = "Payment-Receipt"
)

// answer is the ResponseWriter of a request. It notes the status, keeps our
// headers when an informational answer clears them, and says in gRPC's words to
// gRPC's clients what is not the upstream's answer.
type answer struct {
	http.ResponseWriter

	requestID string
	receipt   string
	isGRPC    bool
	// bodyComes says whether the rest of an HTTP/1 body may still come.
	bodyComes func() bool
	// ownTimeout is how long an HTTP/2 client may take to take an answer of the
	// gateway's own; 0 in HTTP/1, where that fits into the connection's buffers.
	ownTimeout time.Duration
	// upstream says that the upstream's answer is being written.
	upstream bool
	// status is that of HTTP, 0 before the header is written.
	status int
	bytes  int64
	// mute drops the body of an answer that gRPC has no place for.
	mute bool
}

// restTimeout is how long the rest of a body may hold up an answer.
const restTimeout = 500 * time.Millisecond

func newAnswer(w http.ResponseWriter, r *http.Request, requestID string) *answer {
	return &answer{
		ResponseWriter: w, requestID: requestID,
		isGRPC: r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"),
	}
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		a.ResponseWriter.WriteHeader(status)

		return
	}
	if a.status != 0 {
		return
	}
	a.status = status
	if a.bodyComes() {
		// In HTTP/1 net/http reads some of the rest before it writes the header, to
		// keep the connection; it shall not wait for it.
		_ = http.NewResponseController(a.ResponseWriter).SetReadDeadline(time.Now().Add(restTimeout))
	}
	if a.ownTimeout > 0 && !a.upstream {
		_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now().Add(a.ownTimeout))
	}
	header := a.Header()
	header.Set(headerRequestID, a.requestID)
	if a.receipt != "" {
		header.Set(headerReceipt, a.receipt)
	}
	if a.isGRPC && !a.upstream && status >= http.StatusBadRequest {
		status = http.StatusOK
		a.mute = true
		a.sayInGRPC()
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(body []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.mute {
		return len(body), nil
	}
	n, err := a.ResponseWriter.Write(body)
	a.bytes += int64(n)

	return n, err
}

// FlushError lets streams through; http.ResponseController looks for it.
func (a *answer) FlushError() error {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.mute {
		return nil // The header must come with the end of the stream.
	}

	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController find the rest.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// paymentRequired is how Aperture says it, and its clients look for (aperture
// v0.3.8 l402/client_interceptor.go, IsPaymentRequired).
const paymentRequired = "payment required"

// sayInGRPC makes the header that of a call that failed, with nothing after it:
// the gRPC specification's Trailers-Only (PROTOCOL-HTTP2.md, "Responses").
func (a *answer) sayInGRPC() {
	code, message := codes.Unknown, http.StatusText(a.status)
	switch a.status {
	case http.StatusPaymentRequired:
		code, message = codes.Internal, paymentRequired
	case http.StatusUnauthorized:
		code = codes.Unauthenticated
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		code = codes.Unimplemented
	case http.StatusRequestEntityTooLarge:
		code = codes.ResourceExhausted
	case http.StatusBadRequest, http.StatusRequestURITooLong:
		code = codes.InvalidArgument
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		code = codes.Unavailable
	}
	header := a.Header()
	header.Del("Content-Length")
	header.Set("Content-Type", "application/grpc")
	header.Set("Grpc-Status", strconv.Itoa(int(code)))
	header.Set("Grpc-Message", message)
}
