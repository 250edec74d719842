package devnet

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/webhooks"
)

func TestVerifyRefusesWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	secret, body := webhooks.NewSecret(), []byte(`{"id":"evt_1"}`)
	signed := func() http.Header {
		headers, err := webhooks.Headers(webhooks.Secrets{Current: secret}, "evt_1", time.Now(), body)
		require.NoError(t, err)

		return headers
	}
	require.NoError(t, verify(secret, signed(), body))
	require.Error(t, verify(webhooks.NewSecret(), signed(), body), "another secret")
	require.Error(t, verify(secret, signed(), []byte(`{"id":"evt_2"}`)), "another body")
	for _, name := range []string{webhooks.HeaderSignature, webhooks.HeaderStandardSignature, webhooks.HeaderStandardTimestamp} {
		headers := signed()
		headers.Del(name)
		require.Error(t, verify(secret, headers, body), name)
	}
}
