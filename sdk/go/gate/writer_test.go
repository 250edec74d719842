package gate_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lntpay/lntpay/sdk/go/gate"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

// serve runs a gate behind a real server.
func serve(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)

	return server
}

func fetch(t *testing.T, url string, credential *l402.Credential) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	noError(t, err)
	if credential != nil {
		r.Header.Set("Authorization", credential.String())
	}
	answer, err := http.DefaultClient.Do(r)
	noError(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })

	return answer
}

// onlyUnwraps hides what a writer can do, as many middlewares do.
type onlyUnwraps struct{ http.ResponseWriter }

func (w onlyUnwraps) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func wrapped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(onlyUnwraps{w}, r) })
}

// A connection is taken over, as for a WebSocket, in both ways to ask for it.
func TestHijack(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		wrap   func(http.Handler) http.Handler
		hijack func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error)
	}{
		"by its type": {nil, func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() }},
		"by a controller": {nil, func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		}},
		"below a middleware": {wrapped, func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, once)
			handler := b.handler
			if test.wrap != nil {
				handler = test.wrap(handler)
			}
			b.next = func(w http.ResponseWriter, _ *http.Request) {
				connection, buffer, err := test.hijack(w)
				if err != nil {
					t.Error(err)

					return
				}
				defer connection.Close()
				_, _ = buffer.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
				_ = buffer.Flush()
				line, _ := buffer.ReadString('\n')
				_, _ = buffer.WriteString("you said " + line)
				_ = buffer.Flush()
				panic(http.ErrAbortHandler)
			}
			server := serve(t, handler)
			credential := b.pay(t, fetch(t, server.URL, nil))
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			noError(t, err)
			r.Header = http.Header{"Authorization": {credential.String()}, "Connection": {"Upgrade"}, "Upgrade": {"echo"}}
			answer, err := http.DefaultClient.Do(r)
			noError(t, err)
			defer answer.Body.Close()
			equal(t, http.StatusSwitchingProtocols, answer.StatusCode)
			_, err = io.WriteString(answer.Body.(io.Writer), "hello\n")
			noError(t, err)
			line, err := io.ReadAll(answer.Body)
			noError(t, err)
			equal(t, "you said hello\n", string(line))
			refused(t, fetch(t, server.URL, credential), http.StatusPaymentRequired, "payment_required", "used")
		})
	}
}

// Events reach the client before the handler has ended.
func TestFlush(t *testing.T) {
	t.Parallel()
	for name, flush := range map[string]func(http.ResponseWriter) error{
		"by its type":     func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil },
		"by a controller": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, once)
			seen := make(chan struct{})
			b.next = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for range 2 {
					_, _ = io.WriteString(w, "data: tick\n\n")
					if err := flush(w); err != nil {
						t.Error(err)
					}
					<-seen
				}
			}
			server := serve(t, wrapped(b.handler))
			answer := fetch(t, server.URL, b.pay(t, fetch(t, server.URL, nil)))
			events := bufio.NewReader(answer.Body)
			for range 2 {
				line, err := events.ReadString('\n')
				noError(t, err)
				equal(t, "data: tick\n", line)
				_, err = events.ReadString('\n')
				noError(t, err)
				seen <- struct{}{}
			}
		})
	}
}

// readsFrom notices that it is used as an io.ReaderFrom.
type readsFrom struct {
	*httptest.ResponseRecorder

	used bool
}

func (w *readsFrom) ReadFrom(from io.Reader) (int64, error) {
	w.used = true

	return io.Copy(w.ResponseRecorder, from)
}

// plain is a writer that can do nothing else.
type plain struct{ http.ResponseWriter }

