package lntpay

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer is more than the longest page of a list.
const maxAnswer = 64 << 20

// WriteOption changes one call that writes.
type WriteOption func(*request)

// WithIdempotencyKey names a write: 1 to 255 printable ASCII characters, new for
// each new write. The same call with the same key has its effect once, and is
// answered the same again for a day at least, also from another process and
// after a crash. Without it a random key covers the retries of the one call.
func WithIdempotencyKey(key string) WriteOption {
	return func(r *request) { r.key = key }
}

// request is one call, however often it is tried.
type request struct {
	method, path string
	query        url.Values
	// body is made JSON once: a repeat must have the same bytes.
	body any
	// key is the Idempotency-Key of a write that needs one to be repeated.
	key string
	// wait is how long the API holds the answer back.
	wait time.Duration
	// err is what is wrong with it already.
	err error
}

func get(path string, query url.Values) request {
	return request{method: http.MethodGet, path: path, query: query}
}

func post(path string, body any, options []WriteOption) request {
	r := request{method: http.MethodPost, path: path, body: body, key: rand.Text()}
	for _, option := range options {
		option(&r)
	}
	if len(r.key) == 0 || len(r.key) > 255 || strings.ContainsFunc(r.key, func(c rune) bool { return c < ' ' || c > '~' }) {
		r.err = errors.New("lntpay: an Idempotency-Key is 1 to 255 printable ASCII characters")
	}

	return r
}

// on puts the id of an object into the path, between path and rest. What cannot
// be an id would be another path.
func (r request) on(id, rest string) request {
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '_' {
			id = ""
		}
	}
	if id == "" {
		r.err = errors.New("lntpay: that is no id")
	}
	r.path += "/" + id + rest

	return r
}

// do makes a call, with its retries, and reads the answer into answer unless
// that is nil.
func (c *Client) do(ctx context.Context, r request, answer any) error {
	if r.err != nil {
		return r.err
	}
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("lntpay: make the request: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout+r.wait)
	defer cancel()
	open, err := c.repeat(ctx, r, body, answer)
	if err == nil {
		return nil
	}
	if open && r.method == http.MethodDelete && errors.Is(err, ErrNotFound) {
		// An earlier try has deleted it, and its answer was lost.
		return nil
	}
	if open && r.key != "" {
		return &UnknownOutcomeError{IdempotencyKey: r.key, Err: err}
	}

	return err
}

// repeat tries until an answer is final, the tries are used up or the context
// does not last until the next. open tells whether one of them may have had an
// effect that no answer decided.
func (c *Client) repeat(ctx context.Context, r request, body []byte, answer any) (open bool, err error) {
	for n := 0; ; n++ {
		if ctx.Err() != nil {
			return open, over(ctx, err)
		}
		err = c.try(ctx, r, body, answer)
		if err == nil {
			return false, nil
		}
		if !retryable(err) {
			return stillOpen(open, r, err), err
		}
		open = open || undecided(err)
		pause := c.backoff.pause(n, err)
		deadline, _ := ctx.Deadline()
		if n >= c.maxRetries || time.Until(deadline) < pause {
			return open, err
		}
		sleep(ctx, pause)
	}
}

// over is the end of a context, and what the last try ended with.
func over(ctx context.Context, last error) error {
	if last == nil || errors.Is(last, ctx.Err()) {
		return fmt.Errorf("lntpay: %w", ctx.Err())
	}

	return fmt.Errorf("lntpay: %w; the last try: %w", ctx.Err(), last)
}

// stillOpen judges a final answer. One that came after a lost one speaks for
// both, because of the Idempotency-Key, unless it was given before the API
// looked for the key.
func stillOpen(open bool, r request, err error) bool {
	if undecided(err) {
		return true
	}
	problem, _ := errors.AsType[*Error](err)
	if r.method == http.MethodDelete {
		return open
	}

	return open && (problem.Status == http.StatusUnauthorized || problem.Status == http.StatusForbidden || problem.Code == "")
}

// try sends a request once.
func (c *Client) try(ctx context.Context, r request, body []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, c.tryTimeout+r.wait)
	defer cancel()
	request, err := c.newRequest(ctx, r, body)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return &lostError{err}
	}
	defer response.Body.Close()
	read, err := readAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode < http.StatusOK || response.StatusCode >= http.StatusMultipleChoices {
		return problem(response, read)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(read, answer); err != nil {
		return fmt.Errorf("lntpay: the answer %s is not as expected: %w", response.Status, err)
	}

	return nil
}

// readAll reads an answer to its end.
func readAll(body io.Reader) ([]byte, error) {
	// One byte more than allowed tells a long answer from one that fits.
	read, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return nil, &lostError{err}
	}
	if len(read) > maxAnswer {
		return nil, fmt.Errorf("lntpay: the answer is over %d bytes", maxAnswer)
	}

	return read, nil
}

func (c *Client) newRequest(ctx context.Context, r request, body []byte) (*http.Request, error) {
	address := c.baseURL + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("lntpay: make the request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+c.apiKey)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "lntpay-go")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		request.Header.Set("Idempotency-Key", r.key)
	}

	return request, nil
}

// call is do for an answer of one kind.
func call[T any](ctx context.Context, c *Client, r request) (*T, error) {
	var answer item[T]
	if err := c.do(ctx, r, &answer); err != nil {
		return nil, err
	}
	tell(ctx, answer.raw)

	return &answer.object, nil
}
