package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/storetest"
	"github.com/lntpay/lntpay/workflows"
)

// Holds that come at the same time keep a limit together: exactly as many pass
// as it allows.
func TestConcurrentHoldsKeepLimits(t *testing.T) {
	t.Parallel()
	const allowed = 5
	for name, c := range map[string]struct {
		limit func(*activities.PayoutPolicy)
		// apart has each withdrawal be of another workspace.
		apart bool
	}{
		"a workspace's open withdrawals": {func(p *activities.PayoutPolicy) { p.WorkspaceOpen = allowed }, false},
		"a workspace's sum in flight": {func(p *activities.PayoutPolicy) {
			p.WorkspaceOpenMsat = (allowed+1)*(amount+maxFee) - 1
		}, false},
		"a workspace's day":         {func(p *activities.PayoutPolicy) { p.WorkspaceDailyMsat = (allowed+1)*amount - 1 }, false},
		"a node's open withdrawals": {func(p *activities.PayoutPolicy) { p.NodeOpen = allowed }, true},
		"a node's sum in flight": {func(p *activities.PayoutPolicy) {
			p.NodeOpenMsat = (allowed+1)*(amount+maxFee) - 1
		}, true},
		"a node's day": {func(p *activities.PayoutPolicy) { p.NodeDailyMsat = (allowed+1)*amount - 1 }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.limit(&w.payouts.Policy)
			orders := w.holdOrders(t, 12, c.apart)
			release := w.blockHolds(t, len(orders))
			require.Empty(t, atOnce(len(orders)+1, func(i int) error {
				if i == len(orders) {
					return release()
				}
				_, err := w.payouts.HoldWithdrawal(t.Context(), orders[i])

				return err
			}))
			require.EqualValues(t, allowed, w.number(t, "SELECT count(*) FROM withdrawal WHERE status = 'held'"))
			require.EqualValues(t, len(orders)-allowed, w.number(t, `SELECT count(*) FROM claim WHERE answer_status = 422
				AND convert_from(answer, 'UTF8')::jsonb ->> 'code' = $1`, payments.CodeLimitExceeded))
			require.EqualValues(t, allowed*(amount+maxFee), w.number(t, "SELECT sum(locked_msat) FROM balance"))
		})
	}
}

// holdOrders are claims for as many outside invoices, with money for all.
func (w *world) holdOrders(t *testing.T, n int, apart bool) []workflows.HoldWithdrawal {
	t.Helper()
	orders := make([]workflows.HoldWithdrawal, n)
	for i := range orders {
		if apart {
			w.workspace = storetest.Workspace(t, w.Store)
		}
		w.fund(t, w.workspace, amount+maxFee)
		id, startBy := w.claim(t, payments.PrefixWithdrawal, request(w.outside()))
		orders[i] = workflows.HoldWithdrawal{WithdrawalID: id, StartBy: startBy}
	}

	return orders
}

// blockHolds keeps every hold from writing its row, until release: it waits
// until all of them have come as far as they can.
func (w *world) blockHolds(t *testing.T, n int) (release func() error) {
	t.Helper()
	tx, err := w.Store.Pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(t.Context()) })
	_, err = tx.Exec(t.Context(), "LOCK TABLE withdrawal IN SHARE MODE")
	require.NoError(t, err)

	return func() error {
		for waiting, deadline := 0, time.Now().Add(patience); waiting < n && time.Now().Before(deadline); {
			err := tx.QueryRow(t.Context(), `SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
				WHERE d.datname = current_database() AND NOT l.granted`).Scan(&waiting)
			if err != nil {
				return err
			}
		}

		return tx.Rollback(t.Context())
	}
}

