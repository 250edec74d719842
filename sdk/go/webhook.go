package lntpay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// tolerance is how far a delivery's timestamp may be from the clock.
const tolerance = 5 * time.Minute

// Why [Verify] and [VerifySignature] refuse. Answer 400 to the first two: LNTPay
// tries again.
var (
	// ErrSignature means that the payload was not signed with any of the secrets.
	ErrSignature = errors.New("lntpay: the webhook's signature is missing or wrong")
	// ErrTimestamp means that it was signed over five minutes ago, or that one of
	// the two clocks is wrong.
	ErrTimestamp = errors.New("lntpay: the webhook's timestamp is missing or over five minutes away")
	// ErrSecret means that a secret is none, or that there is none.
	ErrSecret = errors.New("lntpay: a webhook secret is whsec_ and base64")
)

// Verify checks the webhook-signature of a delivery, and that it was made in the
// last five minutes, and returns the event. The payload is the raw body, byte by
// byte. During a rotation give the new secret and the old one; without any,
// those in LNTPAY_WEBHOOK_SECRET count, separated by spaces.
//
// An event can come more than once: ignore an ID that you have handled.
func Verify(payload []byte, header http.Header, secrets ...string) (*Event, error) {
	return verifyAt(time.Now(), payload, header, secrets)
}

func verifyAt(now time.Time, payload []byte, header http.Header, secrets []string) (*Event, error) {
	secrets, err := parseSecrets(secrets)
	if err != nil {
		return nil, err
	}
	id, timestamp := header.Get("Webhook-Id"), header.Get("Webhook-Timestamp")
	var ours []string
	for _, secret := range secrets {
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
		sum := mac(key, []byte(id+"."+timestamp+"."), payload)
		ours = append(ours, "v1,"+base64.StdEncoding.EncodeToString(sum))
	}
	if !anyEqual(ours, strings.Fields(header.Get("Webhook-Signature"))) {
		return nil, ErrSignature
	}
	// What is signed, and only that, is worth an answer about its time.
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return nil, ErrTimestamp
	}

	return parseEvent(payload)
}

// VerifySignature checks the x-lntpay-signature of a delivery and returns the
// event. It knows no time: a recorded delivery stays valid as long as the
// secret, so never forget the ID of an event that you have handled. [Verify] is
// the better one.
func VerifySignature(payload []byte, header http.Header, secrets ...string) (*Event, error) {
	secrets, err := parseSecrets(secrets)
	if err != nil {
		return nil, err
	}
	var ours []string
	for _, secret := range secrets {
		ours = append(ours, hex.EncodeToString(mac([]byte(secret), payload)))
	}
	if !anyEqual(ours, []string{header.Get("X-Lntpay-Signature")}) {
		return nil, ErrSignature
	}

	return parseEvent(payload)
}

const secretPrefix = "whsec_"

// parseSecrets refuses an empty key: anybody can sign with it.
func parseSecrets(given []string) ([]string, error) {
	if len(given) == 0 {
		given = []string{os.Getenv(EnvWebhookSecret)}
	}
	secrets := strings.Fields(strings.Join(given, " "))
	for _, secret := range secrets {
		encoded, ok := strings.CutPrefix(secret, secretPrefix)
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(key) == 0 {
			return nil, ErrSecret
		}
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("%w; none is given, and %s is empty", ErrSecret, EnvWebhookSecret)
	}

	return secrets, nil
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		_, _ = h.Write(part)
	}

	return h.Sum(nil)
}

// anyEqual takes the same time wherever two values differ.
func anyEqual(ours, theirs []string) bool {
	found := false
	for _, our := range ours {
		for _, their := range theirs {
			found = hmac.Equal([]byte(our), []byte(their)) || found
		}
	}

	return found
}

func parseEvent(payload []byte) (*Event, error) {
	var event Event
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, fmt.Errorf("lntpay: the webhook is signed, and yet no event: %w", err)
	}

	return &event, nil
}
