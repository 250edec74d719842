package lntpay

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// FuzzVerify: a delivery passes only with a signature that a holder of the
// secret has made of its very bytes, in time.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(vectorBody), "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", vectorSignature, vectorSecret)
	f.Add([]byte(vectorBody), "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "v1,x v2,y  "+vectorSignature+" ", otherSecret+" "+vectorSecret)
	f.Add([]byte(`{}`), "", "-9223372036854775808", "v1,", "whsec_")
	f.Add([]byte(`[`), "a.b", "+1614265330", "V1,"+vectorSignature[3:], "whsec_AAAA")
	f.Add([]byte(`{"id":1}`), "a\nb", "1614265330.", vectorSignature[3:], "whsec_\n")
	f.Fuzz(func(t *testing.T, payload []byte, id, timestamp, signature, secret string) {
		h := http.Header{}
		h.Set("webhook-id", id)
		h.Set("webhook-timestamp", timestamp)
		// The signature as it was given, and one that is right.
		for _, forged := range []bool{true, false} {
			h.Set("webhook-signature", signature)
			right := expected(id, timestamp, payload, secret)
			if !forged && len(right) == 0 {
				continue
			} else if !forged {
				h.Set("webhook-signature", "v1,bm8= "+right[0])
			}
			event, err := verifyAt(vectorTime, payload, h, []string{secret})
			if (event == nil) == (err == nil) {
				t.Fatal(event, err)
			}
			signed := slices.ContainsFunc(strings.Fields(h.Get("webhook-signature")), func(one string) bool { return slices.Contains(right, one) })
			seconds, notTime := strconv.ParseInt(timestamp, 10, 64)
			inTime := notTime == nil && seconds >= vectorTime.Unix()-300 && seconds <= vectorTime.Unix()+300
			switch {
			case err == nil && (!signed || !inTime):
				t.Fatal("a delivery passed that nobody signed now")
			case errors.Is(err, ErrSecret) != (len(right) == 0):
				t.Fatal(err, secret)
			case errors.Is(err, ErrSignature) != (len(right) > 0 && !signed):
				t.Fatal(err, signed)
			case errors.Is(err, ErrTimestamp) != (signed && !inTime):
				t.Fatal(err, timestamp)
			case signed && inTime && err != nil && json.Unmarshal(payload, &Event{}) == nil:
				t.Fatal(err)
			}
		}
	})
}

// expected are the signatures that are right, none if one of the secrets is no
// secret.
func expected(id, timestamp string, payload []byte, secrets string) (all []string) {
	for secret := range strings.FieldsSeq(secrets) {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil || len(key) == 0 || !strings.HasPrefix(secret, "whsec_") {
			return nil
		}
		sum := hmac.New(sha256.New, key)
		sum.Write(slices.Concat([]byte(id), []byte("."), []byte(timestamp), []byte("."), payload))
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	}

	return all
}

// FuzzVerifySignature: the same of the signature that knows no time.
func FuzzVerifySignature(f *testing.F) {
	f.Add([]byte(vectorBody), vectorOwn, vectorSecret, uint32(0))
	f.Add([]byte(`{}`), strings.ToUpper(vectorOwn), otherSecret+" "+vectorSecret, uint32(9))
	f.Add([]byte(``), "", "whsec_AAAA", uint32(1))
	f.Fuzz(func(t *testing.T, payload []byte, signature, secret string, at uint32) {
		if len(expected("", "", nil, secret)) == 0 {
			_, err := VerifySignature(payload, http.Header{"X-Lntpay-Signature": {signature}}, secret)
			errorIs(t, err, ErrSecret)

			return
		}
		one := strings.Fields(secret)[0]
		sum := hmac.New(sha256.New, []byte(one))
		sum.Write(payload)
		right := hex.EncodeToString(sum.Sum(nil))
		verify := func(payload []byte, signature string) error {
			_, err := VerifySignature(payload, http.Header{"X-Lntpay-Signature": {signature}}, one)

			return err
		}
		if err := verify(payload, right); errors.Is(err, ErrSignature) {
			t.Fatal(err)
		}
		if signature != right {
			errorIs(t, verify(payload, signature), ErrSignature)
		}
		flipped := []byte(right)
		flipped[int(at)%len(flipped)] ^= 1 << (at % 7)
		errorIs(t, verify(payload, string(flipped)), ErrSignature)
		if len(payload) > 0 {
			changed := bytes.Clone(payload)
			changed[int(at)%len(changed)] ^= 1 << (at % 8)
			errorIs(t, verify(changed, right), ErrSignature)
		}
	})
}

