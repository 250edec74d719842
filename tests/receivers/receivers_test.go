package receivers_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/webhooks"
)

// event is one that was written: the bytes are those that are delivered.
type event struct {
	id       string
	sequence int64
	body     []byte
}

// newEvents writes n events, the first of which has the sequence 1. What they
// hold is written in another way by other JSON encoders.
func newEvents(t *testing.T, n int) []event {
	t.Helper()
	events := make([]event, n)
	for i := range events {
		e := payments.Event{
			ID: payments.NewID(payments.PrefixEvent), Environment: payments.Sandbox, Type: payments.EventChargePaid,
			Sequence: int64(i + 1), CreatedAt: time.Now(),
			Object: map[string]any{"id": "ch_1", "description": "<tea> & kávé", "sequence": 7, "amount_msat": int64(1) << 52},
		}
		body, err := json.Marshal(e)
		require.NoError(t, err)
		events[i] = event{e.ID, e.Sequence, body}
	}

	return events
}

func entries(events []event) (list []string) {
	for _, e := range events {
		list = append(list, e.entry())
	}

	return list
}

// deliver makes one delivery as the worker does.
func deliver(t *testing.T, to receiver, secrets webhooks.Secrets, e event) webhooks.Result {
	t.Helper()
	sender := webhooks.NewSender(webhooks.Policy{AllowPrivate: true}, webhooks.Options{})
	result, err := sender.Send(t.Context(), webhooks.Request{URL: to.url, EventID: e.id, Body: e.body, Secrets: secrets})
	require.NoError(t, err)

	return result
}

// post sends what no sender would, and gives the answer's status.
func post(t *testing.T, to receiver, header http.Header, body []byte) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to.url, bytes.NewReader(body))
	require.NoError(t, err)
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())

	return response.StatusCode
}

// reserialised is a body read and written again.
func reserialised(t *testing.T, body []byte, write func(any) ([]byte, error)) []byte {
	t.Helper()
	var value any
	require.NoError(t, json.Unmarshal(body, &value))
	again, err := write(value)
	require.NoError(t, err)
	require.JSONEq(t, string(body), string(again))
	require.NotEqual(t, body, again)

	return again
}

func indented(value any) ([]byte, error) { return json.MarshalIndent(value, "", "  ") }

// unescaped is how Node and Python write it, but for the order of the keys.
func unescaped(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)

	return bytes.TrimSpace(text.Bytes()), err
}

// altered is a genuine delivery, made just now unless age says otherwise, and
// then changed.
type altered struct {
	age    time.Duration
	header func(h http.Header)
	body   func(t *testing.T, body []byte) []byte
}

func (a altered) post(t *testing.T, to receiver, secret string, e event) int {
	t.Helper()
	header, err := webhooks.Headers(webhooks.Secrets{Current: secret}, e.id, time.Now().Add(-a.age), e.body)
	require.NoError(t, err)
	if a.header != nil {
		a.header(header)
	}
	body := e.body
	if a.body != nil {
		body = a.body(t, body)
	}

	return post(t, to, header, body)
}

func set(name, value string) func(http.Header) {
	return func(h http.Header) { h.Set(name, value) }
}

func remove(names ...string) func(http.Header) {
	return func(h http.Header) {
		for _, name := range names {
			h.Del(name)
		}
	}
}

func forgeries() map[string]altered {
	return map[string]altered{
		"no signature":               {header: remove("webhook-signature")},
		"the other signature alone":  {header: remove("webhook-signature", "webhook-id", "webhook-timestamp")},
		"no header at all":           {header: func(h http.Header) { clear(h) }},
		"an empty signature":         {header: set("webhook-signature", "")},
		"a version without a value":  {header: set("webhook-signature", "v1,")},
		"not base64":                 {header: set("webhook-signature", "v1,* é v1,%%%")},
		"a signature of nothing":     {header: set("webhook-signature", "v1,"+strings.Repeat("A", 43)+"=")},
		"half a signature":           {header: func(h http.Header) { h.Set("webhook-signature", h.Get("webhook-signature")[:20]) }},
		"another version":            {header: func(h http.Header) { h.Set("webhook-signature", "v2"+h.Get("webhook-signature")[2:]) }},
		"another event's id":         {header: set("webhook-id", "evt_2")},
		"no id":                      {header: remove("webhook-id")},
		"another time":               {header: set("webhook-timestamp", fmt.Sprint(time.Now().Unix()-60))},
		"no timestamp":               {header: remove("webhook-timestamp")},
		"a timestamp that is none":   {header: set("webhook-timestamp", "now")},
		"a timestamp beyond numbers": {header: set("webhook-timestamp", strings.Repeat("9", 5000))},
		"an old timestamp":           {age: 5*time.Minute + 10*time.Second},
		"a timestamp to come":        {age: -5*time.Minute - 10*time.Second},
		"a body read and written again": {body: func(t *testing.T, body []byte) []byte {
			return reserialised(t, body, unescaped)
		}},
		"a body made readable": {body: func(t *testing.T, body []byte) []byte {
			return reserialised(t, body, indented)
		}},
		"a body with a line end": {body: func(_ *testing.T, body []byte) []byte { return append(bytes.Clone(body), '\n') }},
		"no body":                {body: func(*testing.T, []byte) []byte { return nil }},
	}
}

func TestReceiversRefuse(t *testing.T) {
	t.Parallel()
	forEach(t, examples(), func(t *testing.T, start starter) {
		secret := webhooks.NewSecret()
		r := start(t, settings{secrets: []string{secret}, inbox: t.TempDir()})
		events := newEvents(t, 1)
		for name, forgery := range forgeries() {
			require.Equal(t, http.StatusBadRequest, forgery.post(t, r, secret, events[0]), name)
		}
		wrong := deliver(t, r, webhooks.Secrets{Current: webhooks.NewSecret()}, events[0])
		require.Equal(t, http.StatusBadRequest, wrong.StatusCode, "another endpoint's secret")
		require.Empty(t, r.recorded(t))
		// It has not only refused everything.
		require.Empty(t, deliver(t, r, webhooks.Secrets{Current: secret}, events[0]).Err)
		require.Equal(t, entries(events), r.handled(t, 1))
	})
}

