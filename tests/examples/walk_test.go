package examples_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/api/conformance"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/tests/sse"
	"github.com/lntpay/lntpay/tests/stack"
)

// row is one request of the walk. In its texts ${name.field} is a field of an
// earlier answer by the row's name, or by "name noun" where operations share
// one, such as ${paid events.data.0.id}.
type row struct {
	// before is done first.
	before func(*testing.T, *walk)
	// operation is the operationId.
	operation string
	// name is the example's, a problem's is its code. One that is empty or begins
	// with a dash is not kept as an example.
	name   string
	status int
	// id is {id} of the path.
	id, query, body string
	// key is the Idempotency-Key, as an API key other than the workspace's,
	// media a type of body other than JSON.
	key, as, media string
	// after makes it a stream, which is read up to its first event.
	after string
	// until repeats a GET until its answer is as it will stay.
	until func(answer object) bool
}

type object = map[string]any

// operation is where an operationId is.
type operation struct{ method, path string }

// walk is what the rows have in common.
type walk struct {
	*stack.Stack

	workspaceID, key string
	http             *http.Client
	operations       map[string]operation
	// texts are what rows name, besides answers.
	texts   map[string]string
	answers map[string]any
	held    lightning.Hash
}

// openWalk starts a stack, and the receivers of its webhooks.
func openWalk(t *testing.T) *walk {
	t.Helper()
	s, err := stack.Open(t.Context())
	require.NoError(t, err)
	t.Cleanup(s.Close)
	w := &walk{Stack: s, http: conformance.Client(t), operations: operations(t), answers: map[string]any{}}
	w.http.Timeout = 70 * time.Second
	w.workspaceID, w.key, err = s.NewKey(t.Context())
	require.NoError(t, err)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(receiver.Close)
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "try later", http.StatusServiceUnavailable)
	}))
	t.Cleanup(broken.Close)
	w.texts = map[string]string{
		"receiver": receiver.URL + "/webhooks/lntpay", "broken receiver": broken.URL + "/",
		"today": time.Now().UTC().Format(time.DateOnly) + "T00:00:00Z",
	}

	return w
}

// operations are those of openapi.yaml below /v1.
func operations(t *testing.T) map[string]operation {
	t.Helper()
	all := map[string]operation{}
	var at operation
	line := regexp.MustCompile(`(?m)^ {2}(/v1/\S*):$|^ {4}(get|put|post|patch|delete):$|^ {6}operationId: (\w+)$`)
	for _, found := range line.FindAllStringSubmatch(string(api.OpenAPI()), -1) {
		switch {
		case found[1] != "":
			at.path = found[1]
		case found[2] != "":
			at.method = strings.ToUpper(found[2])
		case found[3] != "getOpenAPI":
			all[found[3]] = at
		}
	}
	require.Greater(t, len(all), 20)

	return all
}

// noun is the last part of a path that is no parameter.
func (o operation) noun() string {
	parts := strings.Split(strings.ReplaceAll(o.path, "/{id}", ""), "/")

	return parts[len(parts)-1]
}

var reference = regexp.MustCompile(`\$\{([^}]+)\}`)

// resolve puts in what a text refers to.
func (w *walk) resolve(t *testing.T, text string) string {
	t.Helper()

	return reference.ReplaceAllStringFunc(text, func(found string) string {
		name, path, _ := strings.Cut(reference.FindStringSubmatch(found)[1], ".")
		if text, ok := w.texts[name]; ok {
			return text
		}
		value := w.answers[name]
		for step := range strings.SplitSeq(path, ".") {
			if list, ok := value.([]any); ok {
				i, err := strconv.Atoi(step)
				require.NoError(t, err, found)
				value = list[i]
			} else {
				of, _ := value.(object)
				value = of[step]
			}
		}
		resolved, ok := value.(string)
		require.True(t, ok, "%s is nothing that a row before has answered", found)

		return resolved
	})
}