// FuzzStream: events come out of a stream as the standard says, however its
// bytes are cut into reads, and what was cut off before its end is none.
func FuzzStream(f *testing.F) {
	for _, text := range []string{
		"retry: 1000\n\n", "id: evt_1\nevent: charge.paid\ndata: {}\n\n", "data: a\ndata: b\n\n", ": \n\n", "data\n\n", "data:\n\ndata: x", "data:  two\r\n\r\n",
		"retry: -1\nretry: 99999999999\nretry: 5x\ndata: 1\n\n", "\n\n\n", "data: \xff\n\n", "dataa: 1\n\n", "data : 1\n\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		whole, wholeRetry := streamed(t, bytes.NewReader(text))
		bytewise, bytewiseRetry := streamed(t, iotest.OneByteReader(bytes.NewReader(text)))
		equal(t, whole, bytewise)
		equal(t, wholeRetry, bytewiseRetry)
		equal(t, dispatched(string(text)), whole)
		if wholeRetry < 0 {
			t.Fatal(wholeRetry)
		}
		if slices.ContainsFunc(whole, func(data string) bool { return strings.Contains(data, "\r") }) {
			return // A carriage return alone ends no line here: LNTPay sends none.
		}
		// What it says is read again as it was said.
		var again strings.Builder
		for _, data := range whole {
			again.WriteString("data: " + strings.ReplaceAll(data, "\n", "\ndata: ") + "\n\n")
		}
		read, _ := streamed(t, strings.NewReader(again.String()))
		equal(t, whole, read)
	})
}

func streamed(t *testing.T, from io.Reader) (all []string, retry time.Duration) {
	t.Helper()
	r := newSSEReader(from, func() {})
	for {
		data, err := r.next()
		if err != nil {
			_ = errorAs[*lostError](t, err)
			errorIs(t, err, io.EOF)

			return all, r.retry
		}
		all = append(all, data)
	}
}

// dispatched reads a whole stream by the steps of the standard ("Interpreting
// an event stream"), whose lines end in a line feed, with or without a carriage
// return before it. A carriage return at the very end is the end of a line too.
func dispatched(stream string) (all []string) {
	var buffer strings.Builder
	given := false
	lines := strings.Split(stream, "\n")
	if lines[len(lines)-1] == "\r" {
		lines = append(lines, "")
	}
	for _, line := range lines[:len(lines)-1] {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			if given {
				all = append(all, strings.TrimSuffix(buffer.String(), "\n"))
			}
			buffer.Reset()
			given = false

			continue
		}
		field, value := line, ""
		if colon := strings.IndexByte(line, ':'); colon >= 0 {
			field, value = line[:colon], strings.TrimPrefix(line[colon+1:], " ")
		}
		if field == "data" {
			given = true
			buffer.WriteString(value + "\n")
		}
	}

	return all
}

// FuzzAnswer: whatever a server, or a proxy in its place, answers, the client
// gives an object or an error of its own.
func FuzzAnswer(f *testing.F) {
	f.Add(400, "application/problem+json", `{"code":"invalid_request","status":400,"detail":"x","request_id":"r","errors":[{"field":"a","message":"b"}]}`, "")
	f.Add(503, "text/html", "<html>", "1")
	f.Add(429, "application/json", `{"code":5}`, "Sun, 22 Nov 2026 19:00:00 GMT")
	f.Add(200, "application/json", `{"id":"ch_1","amount_msat":1e3}`, "-1")
	f.Add(201, "application/json", `null`, "999999999999999999999")
	f.Fuzz(func(t *testing.T, status int, media, body, retryAfter string) {
		if status < 200 || status > 599 {
			t.Skip("no status of an answer")
		}
		server := roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Header: http.Header{"Content-Type": {media}, "Retry-After": {retryAfter}}, Body: io.NopCloser(strings.NewReader(body)),
			}, nil
		})
		c, err := New(Options{APIKey: "lnt_sandbox_test", BaseURL: "http://127.0.0.1:1", HTTPClient: &http.Client{Transport: server}, MaxRetries: -1})
		noError(t, err)
		got, err := c.Charges.Get(t.Context(), "ch_1")
		if (got == nil) == (err == nil) {
			t.Fatal(got, err)
		}
		var refused *Error
		if err != nil && errors.As(err, &refused) && refused.Error() == "" {
			t.Fatal("an error without words")
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (r roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
