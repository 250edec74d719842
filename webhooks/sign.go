package webhooks

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a delivery: LNTPay's own, and those of Standard Webhooks
// (https://www.standardwebhooks.com).
const (
	HeaderSignature         = "x-lntpay-signature"
	HeaderStandardID        = "webhook-id"
	HeaderStandardTimestamp = "webhook-timestamp"
	HeaderStandardSignature = "webhook-signature"
)

const (
	secretPrefix = "whsec_"
	// secretBytes is 192 bits, the least that Standard Webhooks recommends,
	// and base64 without padding.
	secretBytes = 24
)

// errSecret deliberately says nothing about the secret.
var errSecret = errors.New("webhooks: the endpoint's secret is not whsec_ followed by base64")

// Secrets are an endpoint's signing secrets.
type Secrets struct {
	// Current is the newest secret.
	Current string
	// Previous is the rotated one while the overlap lasts, else empty.
	Previous string
}

// NewSecret makes a signing secret, whsec_ and base64.
func NewSecret() string {
	raw := make([]byte, secretBytes)
	// Never fails: crypto/rand.Read ends the program instead (Go 1.24).
	_, _ = rand.Read(raw)

	return secretPrefix + base64.StdEncoding.EncodeToString(raw)
}

// Headers are the signature headers of a delivery of body made at timestamp.
//
// x-lntpay-signature carries one value, made with the whole secret string as
// the key; during a rotation's overlap it stays with the old secret, so that a
// receiver changes when it likes. webhook-signature carries one value for each
// secret, the new first.
func Headers(secrets Secrets, eventID string, timestamp time.Time, body []byte) (http.Header, error) {
	seconds := strconv.FormatInt(timestamp.Unix(), 10)
	own := secrets.Current
	standard, err := signStandard(secrets.Current, eventID, seconds, body)
	if err != nil {
		return nil, err
	}
	if secrets.Previous != "" {
		own = secrets.Previous
		old, err := signStandard(secrets.Previous, eventID, seconds, body)
		if err != nil {
			return nil, err
		}
		standard += " " + old
	}
	h := http.Header{}
	h.Set(HeaderSignature, hex.EncodeToString(mac([]byte(own), body)))
	h.Set(HeaderStandardID, eventID)
	h.Set(HeaderStandardTimestamp, seconds)
	h.Set(HeaderStandardSignature, standard)

	return h, nil
}

func signStandard(secret, eventID, seconds string, body []byte) (string, error) {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) == 0 {
		return "", errSecret
	}
	sum := mac(key, []byte(eventID), []byte("."), []byte(seconds), []byte("."), body)

	return "v1," + base64.StdEncoding.EncodeToString(sum), nil
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		_, _ = h.Write(part)
	}

	return h.Sum(nil)
}
