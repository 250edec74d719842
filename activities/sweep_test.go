package activities_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// swept are the charges that one sweep came back for.
func (w *world) swept(t *testing.T) []string {
	t.Helper()
	require.NoError(t, w.nodes.SweepRows(t.Context()))
	ids := []string{}
	for {
		select {
		case id := <-w.nudger.arrived:
			ids = append(ids, id)
		default:
			return ids
		}
	}
}

func TestSweepFindsNothingInNormalLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.endpoint(t, "enabled", "*")
	w.opened(t)
	w.paid(t)
	uncredited := w.opened(t)
	w.receive(t, w.pay(t, uncredited, 0))
	expired := w.opened(t)
	w.makeDue(t, expired)
	_, err := w.ExpireCharge(t.Context(), expired)
	require.NoError(t, err)
	require.Empty(t, w.swept(t))
	require.Empty(t, w.nudger.started)
	require.Equal(t, 2, w.metric(t, "lntpay_charges_open", "pending"))
}

// TestPayoutMetrics: what an operator's alert rules read of withdrawals.
func TestPayoutMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.held(t)
	held, hash := w.lost(t, lightningtest.FailAfter, lightningtest.Hold(0))
	w.pass(t, held, time.Hour)
	w.node.EditPayment(hash, func(p *lightning.Payment) { p.Attempts, p.ExpiryHeight = 7, 900 })
	w.follow(t, held)
	later, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Hold(0))
	w.follow(t, later)
	lost, _ := w.lost(t, lightningtest.FailBefore) // No HTLC is known of it.
	w.exec(t, "UPDATE withdrawal SET review_reason = 'test', next_check_at = NULL WHERE id = $1", lost)
	w.exec(t, `INSERT INTO stray_payment (node, payment_index, created_ns, payment_hash, withdrawal_id, status, amount_msat, fee_msat, state)
		VALUES ('merchant', 90, 1, sha256('x'), 'wd_1', 'in_flight', 1, 0, 'open')`)
	w.exec(t, `INSERT INTO withdrawal (id, workspace_id, node, kind, status, payment_hash, destination, bolt11, amountless, amount_msat,
			max_fee_msat, metadata, invoice_expires_at, next_check_at, sent_at, sends, htlc_attempts, htlc_expiry_height)
		SELECT 'wd_of_another_node', workspace_id, 'another', kind, status, sha256('y'), destination, bolt11, amountless, amount_msat,
			max_fee_msat, metadata, invoice_expires_at, next_check_at, sent_at, sends, 99, 5 FROM withdrawal WHERE id = $1`, held)
	w.swept(t)
	require.Equal(t, 1, w.metric(t, "lntpay_withdrawals_open", "held"))
	require.Equal(t, 4, w.metric(t, "lntpay_withdrawals_open", "following"))
	require.InDelta(t, 3600, w.metric(t, "lntpay_withdrawals_oldest_seconds", "following"), 60)
	require.Less(t, w.metric(t, "lntpay_withdrawals_oldest_seconds", "held"), 60)
	require.Equal(t, 1, w.metric(t, "lntpay_withdrawals_under_review", ""))
	require.Equal(t, 1, w.metric(t, "lntpay_stray_payments", ""))
	require.Equal(t, 900, w.metric(t, "lntpay_withdrawals_soonest_htlc_expiry_height", "merchant"))
	require.Equal(t, 7, w.metric(t, "lntpay_withdrawals_most_htlc_attempts", "merchant"))

	// What is over is not counted, and no height is not height 0.
	w.exec(t, "UPDATE withdrawal SET htlc_expiry_height = 0 WHERE node = 'merchant'")
	require.NoError(t, w.node.SettlePayment(hash))
	w.follow(t, held)
	w.succeeded(t, held, 0)
	w.swept(t)
	require.Equal(t, 3, w.metric(t, "lntpay_withdrawals_open", "following"))
	require.Equal(t, 1, w.metric(t, "lntpay_withdrawals_most_htlc_attempts", "merchant"))
	families, err := w.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		require.NotEqual(t, "lntpay_withdrawals_soonest_htlc_expiry_height", family.GetName())
	}
}