// What counts for the volume of 24 hours, and what no longer does.
func TestVolumeOfADay(t *testing.T) {
	t.Parallel()
	paid := func(t *testing.T, w *world) string {
		id, _ := w.held(t)
		w.send(t, id)

		return id
	}
	made := func(ago time.Duration, counts bool) dayCase {
		return dayCase{func(t *testing.T, w *world) {
			w.exec(t, "UPDATE withdrawal SET created_at = now() - make_interval(secs => $2) WHERE id = $1", paid(t, w), ago.Seconds())
		}, counts, counts}
	}
	for name, c := range map[string]dayCase{
		"paid now":             made(0, true),
		"paid within 24 hours": made(24*time.Hour-time.Minute, true),
		"paid 24 hours ago":    made(24*time.Hour+time.Second, false),
		"still held":           {func(t *testing.T, w *world) { w.held(t) }, true, true},
		"under way":            {func(t *testing.T, w *world) { w.lost(t, lightningtest.FailAfter, lightningtest.Hold(0)) }, true, true},
		"another workspace's":  {func(t *testing.T, w *world) { w.ofAnother(t) }, false, true},
		"failed":               {func(t *testing.T, w *world) { w.failedNow(t) }, false, false},
		"of our own, by the book": {func(t *testing.T, w *world) {
			w.fund(t, w.workspace, amount)
			w.settleByBook(t, w.hold(t, w.ofCharge(t, w.opened(t))))
		}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.arrange(t, w)
			w.fund(t, w.workspace, 2*(amount+maxFee))
			w.payouts.Policy.WorkspaceDailyMsat = 2*amount - 1
			w.holds(t, !c.workspace)
			w.payouts.Policy.WorkspaceDailyMsat, w.payouts.Policy.NodeDailyMsat = 0, 2*amount-1
			if !c.workspace {
				w.payouts.Policy.NodeDailyMsat += amount
			}
			w.holds(t, !c.node)
		})
	}
}

// dayCase is a withdrawal that counts for the day of its workspace or its node.
type dayCase struct {
	arrange         func(*testing.T, *world)
	workspace, node bool
}

// failedNow is a withdrawal that moved nothing.
func (w *world) failedNow(t *testing.T) {
	t.Helper()
	id, _ := w.held(t, lightningtest.Fail(lightning.ReasonNoRoute))
	w.send(t, id)
	w.failed(t, id, payments.FailureNoRoute)
}

// holds asserts that another withdrawal is held, or exceeds a limit.
func (w *world) holds(t *testing.T, passes bool) {
	t.Helper()
	id := w.hold(t, request(w.outside()))
	if !passes {
		w.refused(t, id, payments.CodeLimitExceeded)

		return
	}
	require.Equal(t, "held", w.payout(t, id).Status)
}

// What is over leaves room for others at once.
func TestOpenLimitsCountWhatIsOpen(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *world, string, lightning.Hash){
		"succeeded": func(t *testing.T, w *world, _ string, hash lightning.Hash) {
			require.NoError(t, w.node.SettlePayment(hash))
		},
		"failed": func(t *testing.T, w *world, _ string, hash lightning.Hash) {
			require.NoError(t, w.node.FailPayment(hash, lightning.ReasonTimeout))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, hash := w.lost(t, lightningtest.FailAfter, lightningtest.Hold(0))
			w.payouts.Policy.WorkspaceOpen, w.payouts.Policy.NodeOpen = 1, 1
			w.payouts.Policy.WorkspaceOpenMsat, w.payouts.Policy.NodeOpenMsat = amount+maxFee, amount+maxFee
			w.fund(t, w.workspace, 2*(amount+maxFee))
			w.holds(t, false)
			end(t, w, id, hash)
			w.toTheEnd(t, id)
			w.holds(t, true)
			w.holds(t, false)
		})
	}
}

// A workspace's own limits hold in place of the settings from the next hold on:
// lower ones, higher ones, and none.
func TestOwnLimitsHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.payouts.Policy.MaxAmountMsat = amount - 1
	orders := w.holdOrders(t, 5, false)
	by := store.Operator{Name: "anna", Reason: "a test"}
	none, one, two := int64(0), int64(1), int64(2)
	set := func(values map[string]*int64) {
		t.Helper()
		_, err := w.payouts.Store.SetLimits(t.Context(), w.workspace, values, by)
		require.NoError(t, err)
	}
	held := func(order workflows.HoldWithdrawal) int64 {
		t.Helper()
		_, err := w.payouts.HoldWithdrawal(t.Context(), order)
		require.NoError(t, err)

		return w.number(t, "SELECT count(*) FROM withdrawal WHERE status = 'held'")
	}
	require.EqualValues(t, 0, held(orders[0]))
	set(map[string]*int64{store.LimitMaxAmountMsat: &none, store.LimitWorkspaceOpen: &one})
	require.EqualValues(t, 1, held(orders[1]))
	require.EqualValues(t, 1, held(orders[2]))
	set(map[string]*int64{store.LimitWorkspaceOpen: &two})
	require.EqualValues(t, 2, held(orders[3]))
	set(map[string]*int64{store.LimitWorkspaceOpen: nil, store.LimitMaxAmountMsat: nil})
	require.EqualValues(t, 2, held(orders[4]))
}