func TestReceiversAccept(t *testing.T) {
	t.Parallel()
	genuine := map[string]altered{
		"an old one within the tolerance":  {age: 4*time.Minute + 30*time.Second},
		"a clock that is ahead":            {age: -4*time.Minute - 30*time.Second},
		"without the other signature":      {header: remove("x-lntpay-signature")},
		"a signature of a version to come": {header: func(h http.Header) { h.Set("webhook-signature", "v1a,bmV3 "+h.Get("webhook-signature")) }},
	}
	forEach(t, examples(), func(t *testing.T, start starter) {
		secret := webhooks.NewSecret()
		for name, delivery := range genuine {
			r := start(t, settings{secrets: []string{secret}, inbox: t.TempDir()})
			events := newEvents(t, 1)
			require.Equal(t, http.StatusNoContent, delivery.post(t, r, secret, events[0]), name)
			require.Equal(t, entries(events), r.handled(t, 1), name)
		}
	})
}

func TestReceiversRotateTheSecret(t *testing.T) {
	t.Parallel()
	older, newer := webhooks.NewSecret(), webhooks.NewSecret()
	// What LNTPay signs with, and which of the receivers below then accept.
	phases := []struct {
		secrets        webhooks.Secrets
		old, both, new bool
	}{
		{webhooks.Secrets{Current: older}, true, true, false},
		{webhooks.Secrets{Current: newer, Previous: older}, true, true, true},
		{webhooks.Secrets{Current: newer}, false, true, true},
	}
	forEach(t, examples(), func(t *testing.T, start starter) {
		withOld := start(t, settings{secrets: []string{older}, inbox: t.TempDir()})
		withBoth := start(t, settings{secrets: []string{newer, older}, inbox: t.TempDir()})
		withNew := start(t, settings{secrets: []string{newer}, inbox: t.TempDir()})
		for i, e := range newEvents(t, len(phases)) {
			phase := phases[i]
			require.Equal(t, phase.old, deliver(t, withOld, phase.secrets, e).OK(), "the old secret in phase %d", i)
			require.Equal(t, phase.both, deliver(t, withBoth, phase.secrets, e).OK(), "both secrets in phase %d", i)
			require.Equal(t, phase.new, deliver(t, withNew, phase.secrets, e).OK(), "the new secret in phase %d", i)
		}
	})
}

// TestReceiversOnceAndInOrder delivers each event twice, in any order and
// several at the same time.
func TestReceiversOnceAndInOrder(t *testing.T) {
	t.Parallel()
	forEach(t, examples(), func(t *testing.T, start starter) {
		secrets := webhooks.Secrets{Current: webhooks.NewSecret()}
		r := start(t, settings{secrets: []string{secrets.Current}, inbox: t.TempDir()})
		events := newEvents(t, 12)
		first, second, third := events[0], events[1], events[2]
		for _, e := range []event{third, second, third} {
			require.Empty(t, deliver(t, r, secrets, e).Err, "one that must wait, too, is answered at once")
		}
		require.Empty(t, deliver(t, r, secrets, first).Err)
		require.Equal(t, entries(events[:3]), r.handled(t, 3))
		twice := append(append([]event{}, events...), events...)
		rand.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
		var group errgroup.Group
		group.SetLimit(4)
		results := make([]webhooks.Result, len(twice))
		for i, e := range twice {
			group.Go(func() error {
				results[i] = deliver(t, r, secrets, e)

				return nil
			})
		}
		require.NoError(t, group.Wait())
		for _, result := range results {
			require.Empty(t, result.Err)
		}
		require.Equal(t, entries(events), r.handled(t, len(events)))
		require.Equal(t, entries(events), r.recorded(t))
	})
}

// TestReceiversNeedASecret: with an empty key everybody can sign.
func TestReceiversNeedASecret(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	signedWithNothing(t, folder)
	programs := map[string][]string{
		"go":     {buildGo(t)},
		"node":   {need(t, "node"), example("node/receiver.js")},
		"python": {need(t, "python3"), example("python/receiver.py")},
		"shell":  {example("shell/verify.sh"), folder + "/headers", folder + "/body"},
	}
	for name, command := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, secret := range []string{"", "whsec_", "whsec_!", "whsec_ " + webhooks.NewSecret()} {
				cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
				cmd.Env = append(os.Environ(), "PORT=0", "EVENTS_FILE="+t.TempDir()+"/events.jsonl", "LNTPAY_WEBHOOK_SECRET="+secret)
				output, err := cmd.CombinedOutput()
				var exit *exec.ExitError
				require.ErrorAs(t, err, &exit, "secret %q\n%s", secret, output)
				require.Equal(t, 1, exit.ExitCode(), "secret %q\n%s", secret, output)
			}
		})
	}
}

// signedWithNothing writes a delivery that was made without a secret.
func signedWithNothing(t *testing.T, folder string) {
	t.Helper()
	now := fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, nil)
	_, _ = mac.Write([]byte("evt_1." + now + ".{}"))
	signature := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	headers := "webhook-id: evt_1\nwebhook-timestamp: " + now + "\nwebhook-signature: v1, " + signature + "\n"
	require.NoError(t, os.WriteFile(folder+"/headers", []byte(headers), 0o600))
	require.NoError(t, os.WriteFile(folder+"/body", []byte("{}"), 0o600))
}