func TestSweepRows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string
		want int
	}{
		"charge, 59 s late":  {"UPDATE charge SET next_check_at = now() - interval '59 seconds'", 0},
		"charge, 61 s late":  {"UPDATE charge SET next_check_at = now() - interval '61 seconds'", 1},
		"receipt, 9 s late":  {"UPDATE receipt SET next_check_at = now() - interval '9 seconds'", 0},
		"receipt, 11 s late": {"UPDATE receipt SET next_check_at = now() - interval '11 seconds'", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.opened(t)
			w.receive(t, w.pay(t, id, 0))
			w.exec(t, c.sql)
			ids := w.swept(t)
			require.Len(t, ids, c.want)
			if c.want > 0 {
				require.Equal(t, id, ids[0])
			}
		})
	}
}

// A stuck charge is come back for once a minute, so that it hides no others.
func TestSweepBumpsCharges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opened(t)
	w.exec(t, "UPDATE charge SET next_check_at = now() - interval '1 hour'")
	require.Len(t, w.swept(t), 1)
	require.Empty(t, w.swept(t))
}

// Creating is resumed by a repeat of the POST and swept by nobody.
func TestSweepLeavesCreating(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.node.Inject(lightningtest.AddInvoice, lightningtest.FailAfter)
	_, err := w.OpenCharge(t.Context(), w.order(t))
	require.Error(t, err)
	w.exec(t, "UPDATE charge SET created_at = now() - interval '1 day'")
	require.Empty(t, w.swept(t))
}

func TestSweepDeliveries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.endpoint(t, "enabled", "*")
	w.paid(t)
	w.exec(t, "UPDATE delivery SET next_check_at = now() - interval '61 seconds'")
	w.swept(t)
	require.Len(t, w.nudger.started, 1)
	require.Equal(t, 1, w.metric(t, "lntpay_swept_total", "delivery"))
}

// A node that is away does not keep the sweeper from coming back for rows, nor
// make it repeat the sweep.
func TestSweepWithoutNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.opened(t)
	w.exec(t, "UPDATE charge SET next_check_at = now() - interval '61 seconds'")
	w.node.SetUnavailable(true)
	require.NoError(t, w.nodes.SweepRows(t.Context()))
	require.Equal(t, 1, w.nudger.of(id))
	require.Equal(t, 1, w.metric(t, "lntpay_charges_open", "pending"), "counted all the same")
}

// One delivery that cannot be started hides neither the others nor the rows of
// other kinds.
func TestSweepDeliveriesFail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		w.endpoint(t, "enabled", "*")
	}
	w.paid(t)
	id := w.opened(t)
	w.exec(t, "UPDATE delivery SET next_check_at = now() - interval '61 seconds'")
	w.exec(t, "UPDATE charge SET next_check_at = now() - interval '61 seconds' WHERE id = $1", id)
	w.nudger.failDeliver = 1
	require.Equal(t, []string{id}, w.swept(t))
	require.Len(t, w.nudger.started, 2)
}

// Rows of one kind that cannot be read fail the sweep and hide no others.
func TestSweepUnreadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.opened(t)
	w.exec(t, "UPDATE charge SET next_check_at = now() - interval '61 seconds'")
	w.exec(t, "ALTER TABLE delivery RENAME TO away")
	require.ErrorContains(t, w.nodes.SweepRows(t.Context()), "sweep deliveries")
	require.Equal(t, 1, w.nudger.of(id))
}

