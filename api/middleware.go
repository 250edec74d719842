package api

import (
	"errors"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/lntpay/lntpay/payments"
)

const (
	headerRequestID = "X-Request-Id"
	keyRequestID    = "lntpay.request_id"
)

// saneRequestID is what a client may send to find its request again; anything
// else is replaced, so that a header cannot write into a log.
var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

// identify gives the request an id, and every answer the headers that all have.
func identify(c *gin.Context) {
	id := c.GetHeader(headerRequestID)
	if !saneRequestID.MatchString(id) {
		id = payments.NewID("req")
	}
	c.Set(keyRequestID, id)
	c.Header(headerRequestID, id)
	c.Header("Cache-Control", "no-store")
	c.Header("X-Content-Type-Options", "nosniff")
}

func requestID(c *gin.Context) string { return c.GetString(keyRequestID) }

// recoverPanics answers 500 without a word of the panic.
func (s *Server) recoverPanics(c *gin.Context) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if err, isErr := cause.(error); isErr && errors.Is(err, http.ErrAbortHandler) {
			panic(cause)
		}
		s.log.ErrorContext(c.Request.Context(), "panic", "request_id", requestID(c),
			"path", c.FullPath(), "panic", cause, "stack", string(debug.Stack()))
		if c.Writer.Written() {
			panic(http.ErrAbortHandler)
		}
		writeProblem(c, payments.NewProblem(payments.CodeInternal, "The error was recorded under this request id."))
	}()
	c.Next()
}

// observe counts and times every answer by route, never by path.
func (s *Server) observe(c *gin.Context) {
	started := time.Now()
	defer func() { s.metrics.observe(c, time.Since(started)) }()
	c.Next()
}

// limitBodyTime gives a body a deadline; readBody lifts it when all is there.
func limitBodyTime(c *gin.Context) {
	if c.Request.Body != nil && c.Request.Body != http.NoBody {
		setReadDeadline(c, time.Now().Add(bodyTimeout))
	}
}

// setReadDeadline sets the connection's; a test's recorder has none.
func setReadDeadline(c *gin.Context, at time.Time) {
	_ = http.NewResponseController(c.Writer).SetReadDeadline(at)
}
