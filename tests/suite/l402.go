package suite

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// The payer's wallet gives him the preimage, and that is all a token needs: it
// is good before anybody has seen the charge as paid.
func testAnL402TokenIsGoodOncePaid(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	status, challenge, _ := c.Call(t, "POST", "/v1/l402/challenges", `{"amount_sats":21,"resource":"GET /forecast"}`)
	require.Equal(t, http.StatusCreated, status, challenge)
	charge, _ := challenge["charge"].(Object)

	preimage, err := c.Net.Pay(t.Context(), Text(charge, "bolt11"), 0)
	require.NoError(t, err)
	verify := func(preimage []byte, resource string) Object {
		authorization := "L402 " + Text(challenge, "macaroon") + ":" + hex.EncodeToString(preimage)
		status, verdict, _ := c.Call(t, "POST", "/v1/l402/verify",
			fmt.Sprintf(`{"authorization":%q,"resource":%q}`, authorization, resource))
		require.Equal(t, http.StatusOK, status, verdict)

		return verdict
	}
	require.Equal(t, true, verify(preimage[:], "GET /forecast")["valid"])
	require.Equal(t, "wrong_preimage", verify(make([]byte, 32), "GET /forecast")["reason"])
	require.Equal(t, "wrong_resource", verify(preimage[:], "GET /admin")["reason"])

	require.Equal(t, "paid", c.Await(t, Text(charge, "id"))["status"])
	c.RequireBooks(t, 21_000, 1)
}
