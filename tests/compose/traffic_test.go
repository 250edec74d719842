package compose_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/tests/compose"
	"github.com/lntpay/lntpay/tests/load"
	"github.com/lntpay/lntpay/tests/suite"
)

const (
	// makers create charges, which the payer pays; payouts withdraw; waiters hold
	// a request open. Together some ten requests a second.
	makers, makerPause    = 2, 500 * time.Millisecond
	payouts, payoutPause  = 2, 2 * time.Second
	waiters, waitSeconds  = 2, 4
	fundingSats           = 500_000
	payoutMsat            = 20_123
	waitersAndPayoutsEnd  = 90 * time.Second
	withdrawalsOverWithin = 3 * time.Minute
)

// traffic is the load of TestFaults and what it was answered.
type traffic struct {
	meter  *load.Meter
	target load.Target
	// charges are made in one workspace and paid, withdrawals made in another.
	charges, withdrawals *load.Workspace
	charging             *load.Load
	payer                *suite.Client
	outages              []load.Outage

	stop   chan struct{}
	cancel context.CancelFunc
	others sync.WaitGroup

	mu sync.Mutex
	// byKey is the id that each withdrawal's Idempotency-Key was answered with.
	byKey map[string]string
}

func startTraffic(t *testing.T, p *compose.Project, s *suite.Stack) *traffic {
	t.Helper()
	dsn, err := p.AppDatabaseURL(t.Context())
	require.NoError(t, err)
	earner, payer := s.NewClient(t), s.NewClient(t)
	l := &traffic{meter: load.NewMeter(t), payer: payer, stop: make(chan struct{}), byKey: map[string]string{}}
	l.target = load.Target{
		APIURL: s.APIURL, Key: earner.Key, WorkspaceID: earner.WorkspaceID, DatabaseURL: dsn,
		Merchant: s.Net.Merchant.Connect, Payer: s.Net.Payer.Connect, Relay: s.Relay, Transport: l.meter,
	}
	l.charges = load.NewWorkspace(t, l.target, "charge.paid")
	l.withdrawals = load.NewWorkspace(t, l.payerTarget(), "*")
	payer.Fund(t, fundingSats)
	l.charging = l.charges.StartLoad(t, l.target, makers, makerPause)
	ctx, cancel := context.WithCancel(t.Context())
	l.cancel = cancel
	for range payouts {
		l.others.Go(func() { l.withdraw(ctx, s) })
	}
	for range waiters {
		l.others.Go(func() { l.wait(ctx) })
	}

	return l
}

// payerTarget is the target as the other workspace.
func (l *traffic) payerTarget() load.Target {
	other := l.target
	other.Key, other.WorkspaceID = l.payer.Key, l.payer.WorkspaceID

	return other
}

// ended is true when the load is to end, else after a pause.
func (l *traffic) ended(ctx context.Context, after time.Duration) bool {
	select {
	case <-l.stop:
		return true
	case <-ctx.Done():
		return true
	case <-time.After(after):
		return false
	}
}

// withdraw makes withdrawals, each until it is answered.
func (l *traffic) withdraw(ctx context.Context, s *suite.Stack) {
	for {
		if err := l.withdrawOne(ctx, s); err != nil {
			l.withdrawals.Note(err)
		}
		if l.ended(ctx, payoutPause) {
			return
		}
	}
}

