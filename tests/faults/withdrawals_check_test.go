package faults_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/tests/load"
	"github.com/lntpay/lntpay/tests/regtest"
)

// entryObject is what we read of a transfer of any kind.
type entryObject struct {
	Kind           string
	Ref            string
	DebitAccount   string `json:"debit_account"`
	CreditAccount  string `json:"credit_account"`
	AmountMsat     int64  `json:"amount_msat"`
	AvailableAfter int64  `json:"available_after_msat"`
	LockedAfter    int64  `json:"locked_after_msat"`
	Sequence       int64
}

// check compares what the API says of every withdrawal with both nodes, the
// ledger and Postgres.
func (p *payouts) check(t *testing.T, s *stack) {
	t.Helper()
	payments, received := paid(t, s), load.Settled(t, s.target().Payer)
	withdrawals := load.All[withdrawalObject](t, &p.w.Client, "/v1/withdrawals")
	require.Len(t, withdrawals, len(p.byKey), "withdrawals and keys")
	require.Len(t, withdrawals, cap(p.bills))
	out, outcomes, succeeded := int64(0), map[string]int{}, map[kindOfBill]int{}
	explained := map[string]bool{}
	for _, one := range withdrawals {
		require.Equal(t, p.byKey[one.ExternalID].ID, one.ID, "two withdrawals for one key")
		require.Equal(t, one, load.Get[withdrawalObject](t, &p.w.Client, "/v1/withdrawals/"+one.ID))
		kind := p.kinds[one.ID]
		explained[one.PaymentHash] = true
		if slices.Contains(p.severed, one.ID) {
			continue
		}
		require.True(t, one.over(), "%s is %s", one.ID, one.Status)
		outcomes[fmt.Sprintf("%s: %s %s", kind, one.Status, one.Failure.Code)]++
		p.checkOutcome(t, one, kind)
		if one.Status == "succeeded" {
			succeeded[kind]++
		}
		if kind == ownCharge {
			require.NotContains(t, payments, one.PaymentHash, "%s was paid over Lightning too", one.ID)
			continue
		}
		if slices.Contains(p.abandoned, one.ID) {
			checkAbandoned(t, one, payments[one.PaymentHash], received)
			continue
		}
		checkOnNodes(t, one, payments[one.PaymentHash], received)
		if one.Status == "succeeded" {
			out += one.AmountMsat + one.FeeMsat
		}
	}
	for hash := range payments {
		require.True(t, explained[hash], "the node has a payment %s of no withdrawal", hash)
	}
	for _, line := range slices.Sorted(maps.Keys(outcomes)) {
		t.Logf("%d × %s", outcomes[line], line)
	}
	for _, kind := range payable {
		require.GreaterOrEqual(t, 2*succeeded[kind], bills[kind], "%s: too few succeeded", kind)
	}
	p.checkLedger(t, s, out)
	p.checkRows(t, s)
	p.reportNotProven(t)
}

// checkOutcome: kills may make a payment fail, but what cannot be paid never
// succeeds.
func (p *payouts) checkOutcome(t *testing.T, one withdrawalObject, kind kindOfBill) {
	t.Helper()
	require.False(t, one.UnderReview, one.ID)
	switch kind {
	case refusedOne, noRoute, sentBack:
		require.Equal(t, "failed", one.Status, "%s, %s", one.ID, kind)
	case ownCharge:
		require.Equal(t, "succeeded", one.Status, "%s, %s", one.ID, kind)
		require.Zero(t, one.FeeMsat)
	case plain, amountless, takenLate:
	}
}

