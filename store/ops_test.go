package store_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/store/storetest"
)

var anna = store.Operator{Name: "anna", Reason: "a test"}

// opsBundle is a database with a node, a workspace with money, and what
// operators deal with.
type opsBundle struct {
	*store.Store

	t         *testing.T
	workspace string
}

const opsNode = "merchant"

func newOps(t *testing.T) *opsBundle {
	t.Helper()
	s := storetest.New(t)
	b := &opsBundle{Store: s, t: t, workspace: storetest.Workspace(t, s)}
	require.NoError(t, s.PinNode(t.Context(), db.PinNodeParams{Name: opsNode, Pubkey: "02aa", Network: "regtest"}))
	b.post(ledger.KindChargeSettled, "ch_money", ledger.LightningClearing, ledger.Available, 1_000_000)

	return b
}

func (b *opsBundle) post(kind ledger.Kind, ref string, debit, credit ledger.Account, amount payments.Msat) {
	b.t.Helper()
	require.NoError(b.t, b.InTx(b.t.Context(), func(tx pgx.Tx, _ *db.Queries) error {
		_, err := ledger.Post(b.t.Context(), tx, []ledger.Entry{{
			WorkspaceID: b.workspace, Kind: kind, Ref: ref, Debit: debit, Credit: credit, AmountMsat: amount,
		}})

		return err
	}))
}

// withdrawal holds a withdrawal.
func (b *opsBundle) withdrawal() string {
	b.t.Helper()
	id := payments.NewID(payments.PrefixWithdrawal)
	hash := sha256.Sum256([]byte(id))
	_, err := b.InsertWithdrawal(b.t.Context(), db.InsertWithdrawalParams{
		ID: id, WorkspaceID: b.workspace, Node: opsNode, Kind: "lightning", PaymentHash: hash[:], Destination: "03bb",
		Bolt11: "lnbcrt1", AmountMsat: 21_000, MaxFeeMsat: 5_000, Metadata: []byte("{}"),
		InvoiceExpiresAt: time.Now().Add(time.Hour),
	})
	require.NoError(b.t, err)
	b.post(ledger.KindWithdrawalLock, id, ledger.Available, ledger.Locked, 26_000)

	return id
}

// addSend licenses a send as the activity does; false when it is refused.
func (b *opsBundle) addSend(id string, sends int32) bool {
	b.t.Helper()
	err := b.InTx(b.t.Context(), func(_ pgx.Tx, q *db.Queries) error {
		if err := q.EnterPayoutGate(b.t.Context()); err != nil {
			return err
		}
		_, err := q.AddSend(b.t.Context(), db.AddSendParams{ID: id, Sends: sends, WindowS: 20})

		return err
	})
	if err != nil {
		require.ErrorIs(b.t, err, pgx.ErrNoRows)
	}

	return err == nil
}

// stray notes a payment of the node; of is the voided withdrawal, or "".
func (b *opsBundle) stray(index, createdNS int64, status, of string) {
	b.t.Helper()
	hash := sha256.Sum256(fmt.Append(nil, index, createdNS))
	_, err := b.NoteStrays(b.t.Context(), db.NoteStraysParams{
		Node: opsNode, PaymentIndexes: []int64{index}, CreatedNs: []int64{createdNS}, PaymentHashes: [][]byte{hash[:]},
		WithdrawalIds: []string{of}, Statuses: []string{status}, AmountsMsat: []int64{7_000}, FeesMsat: []int64{30},
	})
	require.NoError(b.t, err)
}

// actions are the rows of the audit trail, the newest first, in a word.
func (b *opsBundle) actions() []string {
	b.t.Helper()
	rows, err := b.FindOperatorActions(b.t.Context(), db.FindOperatorActionsParams{MaxRows: 100})
	require.NoError(b.t, err)
	words := []string{}
	for _, row := range rows {
		require.Equal(b.t, anna.Name, row.Actor)
		require.Equal(b.t, anna.Reason, row.Reason)
		words = append(words, row.Action+" "+row.Target)
	}

	return words
}

func (b *opsBundle) booksAgree() {
	b.t.Helper()
	require.NoError(b.t, ledger.Verify(b.t.Context(), b.Pool, b.workspace))
}

