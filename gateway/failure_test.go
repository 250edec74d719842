package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"encoding/pem"

	"github.com/stretchr/testify/require"
)

func TestAnUpstreamThatIsAway(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	r := start(t, fmt.Sprintf(`services: [{name: shop, upstream: "http://%s", price_sats: 5, once: true}]`, address))
	token := r.buy(http.MethodGet, "/", 5000)
	for range 3 {
		answer := r.get("/", "Authorization", token)
		require.Equal(t, http.StatusBadGateway, answer.status)
		require.Equal(t, "upstream_unavailable", answer.problem(t)["code"])
		require.NotContains(t, answer.body, address)
	}
	r.requireOutcomes("shop", map[string]int{"challenged": 1, "upstream_error": 3})
}

func TestAnUpstreamThatIsSlow(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]string{
		"to answer": "{response_header_timeout_ms: 50}", "in all": "{request_timeout_ms: 50}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, fmt.Sprintf("limits: %s\nservices: [{name: shop, upstream: '%s', auth: off}]", limits,
				upstream(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })))
			answer := r.get("/")
			require.Equal(t, http.StatusGatewayTimeout, answer.status)
			require.Equal(t, "upstream_timeout", answer.problem(t)["code"])
			r.requireOutcomes("shop", map[string]int{"upstream_error": 1})
		})
	}
}

// A client that keeps its own body back until the time is over has had its
// request.
func TestAClientThatIsSlow(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`
limits: {request_timeout_ms: 100}
services: [{name: shop, upstream: "%s", price_sats: 5, once: true, resource: service}]
`, upstream(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })))
	token := r.buy(http.MethodGet, "/", 5000)
	reader, writer := io.Pipe()
	defer writer.Close()
	answer := r.do(http.MethodPost, "/", reader, "Authorization", token)
	require.Equal(t, http.StatusRequestTimeout, answer.status)
	require.Equal(t, "request_timeout", answer.problem(t)["code"])
	require.Equal(t, http.StatusPaymentRequired, r.get("/", "Authorization", token).status)
}

// Who sends a body without having paid is told so, and not asked for the rest of
// it first; the connection is good for the next request if the rest comes.
func TestAnAnswerDoesNotWaitForTheBody(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`services: [{name: shop, upstream: "%s", price_sats: 5}]`, upstream(t, echo("up"))))
	reader, writer := io.Pipe()
	defer writer.Close()
	go func() { _, _ = io.WriteString(writer, "begun") }()
	require.Equal(t, http.StatusPaymentRequired, r.do(http.MethodPost, "/", reader).status)
	for range 50 {
		require.Equal(t, http.StatusPaymentRequired, r.do(http.MethodPost, "/", strings.NewReader("whole")).status)
		require.Equal(t, http.StatusPaymentRequired, r.do(http.MethodPost, "/", io.MultiReader(strings.NewReader("chunked"))).status)
	}
}