// checkOnNodes: succeeded is one SUCCEEDED of equal amount and fee, which the
// payee has; failed is no settled HTLC, and the payee has nothing.
func checkOnNodes(t *testing.T, one withdrawalObject, payment *lnrpc.Payment, received map[string]int64) {
	t.Helper()
	settledMsat, settledFees := int64(0), int64(0)
	for _, htlc := range payment.GetHtlcs() {
		require.NotEqual(t, lnrpc.HTLCAttempt_IN_FLIGHT, htlc.Status, one.ID)
		if htlc.Status == lnrpc.HTLCAttempt_SUCCEEDED {
			settledMsat += htlc.Route.TotalAmtMsat - htlc.Route.TotalFeesMsat
			settledFees += htlc.Route.TotalFeesMsat
		}
	}
	if one.Status == "failed" {
		if payment != nil { // None, if it was never sent.
			require.Equal(t, lnrpc.Payment_FAILED, payment.Status, one.ID)
		}
		require.Zero(t, settledMsat, "%s failed and has a settled HTLC", one.ID)
		require.NotContains(t, received, one.PaymentHash, "%s failed, its payee was paid", one.ID)
		require.NotEmpty(t, one.Failure.Code, one.ID)

		return
	}
	require.NotNil(t, payment, "%s succeeded, the node does not know", one.ID)
	require.Equal(t, lnrpc.Payment_SUCCEEDED, payment.Status, one.ID)
	require.Equal(t, one.AmountMsat, payment.ValueMsat, one.ID)
	require.Equal(t, one.FeeMsat, payment.FeeMsat, one.ID)
	require.Equal(t, one.Preimage, payment.PaymentPreimage, one.ID)
	require.Equal(t, one.AmountMsat, settledMsat, "%s was paid more than once", one.ID)
	require.Equal(t, one.FeeMsat, settledFees, one.ID)
	require.Equal(t, one.AmountMsat, received[one.PaymentHash], "what the payee of %s got", one.ID)
}

// reportNotProven says what a run passes without: lnd did not end a payment.
func (p *payouts) reportNotProven(t *testing.T) {
	t.Helper()
	for what, ids := range map[string][]string{
		"how it ends: its channel does not come up again, and its funds stay locked": p.severed,
		"that its release was right: lnd calls it in flight in name only":            p.abandoned,
	} {
		for _, id := range ids {
			line := fmt.Sprintf("%s: of %s (%s), %s", t.Name(), id, p.kinds[id], what)
			t.Log(regtest.NotProven + line)
			require.NoError(t, regtest.ReportNotProven(line))
		}
	}
}

// checkLedger: each transfer goes on where the one before it stopped, the
// balance is what Postgres adds up from the transfers' rows, nothing is locked
// but for what is severed, and the books agree with the nodes: what came in by
// Lightning, less out.
func (p *payouts) checkLedger(t *testing.T, s *stack, out int64) {
	t.Helper()
	balance := load.Get[struct {
		AvailableMsat int64 `json:"available_msat"`
		LockedMsat    int64 `json:"locked_msat"`
	}](t, &p.w.Client, "/v1/balance")
	in := int64(0)
	for _, amount := range load.Settled(t, s.target().Merchant) {
		in += amount
	}
	booked := p.bookedTo(t, s)
	require.Equal(t, booked[ledger.Available], balance.AvailableMsat, "available")
	require.Equal(t, booked[ledger.Locked], balance.LockedMsat, "locked")
	require.Equal(t, p.severedLocked(t), balance.LockedMsat, "nothing else is under way")
	require.Equal(t, in-out, balance.AvailableMsat+balance.LockedMsat, "the balance is not what the nodes moved")
	// Fees are part of what went out; none is paid over one hop.
	require.Equal(t, out-in, booked[ledger.LightningClearing]+booked[ledger.RoutingFee], "the other side of the books")
	require.Zero(t, booked[ledger.OperatorLoss])
	require.Zero(t, booked[ledger.InternalClearing])
	n := p.checkTransfers(t)
	t.Logf("%d transfers; %d msat in by Lightning, %d out, %d left", n, in, out, balance.AvailableMsat)
}

// bookedTo is what the rows of the workspace's transfers have moved to each
// account.
func (p *payouts) bookedTo(t *testing.T, s *stack) map[ledger.Account]int64 {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.dev.DatabaseURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), `SELECT account, sum(msat)::bigint FROM (
			SELECT credit_account AS account, amount_msat AS msat FROM transfer WHERE workspace_id = $1
			UNION ALL SELECT debit_account, -amount_msat FROM transfer WHERE workspace_id = $1
		) moved GROUP BY account`, s.dev.WorkspaceID)
	require.NoError(t, err)
	booked := map[ledger.Account]int64{}
	var account ledger.Account
	var msat int64
	_, err = pgx.ForEachRow(rows, []any{&account, &msat}, func() error {
		booked[account] = msat

		return nil
	})
	require.NoError(t, err)

	return booked
}