func TestWhatTheWriterBelowCanAndCannot(t *testing.T) {
	t.Parallel()
	b := open(t, once)
	b.next = func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader("a file")})
		noError(t, err)
	}
	below := &readsFrom{ResponseRecorder: httptest.NewRecorder()}
	b.handler.ServeHTTP(below, request(http.MethodGet, "/", b.pay(t, b.get("/"))))
	equal(t, "a file", below.Body.String())
	equal(t, true, below.used)

	b.next = func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(http.Hijacker); ok {
			t.Error("it cannot be taken over")
		}
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Error(err)
		}
		w.WriteHeader(http.StatusBadGateway)
	}
	b.handler.ServeHTTP(plain{httptest.NewRecorder()}, request(http.MethodGet, "/", b.pay(t, b.get("/"))))
}

// Without Once nobody needs the status, and the handler has the server's writer.
func TestTheWriterIsLeftAloneIfNobodyNeedsTheStatus(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	below := httptest.NewRecorder()
	b.next = func(w http.ResponseWriter, _ *http.Request) { equal(t, http.ResponseWriter(below), w) }
	b.handler.ServeHTTP(below, request(http.MethodGet, "/", b.pay(t, b.get("/"))))
	equal(t, true, below.Header().Get("Payment-Receipt") != "")
}

// A head has no body, but its challenge.
func TestHead(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	server := serve(t, b.handler)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, server.URL+"/x", nil)
	noError(t, err)
	answer, err := http.DefaultClient.Do(r)
	noError(t, err)
	defer answer.Body.Close()
	equal(t, http.StatusPaymentRequired, answer.StatusCode)
	b.pay(t, answer)
	equal(t, "HEAD /x", b.charges()[0].Description)
}

func TestGRPC(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change          func(*bench, *http.Request)
		status, message string
		invoice         bool
	}{
		"not paid": {func(*bench, *http.Request) {}, "13", "payment required", true},
		"forged":   {func(_ *bench, r *http.Request) { r.Header.Set("Macaroon", "abcd") }, "16", "invalid token", false},
		"away":     {func(b *bench, _ *http.Request) { b.create = func(context.Context) error { return errTest } }, "14", "service unavailable", false},
		"long":     {func(_ *bench, r *http.Request) { r.RequestURI = "/" + strings.Repeat("a", 1024) }, "3", "address too long", false},
	} {
		for _, media := range []string{"application/grpc", "application/grpc+proto"} {
			t.Run(name+" "+media, func(t *testing.T) {
				t.Parallel()
				b := open(t, nil)
				r := request(http.MethodPost, "/weather.Weather/Forecast")
				r.Header.Set("Content-Type", media)
				test.change(b, r)
				answer := b.do(r)
				equal(t, http.StatusOK, answer.StatusCode)
				body, err := io.ReadAll(answer.Body)
				noError(t, err)
				equal(t, "", string(body))
				equal(t, []string{"application/grpc", test.status, test.message, "no-store"}, []string{
					answer.Header.Get("Content-Type"), answer.Header.Get("Grpc-Status"), answer.Header.Get("Grpc-Message"), answer.Header.Get("Cache-Control"),
				})
				if test.invoice {
					b.pay(t, answer)
				}
			})
		}
	}
}

func TestAnAdapterCanSayDoneTwice(t *testing.T) {
	t.Parallel()
	uses := &counted{Uses: gate.NewMemory(1)}
	charges := &till{}
	made, err := gate.New(gate.Config{Charges: charges, Key: testKey, Price: gate.Fixed(1), Once: true, Uses: uses})
	noError(t, err)
	challenged := httptest.NewRecorder()
	equal(t, true, made.Admit(challenged, request(http.MethodGet, "/")) == nil)
	credential := charges.pay(t, challenged.Result())
	admission := made.Admit(httptest.NewRecorder(), request(http.MethodGet, "/", credential))
	admission.Done(0)
	admission.Done(http.StatusInternalServerError)
	equal(t, 1, uses.givenBack)
}

// counted counts what is given back.
type counted struct {
	gate.Uses

	givenBack int
}

func (c *counted) GiveBack(ctx context.Context, id string) error {
	c.givenBack++

	return c.Uses.GiveBack(ctx, id)
}
