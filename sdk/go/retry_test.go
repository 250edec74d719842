package lntpay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// requireOneWrite checks that all requests were the same, key and bytes.
func requireOneWrite(t *testing.T, all []seen, tries int) {
	t.Helper()
	equal(t, tries, len(all))
	for _, one := range all {
		equal(t, all[0].header.Get("Idempotency-Key"), one.header.Get("Idempotency-Key"))
		equal(t, all[0].body, one.body)
	}
	if all[0].header.Get("Idempotency-Key") == "" {
		t.Fatal("no key")
	}
}

func TestRepeatsWithTheSameKey(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]http.HandlerFunc{
		"503":                    refusal(http.StatusServiceUnavailable, ErrServiceUnavailable, "Retry-After", "0"),
		"503 of a proxy":         answer(http.StatusServiceUnavailable, "<html>", "Content-Type", "text/html"),
		"429":                    refusal(http.StatusTooManyRequests, ErrRateLimited, "Retry-After", "0"),
		"cut before the answer":  cut,
		"cut within the answer":  cutWithin,
		"an answer without body": answer(http.StatusServiceUnavailable, ""),
	} {
		c, server := play(t, first, first, answer(http.StatusCreated, charge("ch_1", ChargePending)))
		got, err := c.Charges.Create(t.Context(), ChargeParams{AmountMsat: 21 * Sat, Metadata: map[string]string{"a": "b", "c": "d"}})
		if err != nil {
			t.Fatal(name, err)
		}
		equal(t, "ch_1", got.ID)
		requireOneWrite(t, server.requests(), 3)
		if _, err := c.Charges.Create(t.Context(), ChargeParams{}); err != nil {
			t.Fatal(name, err)
		}
		all := server.requests()
		if all[0].header.Get("Idempotency-Key") == all[3].header.Get("Idempotency-Key") {
			t.Fatal("two calls with one key")
		}
	}
}

func TestRepeatsWithTheCallersKey(t *testing.T) {
	t.Parallel()
	c, server := play(t, cut, answer(http.StatusCreated, `{"id":"wd_1"}`))
	_, err := c.Withdrawals.Create(t.Context(), WithdrawalParams{Bolt11: "lnbc1"}, WithIdempotencyKey("payout-42"))
	noError(t, err)
	requireOneWrite(t, server.requests(), 2)
	equal(t, "payout-42", server.requests()[0].header.Get("Idempotency-Key"))
}

func TestATryThatTakesTooLongIsRepeated(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	c, server := play(t, hang, answer(http.StatusCreated, charge("ch_1", "")))
	c.tryTimeout = 200 * time.Millisecond
	_, err := c.Charges.Create(t.Context(), ChargeParams{})
	noError(t, err)
	// A slow machine may take longer for the second try too.
	requireOneWrite(t, server.requests(), max(2, len(server.requests())))
}

// Nothing else is repeated.
func TestDoesNotRepeat(t *testing.T) {
	t.Parallel()
	for _, status := range []int{300, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 500, 501, 502, 504} {
		c, server := play(t, refusal(status, "some_code"))
		_, err := c.Withdrawals.Create(t.Context(), WithdrawalParams{})
		equal(t, status, errorAs[*Error](t, err).Status)
		equal(t, 1, len(server.requests()))
		_, unknown := errors.AsType[*UnknownOutcomeError](err)
		equal(t, status >= http.StatusInternalServerError, unknown)
	}
}

func TestGivesUp(t *testing.T) {
	t.Parallel()
	c, server := play(t, refusal(http.StatusServiceUnavailable, ErrServiceUnavailable))
	_, err := c.Withdrawals.Create(t.Context(), WithdrawalParams{})
	errorIs(t, err, ErrServiceUnavailable)
	unknown := errorAs[*UnknownOutcomeError](t, err)
	requireOneWrite(t, server.requests(), 1+DefaultMaxRetries)
	equal(t, server.requests()[0].header.Get("Idempotency-Key"), unknown.IdempotencyKey)

	// A read has no outcome, and neither has what was never let in.
	_, err = c.Ledger.Balance(t.Context())
	equal(t, ErrServiceUnavailable, errorAs[*Error](t, err).Code)
	c, _ = play(t, refusal(http.StatusTooManyRequests, ErrRateLimited))
	_, err = c.Withdrawals.Create(t.Context(), WithdrawalParams{})
	errorIs(t, err, ErrRateLimited)
	if _, ok := errors.AsType[*UnknownOutcomeError](err); ok {
		t.Fatal("429 is not unknown")
	}
	c.maxRetries = 0
	_, err = c.Ledger.Balance(t.Context())
	errorIs(t, err, ErrRateLimited)
}

