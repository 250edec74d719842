package lntpay

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

// The vectors of docs/webhooks.md, and the old secret of a rotation.
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	vectorOwn       = "80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c"
	otherSecret     = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

var vectorTime = time.Unix(1614265330, 0)

func vector() http.Header {
	h := http.Header{}
	h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set("webhook-timestamp", "1614265330")
	h.Set("webhook-signature", vectorSignature)
	h.Set("x-lntpay-signature", vectorOwn)

	return h
}

func TestVerify(t *testing.T) {
	t.Parallel()
	event, err := verifyAt(vectorTime, []byte(vectorBody), vector(), []string{vectorSecret})
	noError(t, err)
	equal(t, Event{}, *event)
	_, err = VerifySignature([]byte(vectorBody), vector(), vectorSecret)
	noError(t, err)
	// The present is not then.
	_, err = Verify([]byte(vectorBody), vector(), vectorSecret)
	errorIs(t, err, ErrTimestamp)
}

// During a rotation a delivery has two signatures, and a receiver two secrets:
// any pair that fits will do.
func TestVerifyInARotation(t *testing.T) {
	t.Parallel()
	both := vector()
	both.Set("webhook-signature", "v1,bm90IHRoaXMgb25lLCBidXQgYXMgbG9uZyBhcyBvbmU= v2,x "+vectorSignature)
	for _, secrets := range [][]string{{vectorSecret}, {otherSecret, vectorSecret}, {vectorSecret + " " + otherSecret}} {
		for _, header := range []http.Header{vector(), both} {
			_, err := verifyAt(vectorTime, []byte(vectorBody), header, secrets)
			noError(t, err)
			_, err = VerifySignature([]byte(vectorBody), header, secrets...)
			noError(t, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	with := func(name, value string) http.Header {
		h := vector()
		h.Set(name, value)

		return h
	}
	for name, of := range map[string]struct {
		body   string
		header http.Header
		secret string
		at     time.Time
		want   error
	}{
		"another body":      {`{"test": 2432232315}`, vector(), vectorSecret, vectorTime, ErrSignature},
		"another secret":    {vectorBody, vector(), otherSecret, vectorTime, ErrSignature},
		"another id":        {vectorBody, with("webhook-id", "msg_x"), vectorSecret, vectorTime, ErrSignature},
		"another time":      {vectorBody, with("webhook-timestamp", "1614265331"), vectorSecret, vectorTime, ErrSignature},
		"no signature":      {vectorBody, with("webhook-signature", ""), vectorSecret, vectorTime, ErrSignature},
		"another version":   {vectorBody, with("webhook-signature", "v2"+vectorSignature[2:]), vectorSecret, vectorTime, ErrSignature},
		"no headers":        {vectorBody, nil, vectorSecret, vectorTime, ErrSignature},
		"late":              {vectorBody, vector(), vectorSecret, vectorTime.Add(tolerance + 1), ErrTimestamp},
		"early":             {vectorBody, vector(), vectorSecret, vectorTime.Add(-tolerance - 1), ErrTimestamp},
		"an empty secret":   {vectorBody, vector(), "whsec_", vectorTime, ErrSecret},
		"no secret":         {vectorBody, vector(), "", vectorTime, ErrSecret},
		"a secret of words": {vectorBody, vector(), "secret", vectorTime, ErrSecret},
	} {
		event, err := verifyAt(of.at, []byte(of.body), of.header, []string{of.secret})
		if !errors.Is(err, of.want) || event != nil {
			t.Fatal(name, err)
		}
	}
	for _, at := range []time.Time{vectorTime.Add(tolerance), vectorTime.Add(-tolerance)} {
		_, err := verifyAt(at, []byte(vectorBody), vector(), []string{vectorSecret})
		noError(t, err)
	}
	for _, own := range []string{"", vectorOwn[:63], vectorOwn + "0", "80EC" + vectorOwn[4:], vectorOwn + " " + vectorOwn} {
		_, err := VerifySignature([]byte(vectorBody), with("x-lntpay-signature", own), vectorSecret)
		errorIs(t, err, ErrSignature)
	}
}

func TestVerifyByTheEnvironment(t *testing.T) {
	t.Setenv(EnvWebhookSecret, otherSecret+" "+vectorSecret)
	_, err := VerifySignature([]byte(vectorBody), vector())
	noError(t, err)
	t.Setenv(EnvWebhookSecret, "")
	_, err = VerifySignature([]byte(vectorBody), vector())
	errorIs(t, err, ErrSecret)
}

func TestEventObjects(t *testing.T) {
	t.Parallel()
	event, err := parseEvent([]byte(`{"id":"evt_1","object":"event","type":"charge.paid","environment":"sandbox","sequence":42,
		"created_at":"2026-01-31T12:00:31.123456Z","data":{"object":` + charge("ch_1", ChargePaid) + `}}`))
	noError(t, err)
	equal(t, EventChargePaid, event.Type)
	paid, err := event.Charge()
	noError(t, err)
	equal(t, "ch_1", paid.ID)
	if _, err := event.Withdrawal(); err == nil {
		t.Fatal("a charge is no withdrawal")
	}
	// A type of the future is passed on as it is.
	event, err = parseEvent([]byte(`{"id":"evt_2","type":"refund.made","sequence":43,"data":{"object":{"object":"refund", "x":1}}}`))
	noError(t, err)
	equal(t, "refund.made", event.Type)
	equal(t, `{"object":"refund", "x":1}`, string(event.Data.Object))
	if _, err := event.WebhookEndpoint(); err == nil {
		t.Fatal("a refund is no endpoint")
	}
	if _, err := parseEvent([]byte(`{`)); err == nil {
		t.Fatal("no JSON")
	}
}