func TestFreezeStopsSends(t *testing.T) {
	t.Parallel()
	for name, scope := range map[string]func(*opsBundle) string{
		"all":       func(*opsBundle) string { return store.FreezeAll },
		"node":      func(*opsBundle) string { return store.FreezeNode(opsNode) },
		"workspace": func(b *opsBundle) string { return b.workspace },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newOps(t)
			scope := scope(b)
			id := b.withdrawal()

			before, err := b.FreezePayouts(t.Context(), scope, anna)
			require.NoError(t, err)
			require.Nil(t, before)
			require.False(t, b.addSend(id, 0))

			again, err := b.FreezePayouts(t.Context(), scope, store.Operator{Name: "anna", Reason: "a test"})
			require.NoError(t, err)
			require.Equal(t, anna.Name, again.Actor)
			require.False(t, b.addSend(id, 0))

			thaw, err := b.ThawPayouts(t.Context(), scope, anna)
			require.NoError(t, err)
			require.Equal(t, store.Thaw{WasFrozen: true}, thaw)
			require.True(t, b.addSend(id, 0))

			thaw, err = b.ThawPayouts(t.Context(), scope, anna)
			require.NoError(t, err)
			require.Equal(t, store.Thaw{}, thaw)
			require.Equal(t, []string{"thaw " + scope, "thaw " + scope, "freeze " + scope, "freeze " + scope}, b.actions())

			// A scope can be frozen anew, for the reason of then.
			_, err = b.FreezePayouts(t.Context(), scope, anna)
			require.NoError(t, err)
			require.False(t, b.addSend(id, 1))
		})
	}
}