func (l *traffic) withdrawOne(ctx context.Context, s *suite.Stack) error {
	bolt11, err := s.Net.AddInvoice(ctx, payoutMsat, time.Hour)
	if err != nil {
		return err
	}
	key := uuid.NewString()
	body := fmt.Appendf(nil, `{"bolt11":%q,"external_id":%q}`, bolt11, key)
	var ids [2]string
	for i := range ids {
		got, err := l.withdrawals.Post(ctx, "/v1/withdrawals", key, body)
		if err != nil {
			return err
		}
		var made struct{ ID string }
		if err := json.Unmarshal(got.Body, &made); err != nil || got.Status != http.StatusCreated {
			return fmt.Errorf("withdrawal %s: %d %s", key, got.Status, got.Body)
		}
		ids[i] = made.ID
	}
	if ids[0] != ids[1] {
		return fmt.Errorf("withdrawal %s: first %s, then %s", key, ids[0], ids[1])
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byKey[key] = ids[0]

	return nil
}

// wait holds requests open: each waits for a charge that nobody pays. Whether
// one fails is the meter's.
func (l *traffic) wait(ctx context.Context) {
	for {
		made, err := l.withdrawals.Post(ctx, "/v1/charges", uuid.NewString(), []byte(`{"amount_sats":1,"expires_in":600}`))
		var charge struct{ ID string }
		if err == nil && made.Status == http.StatusCreated {
			err = json.Unmarshal(made.Body, &charge)
		}
		if err != nil {
			l.withdrawals.Note(err)
		} else {
			_, _ = l.withdrawals.Call(ctx, http.MethodGet, fmt.Sprintf("/v1/charges/%s?wait=%d", charge.ID, waitSeconds), "", nil)
		}
		if l.ended(ctx, 0) {
			return
		}
	}
}

// check ends the load and compares.
func (l *traffic) check(t *testing.T, s *suite.Stack) {
	t.Helper()
	late := time.AfterFunc(waitersAndPayoutsEnd, l.cancel)
	close(l.stop)
	l.others.Wait()
	require.True(t, late.Stop(), "the load did not end")
	l.charging.Finish(t)
	require.Empty(t, l.meter.Wrong(), "answers that openapi.yaml does not describe")
	require.Empty(t, l.withdrawals.Wrong)
	l.charges.Check(t, l.target, "all faults", l.outages)
	l.checkWithdrawals(t, s)
	l.checkRows(t, s)
	l.charges.CheckDeliveries(t, l.target)
	l.withdrawals.CheckDeliveries(t, l.payerTarget())
}

// withdrawalObject is what we read of a withdrawal.
type withdrawalObject struct {
	ID, Status string
	ExternalID string `json:"external_id"`
	AmountMsat int64  `json:"amount_msat"`
	FeeMsat    int64  `json:"fee_msat"`
}

// checkWithdrawals: each key has one withdrawal, the one it was answered with;
// all end, as the node says, and the balance is what they left.
func (l *traffic) checkWithdrawals(t *testing.T, s *suite.Stack) {
	t.Helper()
	var all []withdrawalObject
	require.Eventually(t, func() bool {
		all = load.All[withdrawalObject](t, &l.withdrawals.Client, "/v1/withdrawals")
		for _, one := range all {
			if one.Status != "succeeded" && one.Status != "failed" {
				return false
			}
		}

		return true
	}, withdrawalsOverWithin, time.Second, "withdrawals that do not end: %v", &all)
	require.Len(t, all, len(l.byKey), "withdrawals and keys")
	left, outcomes := int64(fundingSats*1000), map[string]int{}
	for _, one := range all {
		require.Equal(t, l.byKey[one.ExternalID], one.ID, "two withdrawals for one key")
		outcomes[one.Status]++
		if one.Status == "succeeded" {
			left -= one.AmountMsat + one.FeeMsat
		}
	}
	t.Logf("withdrawals: %v", outcomes)
	require.Greater(t, 2*outcomes["succeeded"], len(all))
	l.payer.Agrees(t)
	l.payer.RequireBalance(t, left, 0)
	require.NoError(t, ledger.Verify(t.Context(), s.Store.Pool, l.target.WorkspaceID))
}

// checkRows: the database holds a receipt for each invoice that the node has
// settled, all credited, and nothing that waits or that was told twice.
func (l *traffic) checkRows(t *testing.T, s *suite.Stack) {
	t.Helper()
	onNode := load.Settled(t, l.target.Merchant)
	rows, err := s.Store.Pool.Query(t.Context(), "SELECT encode(payment_hash, 'hex'), amt_paid_msat FROM receipt WHERE state = 'credited'")
	require.NoError(t, err)
	receipts := map[string]int64{}
	var hash string
	var msat int64
	_, err = pgx.ForEachRow(rows, []any{&hash, &msat}, func() error {
		receipts[hash] = msat

		return nil
	})
	require.NoError(t, err)
	require.True(t, maps.Equal(onNode, receipts), "the node has settled %d invoices, %d receipts are credited", len(onNode), len(receipts))
	for what, query := range map[string]string{
		"receipts that are not credited": "SELECT count(*) FROM receipt WHERE state <> 'credited'",
		"balances with locked funds":     "SELECT count(*) FROM balance WHERE locked_msat <> 0",
		"open withdrawals":               "SELECT count(*) FROM withdrawal WHERE status NOT IN ('succeeded', 'failed')",
		"open sends":                     "SELECT count(*) FROM withdrawal_send WHERE ended_at IS NULL",
		"stray payments":                 "SELECT count(*) FROM stray_payment",
		"resources that were told twice": "SELECT count(*) FROM (SELECT FROM event GROUP BY workspace_id, resource_id HAVING count(*) > 1) twice",
	} {
		var count int
		require.NoError(t, s.Store.Pool.QueryRow(t.Context(), query).Scan(&count), what)
		require.Zero(t, count, what)
	}
}