// do makes a row's request.
func (w *walk) do(t *testing.T, r row) api.Example {
	t.Helper()
	if r.before != nil {
		r.before(t, w)
	}
	at, ok := w.operations[r.operation]
	require.True(t, ok, "%s is no operationId of openapi.yaml", r.operation)
	e := api.Example{Operation: r.operation, Name: r.name, Method: at.method, Status: r.status}
	e.Path = strings.ReplaceAll(at.path, "{id}", w.resolve(t, r.id))
	if r.query != "" {
		e.Path += "?" + w.resolve(t, r.query)
	}
	if body := w.resolve(t, r.body); body != "" && r.status < http.StatusBadRequest {
		e.Request = json.RawMessage(body)
	}
	if r.after != "" {
		e.ContentType, e.Answer = "text/event-stream", w.stream(t, e.Path, w.resolve(t, r.after))

		return e
	}
	answer := w.ask(t, r, &e)
	w.answers[r.name], w.answers[r.name+" "+at.noun()] = answer, answer

	return e
}

// settleTimeout is for an answer to become what it will stay.
const settleTimeout = 40 * time.Second

// ask sends a row's request until the answer is as it will stay.
func (w *walk) ask(t *testing.T, r row, e *api.Example) (answer any) {
	t.Helper()
	tick, limit := time.NewTicker(100*time.Millisecond), time.After(settleTimeout)
	defer tick.Stop()
	for {
		var body []byte
		e.ContentType, body = w.send(t, r, *e)
		if len(body) == 0 {
			return nil
		}
		e.Answer, answer = body, nil
		require.NoError(t, json.Unmarshal(body, &answer))
		of, _ := answer.(object)
		if r.until == nil || r.until(of) {
			return answer
		}
		select {
		case <-tick.C:
		case <-limit:
			require.Fail(t, "an answer is not as it will stay", "%s %s: %s", r.operation, r.name, body)
		}
	}
}

func (w *walk) request(t *testing.T, r row, e api.Example) *http.Request {
	t.Helper()
	body := w.resolve(t, r.body)
	request, err := http.NewRequestWithContext(t.Context(), e.Method, w.APIURL+e.Path, strings.NewReader(body))
	require.NoError(t, err)
	key := w.key
	if r.as != "" {
		key = w.resolve(t, r.as)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	if r.key != "" {
		request.Header.Set("Idempotency-Key", r.key)
	}
	switch {
	case r.media != "":
		request.Header.Set("Content-Type", r.media)
	case body != "":
		request.Header.Set("Content-Type", "application/json")
	}

	return request
}

// send makes one request, and insists on the status.
func (w *walk) send(t *testing.T, r row, e api.Example) (contentType string, body []byte) {
	t.Helper()
	response, err := w.http.Do(w.request(t, r, e))
	require.NoError(t, err)
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, r.status, response.StatusCode, "%s %s: %s", r.operation, r.name, body)
	contentType, _, _ = strings.Cut(response.Header.Get("Content-Type"), ";")
	if len(body) == 0 {
		contentType = ""
	}

	return contentType, body
}

// stream reads a stream up to its first event, and gives what was sent.
func (w *walk) stream(t *testing.T, path, after string) json.RawMessage {
	t.Helper()
	request := w.request(t, row{}, api.Example{Method: http.MethodGet, Path: path})
	var sent bytes.Buffer
	client := &http.Client{Transport: teeing{&sent}, Timeout: 20 * time.Second}
	stream, err := sse.Open(client, request, after)
	require.NoError(t, err)
	defer stream.Close()
	_, err = stream.NextEvent()
	require.NoError(t, err)
	// What was read beyond it is another event.
	whole := regexp.MustCompile(`(?s)\A.*?\ndata: [^\n]*\n\n`).FindString(sent.String())
	text, err := json.Marshal(whole)
	require.NoError(t, err)

	return text
}

// teeing keeps what is read of answers.
type teeing struct{ into io.Writer }

// RoundTrip implements http.RoundTripper.
func (t teeing) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(request)
	if err == nil {
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(response.Body, t.into), response.Body}
	}

	return response, err
}
