package webhooks_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/webhooks"
)

func TestHeadersSpecVector(t *testing.T) {
	t.Parallel()
	// The vector of the Standard Webhooks libraries.
	h, err := webhooks.Headers(
		webhooks.Secrets{Current: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
		"msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	require.NoError(t, err)
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", h.Get("webhook-signature"))
	require.Equal(t, "1614265330", h.Get("webhook-timestamp"))
	require.Equal(t, "msg_p5jXN8AQM9LWM0D4loKWxJek", h.Get("webhook-id"))
}

func TestHeadersOverlap(t *testing.T) {
	t.Parallel()
	older, newer := webhooks.NewSecret(), webhooks.NewSecret()
	body := []byte(`{"id":"evt_1"}`)
	tests := map[string]struct {
		secrets webhooks.Secrets
		own     string
		takenBy []string
		refused []string
	}{
		"before a rotation":  {webhooks.Secrets{Current: older}, older, []string{older}, []string{newer}},
		"during the overlap": {webhooks.Secrets{Current: newer, Previous: older}, older, []string{newer, older}, []string{webhooks.NewSecret()}},
		"after the overlap":  {webhooks.Secrets{Current: newer}, newer, []string{newer}, []string{older}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := webhooks.Headers(tt.secrets, "evt_1", time.Now(), body)
			require.NoError(t, err)
			mac := hmac.New(sha256.New, []byte(tt.own))
			mac.Write(body)
			require.Equal(t, hex.EncodeToString(mac.Sum(nil)), h.Get("x-lntpay-signature"))
			signatures := strings.Split(h.Get("webhook-signature"), " ")
			require.Len(t, signatures, len(tt.takenBy))
			for i, secret := range tt.takenBy {
				wh, err := standard.NewWebhook(secret)
				require.NoError(t, err)
				require.NoError(t, wh.Verify(body, h))
				// The new secret's comes first.
				only := h.Clone()
				only.Set("webhook-signature", signatures[i])
				require.NoError(t, wh.Verify(body, only))
			}
			for _, secret := range tt.refused {
				wh, err := standard.NewWebhook(secret)
				require.NoError(t, err)
				require.Error(t, wh.Verify(body, h))
			}
		})
	}
}

func TestHeadersBadSecret(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"", "whsec_", "whsec_!", "c2VjcmV0"} {
		_, err := webhooks.Headers(webhooks.Secrets{Current: secret}, "evt_1", time.Now(), nil)
		require.Error(t, err)
		_, err = webhooks.Headers(webhooks.Secrets{Current: webhooks.NewSecret(), Previous: secret}, "evt_1", time.Now(), nil)
		require.Equal(t, secret != "", err != nil)
	}
}

func TestNewSecret(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^whsec_[A-Za-z0-9+/]{32}$`, webhooks.NewSecret())
	one, another := webhooks.NewSecret(), webhooks.NewSecret()
	require.NotEqual(t, one, another)
}
