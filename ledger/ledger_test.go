package ledger_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/store/storetest"
)

func post(ctx context.Context, s *store.Store, entries ...ledger.Entry) ([]ledger.Transfer, error) {
	var transfers []ledger.Transfer
	err := s.InTx(ctx, func(tx pgx.Tx, _ *db.Queries) (err error) {
		transfers, err = ledger.Post(ctx, tx, entries)

		return err
	})

	return transfers, err
}

func credit(workspace, ref string, amount payments.Msat) ledger.Entry {
	return ledger.Entry{
		WorkspaceID: workspace, Kind: ledger.KindChargeSettled, Ref: ref,
		Debit: ledger.LightningClearing, Credit: ledger.Available, AmountMsat: amount,
	}
}

func TestPostMovesBalancesAndNumbersTransfers(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	one, two := storetest.Workspace(t, s), storetest.Workspace(t, s)

	transfers, err := post(t.Context(), s,
		credit(one, "ch_1", 1000), credit(two, "ch_2", 5000), credit(one, "ch_3", 250),
		ledger.Entry{WorkspaceID: one, Kind: "lock", Ref: "wd_1", Debit: ledger.Available, Credit: ledger.Locked, AmountMsat: 300})
	require.NoError(t, err)
	require.Len(t, transfers, 4)

	available, locked, _, err := ledger.Balance(t.Context(), s.Pool, one)
	require.NoError(t, err)
	require.Equal(t, payments.Msat(950), available)
	require.Equal(t, payments.Msat(300), locked)

	list, err := ledger.Transfers(t.Context(), s.Pool, ledger.TransferFilter{WorkspaceID: one, Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 3)
	require.Equal(t, "wd_1", list[0].Ref)
	require.Equal(t, []int64{3, 2, 1}, []int64{list[0].Sequence, list[1].Sequence, list[2].Sequence})
	require.Equal(t, []payments.Msat{950, 1250, 1000},
		[]payments.Msat{list[0].AvailableAfterMsat, list[1].AvailableAfterMsat, list[2].AvailableAfterMsat})
	require.Equal(t, payments.Msat(300), list[0].LockedAfterMsat)
	require.NoError(t, ledger.Verify(t.Context(), s.Pool, one))
	require.NoError(t, ledger.Verify(t.Context(), s.Pool, two))
}

func TestPostRefuses(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	workspace := storetest.Workspace(t, s)
	_, err := post(t.Context(), s, credit(workspace, "ch_1", 1000))
	require.NoError(t, err)

	lock := func(amount payments.Msat) ledger.Entry {
		return ledger.Entry{
			WorkspaceID: workspace, Kind: "lock", Ref: "wd_1",
			Debit: ledger.Available, Credit: ledger.Locked, AmountMsat: amount,
		}
	}
	for name, c := range map[string]struct {
		entries []ledger.Entry
		want    error
	}{
		"same kind and ref":         {[]ledger.Entry{credit(workspace, "ch_1", 1000)}, ledger.ErrAlreadyPosted},
		"same twice in one batch":   {[]ledger.Entry{credit(workspace, "ch_2", 1), credit(workspace, "ch_2", 1)}, ledger.ErrAlreadyPosted},
		"below zero":                {[]ledger.Entry{lock(1001)}, ledger.ErrInsufficientBalance},
		"good beside below zero":    {[]ledger.Entry{credit(workspace, "ch_3", 1), lock(1002)}, ledger.ErrInsufficientBalance},
		"workspace without account": {[]ledger.Entry{credit(payments.NewID("ws"), "ch_4", 1)}, ledger.ErrUnknownWorkspace},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := post(t.Context(), s, c.entries...)
			require.ErrorIs(t, err, c.want)
			available, locked, _, err := ledger.Balance(t.Context(), s.Pool, workspace)
			require.NoError(t, err)
			require.Equal(t, payments.Msat(1000), available, "a refusal moves nothing")
			require.Zero(t, locked)
			require.NoError(t, ledger.Verify(t.Context(), s.Pool, workspace))
		})
	}
	_, err = post(t.Context(), s, credit(workspace, "ch_5", 0))
	require.Error(t, err, "an amount of zero books nothing")
	_, err = post(t.Context(), s, credit(workspace, "ch_6", -5))
	require.Error(t, err, "a negative amount would be a debit in disguise")
}

// Batches that touch the same workspaces in different orders must neither
// deadlock nor lose or double an entry.
func TestPostConcurrently(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	workspaces := make([]string, 4)
	for i := range workspaces {
		workspaces[i] = storetest.Workspace(t, s)
	}
	const writers, batches = 8, 25
	var group sync.WaitGroup
	failures := make(chan error, writers*batches)
	for w := range writers {
		group.Go(func() {
			for b := range batches {
				var entries []ledger.Entry
				for i := range workspaces {
					target := workspaces[(i+w)%len(workspaces)]
					entries = append(entries, credit(target, fmt.Sprintf("ch_%d_%d_%d", w, b, i), 7))
				}
				if _, err := post(t.Context(), s, entries...); err != nil {
					failures <- err
				}
			}
		})
	}
	group.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	for _, workspace := range workspaces {
		available, _, _, err := ledger.Balance(t.Context(), s.Pool, workspace)
		require.NoError(t, err)
		require.Equal(t, payments.Msat(7*writers*batches), available)
		require.NoError(t, ledger.Verify(t.Context(), s.Pool, workspace))
	}
}

// Concurrent debits of one balance: exactly as many succeed as it can bear.
func TestConcurrentDebitsNeverOverdraw(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	workspace := storetest.Workspace(t, s)
	_, err := post(t.Context(), s, credit(workspace, "ch_1", 1000))
	require.NoError(t, err)

	results := make(chan error, 64)
	for i := range cap(results) {
		go func() {
			_, err := post(t.Context(), s, ledger.Entry{
				WorkspaceID: workspace, Kind: "lock", Ref: fmt.Sprintf("wd_%d", i),
				Debit: ledger.Available, Credit: ledger.Locked, AmountMsat: 100,
			})
			results <- err
		}()
	}
	var succeeded int
	for range cap(results) {
		err := <-results
		if err == nil {
			succeeded++

			continue
		}
		require.ErrorIs(t, err, ledger.ErrInsufficientBalance)
	}
	require.Equal(t, 10, succeeded)
	available, locked, _, err := ledger.Balance(t.Context(), s.Pool, workspace)
	require.NoError(t, err)
	require.Zero(t, available)
	require.Equal(t, payments.Msat(1000), locked)
	require.NoError(t, ledger.Verify(t.Context(), s.Pool, workspace))
}

func TestTransfersAreImmutable(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	workspace := storetest.Workspace(t, s)
	_, err := post(t.Context(), s, credit(workspace, "ch_1", 1000))
	require.NoError(t, err)
	for _, statement := range []string{
		"UPDATE transfer SET amount_msat = 2000",
		"DELETE FROM transfer",
		"TRUNCATE transfer",
	} {
		// The grants stop the runtime role; a superuser still meets the trigger.
		_, err := s.Pool.Exec(t.Context(), statement)
		require.ErrorContains(t, err, "immutable", statement)
	}
}