// checkTransfers: the API lists all transfers, without a gap, each with the
// balance after it, which was never below zero; every withdrawal that is over
// ended by one of them.
func (p *payouts) checkTransfers(t *testing.T) (n int) {
	t.Helper()
	transfers := load.All[entryObject](t, &p.w.Client, "/v1/ledger/transfers")
	slices.Reverse(transfers)
	accounts, ends := map[string]int64{}, map[string]int{}
	for i, transfer := range transfers {
		require.EqualValues(t, i+1, transfer.Sequence)
		require.Positive(t, transfer.AmountMsat)
		accounts[transfer.DebitAccount] -= transfer.AmountMsat
		accounts[transfer.CreditAccount] += transfer.AmountMsat
		require.Equal(t, accounts["available"], transfer.AvailableAfter, "after transfer %d", transfer.Sequence)
		require.Equal(t, accounts["locked"], transfer.LockedAfter, "after transfer %d", transfer.Sequence)
		require.GreaterOrEqual(t, transfer.AvailableAfter, int64(0))
		require.GreaterOrEqual(t, transfer.LockedAfter, int64(0))
		switch transfer.Kind {
		case "withdrawal_post", "withdrawal_void", "withdrawal_book":
			ends[transfer.Ref]++
		}
	}
	require.Len(t, ends, len(p.byKey)-len(p.severed), "withdrawals that ended")
	for id, n := range ends {
		require.Equal(t, 1, n, "%s ended %d times", id, n)
	}

	return len(transfers)
}

// checkRows: nothing is left to do but to remember what lnd left behind, and each withdrawal told its end once.
func (p *payouts) checkRows(t *testing.T, s *stack) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.dev.DatabaseURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	var strays int
	require.NoError(t, conn.QueryRow(t.Context(),
		`SELECT count(*) FROM stray_payment WHERE state = 'open' AND NOT coalesce(withdrawal_id = ANY ($1::text[]), false)`,
		p.abandoned).Scan(&strays))
	require.Zero(t, strays, "payments without an owner")
	for what, query := range map[string]string{
		"withdrawals that are open": `SELECT count(*) FROM withdrawal WHERE status NOT IN ('succeeded', 'failed')
			AND NOT id = ANY ($1::text[])`,
		"payments booked as losses":   `SELECT count(*) FROM stray_payment WHERE state = 'booked'`,
		"nodes with frozen payouts":   `SELECT count(*) FROM node WHERE payouts_frozen('', name) IS NOT NULL`,
		"sends that never ended":      `SELECT count(*) FROM withdrawal_send WHERE ended_at IS NULL`,
		"charges that stayed claimed": `SELECT count(*) FROM charge WHERE settling_by IS NOT NULL AND status <> 'paid'`,
	} {
		var count int
		args := []any{}
		if strings.Contains(query, "$1") {
			args = append(args, append([]string{}, p.severed...))
		}
		require.NoError(t, conn.QueryRow(t.Context(), query, args...).Scan(&count), what)
		require.Zero(t, count, what)
	}
	rows, err := conn.Query(t.Context(), `SELECT sends, count(*) FROM withdrawal GROUP BY sends ORDER BY sends`)
	require.NoError(t, err)
	var sends, count int
	_, err = pgx.ForEachRow(rows, []any{&sends, &count}, func() error {
		t.Logf("%d withdrawals were sent %d times", count, sends)
		return nil
	})
	require.NoError(t, err)
	told := map[string]string{}
	for i, event := range load.Events(t, s.target()) {
		require.EqualValues(t, i+1, event.Sequence)
		require.NotContains(t, told, event.ResourceID, "two events of %s", event.ResourceID)
		told[event.ResourceID] = event.Type
	}
	for _, one := range load.All[withdrawalObject](t, &p.w.Client, "/v1/withdrawals") {
		if !slices.Contains(p.severed, one.ID) {
			require.Equal(t, "withdrawal."+one.Status, told[one.ID], one.ID)
		}
	}
}
