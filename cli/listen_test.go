package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/webhooks"
)

func TestVerifyRefusesWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	secret, body := webhooks.NewSecret(), []byte(`{"id":"evt_1"}`)
	signed := func(at time.Time) http.Header {
		headers, err := webhooks.Headers(webhooks.Secrets{Current: secret}, "evt_1", at, body)
		require.NoError(t, err)

		return headers
	}
	now := time.Now()
	require.NoError(t, verify(body, signed(now), secret))
	require.Error(t, verify(body, signed(now), webhooks.NewSecret()), "another secret")
	require.Error(t, verify([]byte(`{"id":"evt_2"}`), signed(now), secret), "another body")
	require.Error(t, verify(body, signed(now.Add(-time.Hour)), secret), "an old one")
	for _, name := range []string{webhooks.HeaderSignature, webhooks.HeaderStandardSignature, webhooks.HeaderStandardTimestamp} {
		headers := signed(now)
		headers.Del(name)
		require.Error(t, verify(body, headers, secret), name)
	}
}

// registry is an API that has one endpoint at most.
type registry struct {
	*api

	secret string
	// made has the address of each endpoint that is registered; its body is in
	// the api's requests.
	made chan string
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{secret: webhooks.NewSecret(), made: make(chan string, 1)}
	r.api = serve(t, func(w http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)

			return
		}
		var params lntpay.WebhookEndpointParams
		seen := r.requests()
		_ = json.Unmarshal([]byte(seen[len(seen)-1].body), &params)
		answer(201, `{"id":"we_1","object":"webhook_endpoint","url":"`+params.URL+`","secret":"`+r.secret+`"}`)(w, request)
		r.made <- params.URL
	})

	return r
}

// deliver sends a body, signed by the secret, and gives the status of the
// answer, 0 if there is none.
func deliver(t *testing.T, url, secret, body string) chan int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	request.Header, err = webhooks.Headers(webhooks.Secrets{Current: secret}, "evt_1", time.Now(), []byte(body))
	require.NoError(t, err)
	status := make(chan int, 1)
	go func() {
		defer close(status)
		if response, err := http.DefaultClient.Do(request); err == nil {
			defer response.Body.Close()
			status <- response.StatusCode
		}
	}()

	return status
}

// listening is a command that runs.
type listening struct {
	lines *bufio.Scanner
	ended chan ended
}

// start runs `webhooks listen` until ctx ends or it does.
func (r *registry) start(ctx context.Context, t *testing.T, args ...string) (url string, l listening) {
	t.Helper()
	out, in := io.Pipe()
	l = listening{lines: bufio.NewScanner(out), ended: make(chan ended, 1)}
	go func() {
		defer in.Close()
		var stderr strings.Builder
		cmd := root(func() (Target, error) { return Target{r.URL, "k"}, nil })
		cmd.SetOut(in)
		cmd.SetErr(&stderr)
		cmd.SetArgs(append([]string{"webhooks", "listen"}, args...))
		code := 0
		if err := cmd.ExecuteContext(ctx); err != nil {
			Report(&stderr, err)
			code = exitCode(ctx, err)
		}
		l.ended <- ended{code: code, stderr: stderr.String()}
	}()

	return <-r.made, l
}

func (l listening) next(t *testing.T) string {
	t.Helper()
	require.True(t, l.lines.Scan())

	return l.lines.Text()
}

func (l listening) end(t *testing.T) ended {
	t.Helper()
	require.False(t, l.lines.Scan(), l.lines.Text())

	return <-l.ended
}

// lastIsDelete checks that the endpoint is gone.
func (r *registry) lastIsDelete(t *testing.T) {
	t.Helper()
	seen := r.requests()
	last := seen[len(seen)-1]
	require.Equal(t, "DELETE /v1/webhooks/endpoints/we_1", last.method+" "+last.path)
}

func TestListen(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	url, l := r.start(t.Context(), t, "--count", "2", "--events", "charge.paid,charge.expired")
	require.Contains(t, r.requests()[0].body, `"events":["charge.paid","charge.expired"]`)
	require.Equal(t, "listening as we_1 at "+url, l.next(t))
	status := deliver(t, url, r.secret, `{"id":"evt_1"}`)
	require.Equal(t, `VERIFIED {"id":"evt_1"}`, l.next(t))
	require.Equal(t, http.StatusOK, <-status)
	status = deliver(t, url, webhooks.NewSecret(), "{\"id\":\"evt_1\"}\x1b[2J")
	require.Equal(t, `REFUSED (webhook-signature: the webhook's signature is missing or wrong) {"id":"evt_1"} [2J`, l.next(t))
	require.Equal(t, http.StatusBadRequest, <-status)
	require.Equal(t, ended{}, l.end(t))
	r.lastIsDelete(t)
}

func TestListenUntilCtrlC(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := newRegistry(t)
	_, l := r.start(ctx, t)
	require.Contains(t, r.requests()[0].body, `"events":["*"]`)
	l.next(t)
	cancel()
	require.Equal(t, ended{code: ExitInterrupted}, l.end(t))
	r.lastIsDelete(t)
}

// What the other answers is the answer, and only what is verified is passed on.
func TestListenForwards(t *testing.T) {
	t.Parallel()
	// Not as an encoder would write it: what comes goes on byte by byte.
	const sent = `{"id":"evt_1", "a":1}`
	got := make(chan string, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- fmt.Sprint(r.Method, " ", r.URL.Path, " ", r.Header.Get("X-Lntpay-Signature") != "", " ", string(body))
		w.WriteHeader(http.StatusTeapot)
	}))
	defer hook.Close()
	r := newRegistry(t)
	url, l := r.start(t.Context(), t, "--count", "2", "--json", "--forward-to", hook.URL+"/hook")
	status := deliver(t, url, webhooks.NewSecret(), `{"id":"evt_1"}`)
	require.Equal(t, http.StatusBadRequest, <-status)
	status = deliver(t, url, r.secret, sent)
	require.Equal(t, "printed "+sent, "printed "+l.next(t))
	require.Equal(t, "POST /hook true "+sent, <-got)
	require.Equal(t, http.StatusTeapot, <-status)
	end := l.end(t)
	require.Zero(t, end.code)
	require.Contains(t, end.stderr, "listening as we_1 at http://127.0.0.1:")
	require.Contains(t, end.stderr, "REFUSED (")
	require.Contains(t, end.stderr, "forwarded evt_1 to "+hook.URL+"/hook: 418 I'm a teapot after ")
}

func TestListenSaysWhenTheEndpointStays(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := newRegistry(t)
	first := r.steps[0]
	r.steps = []http.HandlerFunc{first, refusal(403, "forbidden")}
	_, l := r.start(ctx, t)
	l.next(t)
	cancel()
	require.Contains(t, l.end(t).stderr, "delete the endpoint we_1: ")
}

func TestListenWhereOnlyPublicAddressesAreAllowed(t *testing.T) {
	t.Parallel()
	got := run(t, serve(t, refusal(422, "url_not_allowed")), "webhooks", "listen")
	require.Equal(t, ExitRefused, got.code)
	require.Contains(t, got.stderr, "name one by --url")
}