// A freeze returns only when nobody is between reading the freezes and
// committing a send.
func TestFreezeWaitsForSendsAndHolds(t *testing.T) {
	t.Parallel()
	b := newOps(t)
	id := b.withdrawal()
	licensing, err := b.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = licensing.Rollback(context.WithoutCancel(t.Context())) }()
	q := b.WithTx(licensing)
	require.NoError(t, q.EnterPayoutGate(t.Context()))

	frozen := make(chan error, 1)
	go func() {
		_, err := b.FreezePayouts(context.WithoutCancel(t.Context()), store.FreezeAll, anna)
		frozen <- err
	}()
	require.Eventually(t, func() bool {
		var waiting bool
		err := b.Pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
			WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted)`).Scan(&waiting)

		return err == nil && waiting
	}, 10*time.Second, 10*time.Millisecond)
	select {
	case err := <-frozen:
		require.Fail(t, "the freeze did not wait", err)
	default:
	}
	_, err = q.AddSend(t.Context(), db.AddSendParams{ID: id, Sends: 0, WindowS: 20})
	require.NoError(t, err, "what is in the gate was there first")
	require.NoError(t, licensing.Commit(t.Context()))

	require.NoError(t, <-frozen)
	require.False(t, b.addSend(id, 1), "no send once the freeze has returned")
}

func TestFreezeOfNothingIsRefused(t *testing.T) {
	t.Parallel()
	b := newOps(t)
	for _, scope := range []string{store.FreezeNode("other"), payments.NewID(payments.PrefixWorkspace), ""} {
		_, err := b.FreezePayouts(t.Context(), scope, anna)
		require.ErrorIs(t, err, store.ErrNotFound, scope)
		_, err = b.ThawPayouts(t.Context(), scope, anna)
		require.ErrorIs(t, err, store.ErrNotFound, scope)
	}
	for _, by := range []store.Operator{{}, {Name: "anna", Reason: " "}, {Name: "\t", Reason: "why"}} {
		_, err := b.FreezePayouts(t.Context(), store.FreezeAll, by)
		require.ErrorIs(t, err, store.ErrAnonymous)
		_, err = b.AskToResolve(t.Context(), b.withdrawal(), store.ResolveRetry, by)
		require.ErrorIs(t, err, store.ErrAnonymous)
	}
	require.Empty(t, b.actions())
	freezes, err := b.ListFreezes(t.Context())
	require.NoError(t, err)
	require.Empty(t, freezes)
}

func TestThawAsksForTheEndOfARegression(t *testing.T) {
	t.Parallel()
	b := newOps(t)
	_, err := b.MarkNodeRegressed(t.Context(), opsNode)
	require.NoError(t, err)
	id := b.withdrawal()
	require.False(t, b.addSend(id, 0))

	// Of everything is not of this node: its data must be looked at by name.
	thaw, err := b.ThawPayouts(t.Context(), store.FreezeAll, anna)
	require.NoError(t, err)
	require.Equal(t, store.Thaw{}, thaw)
	thaw, err = b.ThawPayouts(t.Context(), store.FreezeNode(opsNode), anna)
	require.NoError(t, err)
	require.Equal(t, store.Thaw{Regressed: true}, thaw)
	node, err := b.GetNode(t.Context(), opsNode)
	require.NoError(t, err)
	require.NotNil(t, node.ThawRequestedAt)
	require.NotNil(t, node.RegressedAt, "the sweeper's to end")
	require.False(t, b.addSend(id, 0))

	n, err := b.ThawNode(t.Context(), opsNode)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.True(t, b.addSend(id, 0))
}

func TestOpenWithdrawalsOfAScope(t *testing.T) {
	t.Parallel()
	b := newOps(t)
	id := b.withdrawal()
	reviewed := b.withdrawal()
	_, err := b.ReviewWithdrawal(t.Context(), db.ReviewWithdrawalParams{ID: reviewed, Reason: "a test"})
	require.NoError(t, err)
	for scope, want := range map[string]int{
		store.FreezeAll: 1, store.FreezeNode(opsNode): 1, b.workspace: 1, store.FreezeNode("other"): 0, "ws_other": 0,
	} {
		rows, err := b.OpenWithdrawals(t.Context(), db.OpenWithdrawalsParams{Scope: scope, MaxRows: 10})
		require.NoError(t, err)
		require.Len(t, rows, want, scope)
		if want > 0 {
			require.Equal(t, id, rows[0].ID)
		}
	}
	for older, want := range map[float64][]string{0: {reviewed, id}, 3600: {reviewed}} {
		rows, err := b.StuckWithdrawals(t.Context(), db.StuckWithdrawalsParams{OlderS: older, MaxRows: 10})
		require.NoError(t, err)
		ids := []string{}
		for _, row := range rows {
			ids = append(ids, row.Withdrawal.ID)
		}
		require.Equal(t, want, ids)
	}
}

func TestAskToResolve(t *testing.T) {
	t.Parallel()
	b := newOps(t)
	id := b.withdrawal()
	_, err := b.AskToResolve(t.Context(), payments.NewID(payments.PrefixWithdrawal), store.ResolveVoid, anna)
	require.ErrorIs(t, err, store.ErrNotFound)

	command, err := b.AskToResolve(t.Context(), id, store.ResolveVoid, anna)
	require.NoError(t, err)
	_, err = b.AskToResolve(t.Context(), id, store.ResolvePost, anna)
	require.ErrorIs(t, err, store.ErrResolutionOpen)
	require.Equal(t, []string{"resolve " + id}, b.actions())

	judged, err := b.JudgedResolution(t.Context(), command.ID)
	require.NoError(t, err)
	require.Nil(t, judged.WithdrawalResolution.Outcome, "the withdrawal is open: the worker's to judge")
	_, ok, err := b.VoidWithdrawal(t.Context(), store.VoidWithdrawal{
		ID: id, Failure: payments.FailureNotDispatched, Resolution: command.ID,
	})
	require.NoError(t, err)
	require.True(t, ok)
	judged, err = b.JudgedResolution(t.Context(), command.ID)
	require.NoError(t, err)
	require.Equal(t, "applied", *judged.WithdrawalResolution.Outcome)

	_, err = b.AskToResolve(t.Context(), id, store.ResolveRetry, anna)
	require.ErrorIs(t, err, store.ErrWithdrawalOver)
	require.Equal(t, []string{"resolve " + id}, b.actions(), "a command for what is over writes nothing")
	b.booksAgree()
}

// The withdrawal ends by itself after the command was written: no run judges
// it any more.
func TestResolutionOfWhatEndedFirstIsRefused(t *testing.T) {
	t.Parallel()
	b := newOps(t)
	id := b.withdrawal()
	command, err := b.AskToResolve(t.Context(), id, store.ResolveRetry, anna)
	require.NoError(t, err)
	_, ok, err := b.VoidWithdrawal(t.Context(), store.VoidWithdrawal{ID: id, Failure: payments.FailureNotDispatched})
	require.NoError(t, err)
	require.True(t, ok)

	for range 2 {
		judged, err := b.JudgedResolution(t.Context(), command.ID)
		require.NoError(t, err)
		require.Equal(t, "refused", *judged.WithdrawalResolution.Outcome)
		require.Equal(t, "the withdrawal is over: failed", *judged.WithdrawalResolution.Detail)
	}
}

func TestAuditTrailIsImmutable(t *testing.T) {
	t.Parallel()
	b := newOps(t)
	_, err := b.FreezePayouts(t.Context(), store.FreezeAll, anna)
	require.NoError(t, err)
	for _, statement := range []string{
		"UPDATE operator_action SET actor = 'nobody'", "DELETE FROM operator_action", "TRUNCATE operator_action",
	} {
		_, err := b.Pool.Exec(t.Context(), statement)
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg, statement)
		require.Equal(t, "23001", pg.Code, statement)
	}
	require.Equal(t, []string{"freeze all"}, b.actions())
}

func TestStrayIsTheOwners(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"in_flight", "succeeded"} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			b := newOps(t)
			id := b.withdrawal()
			b.stray(3, 30, status, "")
			require.False(t, b.addSend(id, 0), "unexplained: the node is frozen")

			_, err := b.LeaveStrayToOwner(t.Context(), store.StrayRef{Node: opsNode, Index: 3}, anna)
			require.NoError(t, err)
			require.True(t, b.addSend(id, 0))
			require.Equal(t, []string{"stray_owner stray/merchant/3"}, b.actions())

			// The sweep sees it again, and leaves it alone.
			b.stray(3, 30, "succeeded", "")
			open, err := b.AllOpenStrays(t.Context(), 10)
			require.NoError(t, err)
			require.Empty(t, open)
			_, err = b.LeaveStrayToOwner(t.Context(), store.StrayRef{Node: opsNode, Index: 3}, anna)
			require.ErrorIs(t, err, store.ErrStrayClosed)
			b.booksAgree()
		})
	}
}

func TestStrayIsBooked(t *testing.T) {
	t.Parallel()
	b := newOps(t)
	available, locked, _, err := ledger.Balance(t.Context(), b.Pool, b.workspace)
	require.NoError(t, err)
	ref := store.StrayRef{Node: opsNode, Index: 3}
	b.stray(3, 30, "succeeded", "")

	_, _, err = b.BookStray(t.Context(), ref, payments.NewID(payments.PrefixWorkspace), anna)
	require.ErrorIs(t, err, store.ErrNotFound)
	open, err := b.AllOpenStrays(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, open, 1, "all or nothing")
	require.Empty(t, b.actions())

	_, transfer, err := b.BookStray(t.Context(), ref, b.workspace, anna)
	require.NoError(t, err)
	require.EqualValues(t, 7_030, transfer.AmountMsat)
	require.Equal(t, ledger.KindLatePayment, transfer.Kind)
	require.Equal(t, "stray/merchant/3", transfer.Ref)
	require.Equal(t, ledger.OperatorLoss, transfer.Debit)
	require.Equal(t, ledger.LightningClearing, transfer.Credit)
	_, _, err = b.BookStray(t.Context(), ref, b.workspace, anna)
	require.ErrorIs(t, err, store.ErrStrayClosed)

	// A node that went back in time gives the index out again.
	b.stray(3, 31, "succeeded", "")
	_, transfer, err = b.BookStray(t.Context(), ref, b.workspace, anna)
	require.NoError(t, err)
	require.Equal(t, "stray/merchant/3/31", transfer.Ref)

	after, lockedAfter, _, err := ledger.Balance(t.Context(), b.Pool, b.workspace)
	require.NoError(t, err)
	require.Equal(t, available, after)
	require.Equal(t, locked, lockedAfter)
	require.Equal(t, []string{"stray_book stray/merchant/3", "stray_book stray/merchant/3"}, b.actions())
	b.booksAgree()
}

func TestStraysThatMayNotBeClosed(t *testing.T) {
	t.Parallel()
	b := newOps(t)
	b.stray(1, 10, "in_flight", "")
	b.stray(2, 20, "succeeded", "wd_voided")
	b.stray(4, 40, "succeeded", "")
	b.stray(4, 41, "succeeded", "")
	ref := func(index int64) store.StrayRef { return store.StrayRef{Node: opsNode, Index: index} }

	_, _, err := b.BookStray(t.Context(), ref(1), b.workspace, anna)
	require.ErrorIs(t, err, store.ErrStrayNotSucceeded)
	_, _, err = b.BookStray(t.Context(), ref(2), b.workspace, anna)
	require.ErrorIs(t, err, store.ErrStrayOfWithdrawal)
	_, err = b.LeaveStrayToOwner(t.Context(), ref(2), anna)
	require.ErrorIs(t, err, store.ErrStrayOfWithdrawal)
	_, err = b.LeaveStrayToOwner(t.Context(), ref(3), anna)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = b.LeaveStrayToOwner(t.Context(), ref(4), anna)
	require.ErrorIs(t, err, store.ErrStrayAmbiguous)
	require.Empty(t, b.actions())

	_, err = b.LeaveStrayToOwner(t.Context(), store.StrayRef{Node: opsNode, Index: 4, CreatedNS: 41}, anna)
	require.NoError(t, err)
	stray, err := b.LeaveStrayToOwner(t.Context(), ref(4), anna)
	require.NoError(t, err)
	require.EqualValues(t, 40, stray.CreatedNs)
}