// The stream of a node back in time may be silent for what settles now: the
// list is read each minute until an operator thaws it.
func TestSweepRegressedNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.opened(t)
	w.pay(t, id, 0)
	require.Empty(t, w.swept(t))
	require.Empty(t, w.receiptState(t, w.hash(t, id)), "whole, the stream tells")
	w.exec(t, "UPDATE node SET regressed_at = now()")
	require.Equal(t, []string{id}, w.swept(t))
	require.Equal(t, "uncredited", w.receiptState(t, w.hash(t, id)))
}

func TestSweepIndexes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.openedMany(t, 3)
	w.swept(t)
	require.EqualValues(t, 3, w.number(t, "SELECT highest_add_index FROM node"))
	w.node.Restore(lightningtest.Snapshot{})
	w.opened(t)
	w.swept(t)
	require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM node WHERE regressed_at IS NOT NULL"))
	require.EqualValues(t, 3, w.number(t, "SELECT highest_add_index FROM node"))
	require.Equal(t, 1, w.alerts(t, activities.AlertNodeRegressed))
}

// An invoice that is added and paid while the sweeper reads the node's indexes
// is not a node back in time.
func TestSweepIndexesBesidePayment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opened(t)
	w.nodes.Node = &meddler{Node: w.node, afterIndexes: func() {
		require.NoError(t, w.Store.RaiseHighestIndexes(t.Context(), db.RaiseHighestIndexesParams{
			Name: w.node.Name(), AddIndex: 2, SettleIndex: 1,
		}))
	}}
	w.swept(t)
	require.Zero(t, w.number(t, "SELECT count(*) FROM node WHERE regressed_at IS NOT NULL"))
	require.Zero(t, w.alerts(t, activities.AlertNodeRegressed))
}

// The hourly sweep writes what the stream has missed.
func TestSweepNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	suite := quietSuite()
	sweep := func() {
		env := suite.NewTestActivityEnvironment()
		env.RegisterActivity(w.nodes.SweepNode)
		_, err := env.ExecuteActivity(w.nodes.SweepNode, workflows.NodeInput{Node: w.node.Name()})
		require.NoError(t, err)
	}
	requireErrType(t, w.nodes.SweepNode(t.Context(), workflows.NodeInput{Node: "other"}), workflows.ErrTypeOtherNode)
	sweep()
	require.Zero(t, w.node.Calls(lightningtest.ListInvoices), "without open charges there is nothing to compare")

	known, missed, open := w.paid(t), w.opened(t), w.opened(t)
	w.pay(t, missed, 0)
	sweep()
	require.Equal(t, 1, w.nudger.of(missed))
	require.Zero(t, w.nudger.of(known))
	require.Empty(t, w.receiptState(t, w.hash(t, open)))
	require.Zero(t, w.number(t, "SELECT settle_cursor FROM node"), "a sweep says nothing about the stream")
	require.NoError(t, w.Settle.Settle(t.Context(), missed))
	sweep()
	require.Equal(t, 1, w.nudger.of(missed), "once")
	w.sound(t)
}

// slowList answers a list only once the sweep has shown that it lives.
type slowList struct {
	lightning.Node
	beaten <-chan struct{}
}

func (s slowList) ListInvoices(ctx context.Context, _, _ uint64, _ func([]lightning.Invoice) error) error {
	select {
	case <-s.beaten:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return errors.New("no heartbeat beside the page")
	}
}

// A page that takes long does not look like a worker that died.
func TestSweepNodeBeatsBesideThePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opened(t)
	beaten := make(chan struct{}, 100)
	w.nodes.Node = slowList{Node: w.node, beaten: beaten}
	suite := quietSuite()
	env := suite.NewTestActivityEnvironment()
	env.SetOnActivityHeartbeatListener(func(*activity.Info, converter.EncodedValues) { beaten <- struct{}{} })
	env.RegisterActivity(w.nodes.SweepNode)
	_, err := env.ExecuteActivity(w.nodes.SweepNode, workflows.NodeInput{Node: w.node.Name()})
	require.NoError(t, err)
}