// After an answer was lost, the next speaks for both, unless it is one that is
// given before the key is looked for.
func TestOutcomeAfterALostAnswer(t *testing.T) {
	t.Parallel()
	for status, unknown := range map[int]bool{401: true, 403: true, 409: false, 422: false, 500: true} {
		c, _ := play(t, cut, refusal(status, "some_code"))
		_, err := c.Withdrawals.Create(t.Context(), WithdrawalParams{})
		errorIs(t, err, Code("some_code"))
		_, got := errors.AsType[*UnknownOutcomeError](err)
		equal(t, unknown, got)
	}
}

func TestDeleteAfterALostAnswer(t *testing.T) {
	t.Parallel()
	c, _ := play(t, cut, refusal(http.StatusNotFound, ErrNotFound))
	noError(t, c.Keys.Delete(t.Context(), "key_1"))
	c, _ = play(t, refusal(http.StatusNotFound, ErrNotFound))
	errorIs(t, c.Keys.Delete(t.Context(), "key_1"), ErrNotFound)
	c, _ = play(t, answer(http.StatusNoContent, ""))
	noError(t, c.Keys.Delete(t.Context(), "key_1"))
}

// inner is a network in the test's own time.
type inner func(*http.Request) (*http.Response, error)

func (i inner) RoundTrip(r *http.Request) (*http.Response, error) { return i(r) }

func canned(status int, body string, header http.Header) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Header: header, Body: io.NopCloser(strings.NewReader(body)),
	}
}

func inBubble(t *testing.T, network inner) *Client {
	t.Helper()
	c, err := New(Options{APIKey: "k", BaseURL: "http://lntpay.test", HTTPClient: &http.Client{Transport: network}})
	noError(t, err)

	return c
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func() string{
		"seconds": func() string { return "20" },
		"date":    func() string { return time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat) },
	} {
		synctest.Test(t, func(t *testing.T) {
			var times []time.Time
			c := inBubble(t, func(*http.Request) (*http.Response, error) {
				times = append(times, time.Now())
				if len(times) == 1 {
					return canned(http.StatusTooManyRequests, "", http.Header{"Retry-After": {after()}}), nil
				}

				return canned(http.StatusOK, `{}`, http.Header{}), nil
			})
			_, err := c.Ledger.Balance(t.Context())
			noError(t, err)
			waited := times[1].Sub(times[0])
			if waited < 20*time.Second || waited > 21*time.Second {
				t.Fatal(name, waited)
			}
		})
	}
}

// A server that asks for more time than there is gets its way, and the caller
// the answer at once.
func TestRetryAfterBeyondTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		c := inBubble(t, func(*http.Request) (*http.Response, error) {
			return canned(http.StatusTooManyRequests, "", http.Header{"Retry-After": {"3600"}}), nil
		})
		_, err := c.Ledger.Balance(t.Context())
		equal(t, time.Hour, errorAs[*Error](t, err).RetryAfter)
		equal(t, 0, time.Since(began))
	})
}

func TestBackoffAndDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries int
		c := inBubble(t, func(*http.Request) (*http.Response, error) {
			tries++

			return nil, errors.New("no network")
		})
		began := time.Now()
		_, err := c.Charges.Create(t.Context(), ChargeParams{})
		_ = errorAs[*UnknownOutcomeError](t, err)
		equal(t, 1+DefaultMaxRetries, tries)
		// 0.25 + 0.5 + 1 + 2 + 4 + 8 s, up to half less.
		if took := time.Since(began); took < 7875*time.Millisecond || took > 15750*time.Millisecond {
			t.Fatal(took)
		}
		// A network that swallows everything ends by the call's own deadline.
		c = inBubble(t, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()

			return nil, r.Context().Err()
		})
		began = time.Now()
		_, err = c.Ledger.Balance(context.Background())
		errorIs(t, err, context.DeadlineExceeded)
		if took := time.Since(began); took > DefaultTimeout || took < DefaultTimeout-DefaultTryTimeout {
			t.Fatal(took)
		}
	})
}

func TestTheContextEndsACall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := inBubble(t, func(*http.Request) (*http.Response, error) {
			return canned(http.StatusServiceUnavailable, "", http.Header{"Retry-After": {"30"}}), nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		_, err := c.Charges.Create(ctx, ChargeParams{})
		errorIs(t, err, context.Canceled)
		_ = errorAs[*UnknownOutcomeError](t, err)
		_ = errorAs[*Error](t, err)
		equal(t, time.Second, time.Since(began))
		_, err = c.Charges.Create(ctx, ChargeParams{})
		errorIs(t, err, context.Canceled)
		if _, ok := errors.AsType[*UnknownOutcomeError](err); ok {
			t.Fatal("it was not sent")
		}
	})
}

func TestALongAnswerIsNotRead(t *testing.T) {
	t.Parallel()
	c := inBubble(t, func(*http.Request) (*http.Response, error) {
		endless := canned(http.StatusOK, "", http.Header{})
		endless.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), blanks{}))

		return endless, nil
	})
	if _, err := c.Ledger.Balance(t.Context()); err == nil || !strings.Contains(err.Error(), "over") {
		t.Fatal(err)
	}
}

type blanks struct{}

func (blanks) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte{' '}, len(p))), nil }
