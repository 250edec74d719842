package gate

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// watched is a ResponseWriter that knows whether an answer has begun, and how.
// What else the writer below can do is reached by http.ResponseController; what
// handlers ask for by its type is here.
type watched struct {
	http.ResponseWriter

	// status is that of the answer, 0 before it begins.
	status int
}

func watch(w http.ResponseWriter) *watched { return &watched{ResponseWriter: w} }

// writer is what the handler gets: an http.Hijacker only over one, because some
// take another way when it is none.
func (w *watched) writer() http.ResponseWriter {
	for below := w.ResponseWriter; ; {
		if _, ok := below.(http.Hijacker); ok {
			return hijackable{w}
		}
		wrapper, ok := below.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		below = wrapper.Unwrap()
	}
}

// outcome is the status for Done. A handler that returned without a word has
// answered 200. One that has panicked has answered if it had begun: what a client
// got so far must not be had again for nothing by breaking the connection.
func (w *watched) outcome(returned bool) int {
	if w.status == 0 && returned {
		return http.StatusOK
	}

	return w.status
}

func (w *watched) begin(status int) {
	// Of the informational ones only 101 is an answer.
	isAnswer := status >= http.StatusOK || status == http.StatusSwitchingProtocols
	if w.status == 0 && isAnswer {
		w.status = status
	}
}

// Unwrap is for http.ResponseController.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *watched) WriteHeader(status int) {
	w.begin(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(body []byte) (int, error) {
	w.begin(http.StatusOK)

	return w.ResponseWriter.Write(body)
}

// ReadFrom lets the writer below send a file by itself. A source that fails before
// its first byte has begun no answer: the handler may still make it a 5xx. One that
// panics may have.
func (w *watched) ReadFrom(from io.Reader) (n int64, err error) {
	defer func() {
		if n > 0 || err == nil {
			w.begin(http.StatusOK)
		}
	}()

	return io.Copy(w.ResponseWriter, from)
}

// Flush makes it an http.Flusher.
func (w *watched) Flush() { _ = w.FlushError() }

// FlushError is the same for http.ResponseController.
func (w *watched) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if err == nil {
		w.begin(http.StatusOK)
	}

	return err
}

// hijackable is a watched writer whose connection can be taken over, for
// WebSockets.
type hijackable struct{ *watched }

// Hijack makes it an http.Hijacker. Whoever has the connection answers.
func (w hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	connection, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.begin(http.StatusSwitchingProtocols)
	}

	return connection, buffer, err
}
