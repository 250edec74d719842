package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/load"
	inprocess "github.com/lntpay/lntpay/tests/stack"
	"github.com/lntpay/lntpay/tests/suite"
	"github.com/lntpay/lntpay/workflows"
)

// TestMain lets processes of this binary be workers that stand still.
func TestMain(m *testing.M) {
	inprocess.BeVictim()
	os.Exit(m.Run())
}

const (
	// stepStillFor is how long a worker stands still between two steps: longer than
	// its licence to send (20 s), after which another is taken.
	stepStillFor = 45 * time.Second
	// reachedWithin bounds the wait until it gets there.
	reachedWithin = 30 * time.Second
	stepMsat      = 20_000
)

// pausing is a withdrawal whose worker stands still at a point of it.
type pausing struct {
	name string
	at   inprocess.Point
	// own says that the invoice is a charge of ours, which is paid by the book.
	own bool
}

// pausings are the points after which a worker acts on what it knew before.
var pausings = []pausing{
	{name: "before the licence", at: inprocess.Before(workflows.ActivitySendWithdrawal)},
	{name: "after the licence, before the send", at: inprocess.Before(inprocess.CallSendPayment)},
	{name: "while it is in flight", at: inprocess.During(inprocess.CallSendPayment)},
	{name: "after SUCCEEDED, before the books", at: inprocess.After(inprocess.CallSendPayment)},
	{name: "book: before the cancel", at: inprocess.Before(inprocess.CallCancelInvoice), own: true},
	{name: "book: after the cancel, before the books", at: inprocess.After(inprocess.CallCancelInvoice), own: true},
}

// TestWorkerPausedBetweenSteps stops a worker between two steps of a withdrawal,
// has another take over, and lets the first go on: it comes back believing that
// the step is still its own. The payee is paid once.
func TestWorkerPausedBetweenSteps(t *testing.T) {
	load.SkipUnlessSoak(t)
	s, err := inprocess.Open(t.Context())
	require.NoError(t, err)
	t.Cleanup(s.Close)
	outside := &suite.Stack{APIURL: s.APIURL, Net: s.Net, Store: s.Store, Temporal: s.Temporal, Environment: s.Config.Sandbox}
	c, payee := outside.NewClient(t), outside.NewClient(t)
	c.Fund(t, 1000)
	own := int64(0)
	for _, one := range pausings {
		t.Run(one.name, func(t *testing.T) { pauseAtStep(t, s, c, payee, one) })
		if one.own {
			own += stepMsat
		}
	}
	c.RequireBalance(t, int64(1_000_000-len(pausings)*stepMsat), 0)
	payee.RequireBalance(t, own, 0)
	c.Agrees(t)
}

func pauseAtStep(t *testing.T, s *inprocess.Stack, c, payee *suite.Client, one pausing) {
	var bolt11 string
	if one.own {
		bolt11 = suite.Text(payee.Charge(t, stepMsat/int(payments.MsatPerSat), ""), "bolt11")
	} else {
		bolt11 = c.Payable(t, stepMsat)
	}
	require.NoError(t, s.StopWorker())
	victim, err := s.StartStopping(one.at, bolt11)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, victim.End()) })
	type answered struct {
		load.Answer
		err error
	}
	answer := make(chan answered, 1)
	go func() {
		api := load.Client{Base: s.APIURL, Key: c.Key, HTTP: http.Client{Timeout: 15 * time.Second}}
		got, err := api.Post(t.Context(), "/v1/withdrawals", uuid.NewString(), fmt.Appendf(nil, `{"bolt11":%q}`, bolt11))
		answer <- answered{got, err}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), reachedWithin)
	defer cancel()
	require.NoError(t, victim.StandsStill(ctx))
	began := time.Now()
	require.NoError(t, s.StartWorker(t.Context()))
	load.Pause(t, stepStillFor, nil)
	got := <-answer
	require.NoError(t, got.err)
	require.Equal(t, http.StatusCreated, got.Status, "%s", got.Body)
	var made struct{ ID string }
	require.NoError(t, json.Unmarshal(got.Body, &made))
	status := suite.Text(c.Withdrawal(t, made.ID), "status")
	require.NoError(t, victim.Resume())
	withdrawal := c.OverAs(t, made.ID, 2*time.Minute, "")
	// What the first worker still does, it does now.
	load.Pause(t, 10*time.Second, nil)
	require.Equal(t, withdrawal, c.Withdrawal(t, made.ID))
	if !one.own {
		c.RequireReceived(t, withdrawal, stepMsat)
	}
	var sends int
	require.NoError(t, s.Store.Pool.QueryRow(t.Context(), "SELECT sends FROM withdrawal WHERE id = $1", made.ID).Scan(&sends))
	t.Logf("%s when the first worker went on; over %s after it had stopped; %d sends", status,
		suite.Moment(t, withdrawal, "completed_at").Sub(began).Round(time.Millisecond), sends)
}
