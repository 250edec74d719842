package e2e_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/suite"
)

// deliveredWithin is for an attempt of which nobody knows any more: a minute
// until its row is overdue, one more until it counts as forgotten, and one until
// the sweeper comes by.
const deliveredWithin = 3 * time.Minute

// Temporal is away for a minute: what was due meanwhile, and what was paid,
// arrives when it is back. The stack is this test's alone: the others run in
// parallel, after it.
func TestTemporalAwayForAMinute(t *testing.T) {
	c := newClient(t)
	url, got := c.Receive(t, http.StatusInternalServerError)
	verifier, err := standardwebhooks.NewWebhook(c.Subscribe(t, url))
	require.NoError(t, err)
	failed := c.Charge(t, 10, "")
	c.Pay(t, failed, 0)
	refused := suite.Next(t, got) // It is due again in five seconds.
	missing := map[string]bool{suite.Text(failed, "id"): true}
	charges := make([]suite.Object, 5)
	for i := range charges {
		charges[i] = c.Charge(t, 10, "")
		missing[suite.Text(charges[i], "id")] = true
	}

	c.StopTemporal()
	away := time.After(time.Minute)
	for _, charge := range charges {
		c.Pay(t, charge, 0)
	}
	<-away
	require.Empty(t, got, "nobody delivers without Temporal")
	require.NoError(t, c.StartTemporal(t.Context()))
	back := time.Now()
	for len(missing) > 0 {
		one := suite.NextWithin(t, got, deliveredWithin)
		t.Logf("an event came %s after Temporal was back", time.Since(back).Round(time.Millisecond))
		require.NoError(t, verifier.Verify(one.Body, one.Header))
		var event struct {
			ID   string
			Data struct{ Object struct{ ID string } }
		}
		require.NoError(t, json.Unmarshal(one.Body, &event))
		if event.ID == refused.Header.Get("webhook-id") {
			require.Equal(t, refused.Body, one.Body)
		}
		delete(missing, event.Data.Object.ID)
	}
}