func TestBodiesHaveLimits(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`
limits: {request_bytes: 10, response_bytes: 10}
services: [{name: shop, upstream: "%s", auth: off}]
`, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if r.URL.Path == "/streamed" {
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = io.WriteString(w, r.URL.Query().Get("say"))
	})))
	require.Equal(t, "0123456789", r.do(http.MethodPost, "/?say=0123456789", strings.NewReader("0123456789")).body)
	for name, body := range map[string]io.Reader{
		"announced": strings.NewReader("0123456789a"), "chunked": io.MultiReader(strings.NewReader("0123456789a")),
	} {
		answer := r.do(http.MethodPost, "/", body)
		require.Equal(t, http.StatusRequestEntityTooLarge, answer.status, name)
		require.Equal(t, "payload_too_large", answer.problem(t)["code"])
	}
	answer := r.get("/?say=0123456789a")
	require.Equal(t, http.StatusBadGateway, answer.status)
	require.Equal(t, "response_too_large", answer.problem(t)["code"])
	response, err := http.Get(r.url + "/streamed?say=0123456789a")
	require.NoError(t, err)
	defer response.Body.Close()
	_, err = io.ReadAll(response.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// once is a shop whose tokens open one request, and whose upstream does what the
// path says.
func once(t *testing.T) (r *running, inside chan struct{}) {
	t.Helper()
	inside = make(chan struct{}, 16)
	r = start(t, fmt.Sprintf(`services: [{name: shop, upstream: "%s", price_sats: 5, once: true, resource: service}]`,
		upstream(t, func(w http.ResponseWriter, r *http.Request) {
			inside <- struct{}{}
			switch r.URL.Path {
			case "/500":
				w.WriteHeader(http.StatusInternalServerError)
			case "/404":
				w.WriteHeader(http.StatusNotFound)
			case "/breaks":
				_, _ = io.WriteString(w, "half of")
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			case "/hangs":
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			case "/drips":
				for r.Context().Err() == nil {
					if _, err := w.Write(make([]byte, 64<<10)); err != nil {
						return
					}
				}
			}
		})))

	return r, inside
}

func TestATokenThatOpensOneRequest(t *testing.T) {
	t.Parallel()
	r, _ := once(t)
	token := r.buy(http.MethodGet, "/", 5000)
	for range 2 {
		require.Equal(t, http.StatusInternalServerError, r.get("/500", "Authorization", token).status, "is given back")
	}
	response, err := get(t.Context(), r.url+"/breaks", token)
	require.NoError(t, err)
	_, err = io.ReadAll(response.Body)
	require.Error(t, err)
	require.NoError(t, response.Body.Close())
	r.requireOutcomes("shop", map[string]int{"challenged": 1, "admitted": 2, "upstream_error": 1})
	require.Equal(t, http.StatusNotFound, r.get("/404", "Authorization", token).status, "an answer like any other")
	used := r.get("/", "Authorization", token)
	require.Equal(t, http.StatusPaymentRequired, used.status)
	require.Equal(t, "used", used.problem(t)["reason"])
}

func get(ctx context.Context, url, token string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", token)

	return http.DefaultTransport.RoundTrip(request)
}

// A client that leaves has had its request, or it could ask for everything but
// the last byte again and again.
func TestAClientThatLeavesGetsNothingBack(t *testing.T) {
	t.Parallel()
	leave := map[string]func(t *testing.T, r *running, token string, inside chan struct{}){
		"before the answer": func(t *testing.T, r *running, token string, inside chan struct{}) {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-inside
				cancel()
			}()
			response, err := get(ctx, r.url+"/hangs", token)
			if err == nil {
				_ = response.Body.Close()
			}
			require.ErrorIs(t, err, context.Canceled)
		},
		"in its own body": func(t *testing.T, r *running, token string, inside chan struct{}) {
			t.Helper()
			reader, writer := io.Pipe()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/hangs", reader)
			require.NoError(t, err)
			request.Header.Set("Authorization", token)
			go func() {
				_, _ = io.WriteString(writer, "half of")
				<-inside
				_ = writer.CloseWithError(context.Canceled)
			}()
			response, err := http.DefaultTransport.RoundTrip(request)
			if err == nil {
				_ = response.Body.Close()
			}
			require.ErrorIs(t, err, context.Canceled)
		},
		"in the answer": func(t *testing.T, r *running, token string, _ chan struct{}) {
			t.Helper()
			response, err := get(t.Context(), r.url+"/drips", token)
			require.NoError(t, err)
			_, err = io.ReadFull(response.Body, make([]byte, 100_000))
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
		},
	}
	for name, leaves := range leave {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, inside := once(t)
			token := r.buy(http.MethodGet, "/", 5000)
			leaves(t, r, token, inside)
			want := "client_gone"
			if name == "in the answer" {
				want = "admitted"
			}
			r.requireOutcomes("shop", map[string]int{"challenged": 1, want: 1})
			require.Equal(t, http.StatusPaymentRequired, r.get("/", "Authorization", token).status)
		})
	}
}

// A client that does not read has an upstream give up that bounds its writes, and
// has had all that it wanted by then.
func TestAClientThatDoesNotReadGetsNothingBack(t *testing.T) {
	t.Parallel()
	gaveUp := make(chan error, 1)
	r := start(t, fmt.Sprintf(`services: [{name: shop, upstream: "%s", price_sats: 5, once: true, resource: service}]`,
		upstream(t, func(w http.ResponseWriter, r *http.Request) {
			err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(2 * time.Second))
			if r.URL.Path == "/film" && err == nil {
				_, err = io.Copy(w, zeros(1<<30))
			}
			gaveUp <- err
		})))
	token := r.buy(http.MethodGet, "/film", 5000)
	response, err := get(t.Context(), r.url+"/film", token)
	require.NoError(t, err)
	require.Error(t, <-gaveUp)
	had, err := io.Copy(io.Discard, response.Body)
	require.Error(t, err)
	require.Positive(t, had)
	require.NoError(t, response.Body.Close())
	r.requireOutcomes("shop", map[string]int{"challenged": 1, "admitted": 1})
	require.Equal(t, http.StatusPaymentRequired, r.get("/", "Authorization", token).status)
}

func TestUpstreamsOverTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	r := start(t, fmt.Sprintf(`
services:
  - {name: known, host: known, upstream: "%[1]s", auth: off, tls_ca_file: %[2]s, tls_server_name: example.com}
  - {name: misnamed, host: misnamed, upstream: "%[1]s", auth: off, tls_ca_file: %[2]s, tls_server_name: example.org}
  - {name: unknown, upstream: "%[1]s", auth: off}
`, server.URL, ca))
	require.Equal(t, "HTTP/2.0", r.get("/", "Host", "known").body)
	require.Equal(t, http.StatusBadGateway, r.get("/", "Host", "misnamed").status)
	require.Equal(t, http.StatusBadGateway, r.get("/").status)
}
