package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A replay is the first answer again, whatever the clock says by then.
func TestCreateKeyIsReplayedAfterItsExpiry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// Far enough for a slow machine to make the key in time.
	soon := time.Now().Add(4 * time.Second)
	body := fmt.Sprintf(`{"name":"n","scopes":["charges:read"],"expires_at":%q}`, soon.UTC().Format(time.RFC3339Nano))
	first := b.post("/v1/keys", body, idempotent("k"))
	require.Equal(t, http.StatusCreated, first.status, first.body)
	time.Sleep(time.Until(soon) + 200*time.Millisecond)
	again := b.post("/v1/keys", body, idempotent("k"))
	require.Equal(t, http.StatusCreated, again.status, again.body)
	require.Equal(t, http.StatusBadRequest, b.post("/v1/keys", body, idempotent("other")).status)
	for _, at := range []string{"0000-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"} {
		require.Equal(t, http.StatusBadRequest,
			b.post("/v1/keys", fmt.Sprintf(`{"name":"n","scopes":["charges:read"],"expires_at":%q}`, at)).status)
	}
}
