package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/store/storetest"
)

func seal(t *testing.T, s *store.Store) ledger.Sealed {
	t.Helper()
	var sealed ledger.Sealed
	require.NoError(t, s.InTx(t.Context(), func(tx pgx.Tx, _ *db.Queries) (err error) {
		sealed, err = ledger.Seal(t.Context(), tx)

		return err
	}))

	return sealed
}

func check(t *testing.T, s *store.Store, in ledger.ChainCheck) ledger.ChainReport {
	t.Helper()
	var report ledger.ChainReport
	require.NoError(t, s.Snapshot(t.Context(), func(tx pgx.Tx, _ *db.Queries) (err error) {
		report, err = ledger.CheckChain(t.Context(), tx, in)

		return err
	}))

	return report
}

// forge does what only the database's owner can do, past the triggers.
func forge(t *testing.T, s *store.Store, statements ...string) {
	t.Helper()
	require.NoError(t, s.InTx(t.Context(), func(tx pgx.Tx, _ *db.Queries) error {
		for _, statement := range append([]string{"SET LOCAL session_replication_role = replica"}, statements...) {
			if _, err := tx.Exec(t.Context(), statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}

		return nil
	}))
}

func freeze(t *testing.T, s *store.Store, reason string) {
	t.Helper()
	_, err := s.FreezePayouts(t.Context(), store.FreezeAll, store.Operator{Name: "anna", Reason: reason})
	require.NoError(t, err)
}

// sealed is what sealedBooks made: two workspaces' ids and the two sealings.
type sealed struct {
	store       *store.Store
	one, two    string
	first, last ledger.Sealed
}

// sealedBooks are two workspaces and an audit trail in two heads: seven
// transfers of one, three of two, two rows of the trail. What comes after the
// heads is one transfer of one.
func sealedBooks(t *testing.T) sealed {
	t.Helper()
	s := storetest.New(t)
	one, two := storetest.Workspace(t, s), storetest.Workspace(t, s)
	book := func(entries ...ledger.Entry) {
		_, err := post(t.Context(), s, entries...)
		require.NoError(t, err)
	}
	book(credit(one, "ch_1", 1000), credit(one, "ch_2", 1000), credit(one, "ch_3", 1000), credit(two, "ch_4", 5000))
	freeze(t, s, "first")
	first := seal(t, s)
	require.Equal(t, []int{2, 4, 1}, []int{first.Blocks, first.Transfers, first.Actions})
	book(credit(one, "ch_5", 10), credit(one, "ch_6", 20), credit(two, "ch_7", 30), credit(two, "ch_8", 40),
		ledger.Entry{
			WorkspaceID: one, Kind: ledger.KindWithdrawalLock, Ref: "wd_1",
			Debit: ledger.Available, Credit: ledger.Locked, AmountMsat: 300,
		},
		ledger.Entry{
			WorkspaceID: one, Kind: ledger.KindWithdrawalVoid, Ref: "wd_1",
			Debit: ledger.Locked, Credit: ledger.Available, AmountMsat: 300,
		})
	freeze(t, s, "second")
	last := seal(t, s)
	require.Equal(t, []int{2, 6, 1}, []int{last.Blocks, last.Transfers, last.Actions})
	require.EqualValues(t, 2, last.Head)
	book(credit(one, "ch_9", 7))

	return sealed{s, one, two, first, last}
}

func TestSealedBooksVerify(t *testing.T) {
	t.Parallel()
	b := sealedBooks(t)
	s, one, two, first, last := b.store, b.one, b.two, b.first, b.last
	report := check(t, s, ledger.ChainCheck{Head: first.Hash})
	require.Empty(t, report.Breaks)
	require.Equal(t, last.Hash, report.Hash)
	report.Hash = nil
	require.Equal(t, ledger.ChainReport{
		Workspaces: 2, Transfers: 11, Blocks: 4, Heads: 2, Actions: 2, UnsealedTransfers: 1, Head: 2, FoundHead: 1,
	}, report)
	for _, id := range []string{one, two, ""} {
		breaks, err := ledger.VerifyChain(t.Context(), s.Pool, id)
		require.NoError(t, err)
		require.Empty(t, breaks)
	}
	unsealed, err := ledger.Unsealed(t.Context(), s.Pool)
	require.NoError(t, err)
	require.EqualValues(t, 1, unsealed)
	third := seal(t, s)
	require.Equal(t, []int{1, 1, 0}, []int{third.Blocks, third.Transfers, third.Actions})
	again := seal(t, s)
	require.Equal(t, ledger.Sealed{}, again, "what is sealed is sealed")
	require.Empty(t, check(t, s, ledger.ChainCheck{Head: third.Hash}).Breaks)
}

// Whatever somebody with all rights does to what was sealed is found, and the
// transfer is named where its neighbours give it away.
func TestBrokenChainsAreFound(t *testing.T) {
	t.Parallel()
	const of = " WHERE workspace_id = '{one}' "
	for name, fault := range map[string]struct {
		// statements are about workspace one.
		statements []string
		sequence   int64
		what       string
	}{
		"altered amount":     {[]string{"UPDATE transfer SET amount_msat = 999" + of + "AND sequence = 2"}, 2, "altered"},
		"altered balance":    {[]string{"UPDATE transfer SET available_after_msat = 1" + of + "AND sequence = 2"}, 2, "altered"},
		"altered kind":       {[]string{"UPDATE transfer SET kind = 'other'" + of + "AND sequence = 5"}, 4, "block 2"},
		"altered ref":        {[]string{"UPDATE transfer SET ref = 'other'" + of + "AND sequence = 1"}, 1, "block 1"},
		"altered id":         {[]string{"UPDATE transfer SET id = 'other'" + of + "AND sequence = 3"}, 1, "block 1"},
		"altered account":    {[]string{"UPDATE transfer SET debit_account = 11" + of + "AND sequence = 3"}, 1, "block 1"},
		"altered time":       {[]string{"UPDATE transfer SET created_at = created_at + interval '1 us'" + of + "AND sequence = 3"}, 1, "block 1"},
		"removed":            {[]string{"DELETE FROM transfer" + of + "AND sequence = 3"}, 3, "missing"},
		"removed at the end": {[]string{"DELETE FROM transfer" + of + "AND sequence = 8"}, 8, "counts 8 transfers"},
		"removed with balance": {[]string{
			"DELETE FROM transfer" + of + "AND sequence > 6", "UPDATE balance SET version = 6" + of,
		}, 7, "sealed and missing"},
		"reordered": {[]string{
			"UPDATE transfer SET sequence = 100" + of + "AND sequence = 2",
			"UPDATE transfer SET sequence = 2, available_after_msat = 2000" + of + "AND sequence = 3",
			"UPDATE transfer SET sequence = 3, available_after_msat = 3000" + of + "AND sequence = 100",
		}, 1, "block 1"},
		"inserted": {[]string{
			"INSERT INTO transfer SELECT workspace_id, 9, 'txf_x', kind, 'ch_x', debit_account, credit_account, 5, 3042, 0 FROM transfer" +
				of + "AND sequence = 1",
		}, 9, "counts 8 transfers"},
		"drifted balance":  {[]string{"UPDATE balance SET available_msat = available_msat + 1" + of}, 8, "the balance says"},
		"removed balance":  {[]string{"DELETE FROM balance" + of}, 0, "balance is missing"},
		"altered block":    {[]string{"UPDATE ledger_block SET sealed_at = sealed_at - interval '1 day'" + of + "AND number = 1"}, 1, "block 1"},
		"altered hash":     {[]string{"UPDATE ledger_block SET hash = sha256('x')" + of + "AND number = 1"}, 4, "does not name the hash"},
		"removed block":    {[]string{"DELETE FROM ledger_block" + of + "AND number = 1"}, 1, "blocks are missing"},
		"removed tip":      {[]string{"DELETE FROM ledger_block" + of + "AND number = 2"}, 0, "commits to 2 blocks, 1 are there"},
		"moved block":      {[]string{"UPDATE ledger_block SET head = 9" + of + "AND number = 2"}, 0, "head 9, which is missing"},
		"altered head":     {[]string{"UPDATE ledger_head SET sealed_at = sealed_at - interval '1 day' WHERE number = 1"}, 0, "head 1 is not what"},
		"removed head":     {[]string{"DELETE FROM ledger_head WHERE number = 1"}, 0, "heads are missing"},
		"removed last":     {[]string{"DELETE FROM ledger_head WHERE number = 2"}, 0, "head 2, which is missing"},
		"altered action":   {[]string{"UPDATE operator_action SET reason = 'other' WHERE id = 2"}, 0, "head 2 is not what"},
		"altered detail":   {[]string{`UPDATE operator_action SET detail = '{"a": 1}' WHERE id = 1`}, 0, "head 1 is not what"},
		"removed action":   {[]string{"DELETE FROM operator_action WHERE id = 1"}, 0, "row 1 of the audit trail"},
		"unsealed action":  {[]string{"DELETE FROM operator_action WHERE id = 1", "DELETE FROM operator_action_seal WHERE action_id = 1"}, 0, "1 rows of the audit trail, 0 are"},
		"inserted in past": {[]string{"INSERT INTO operator_action_seal VALUES (77, 1)"}, 0, "row 77"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := sealedBooks(t)
			s, one := b.store, b.one
			statements := []string{}
			for _, statement := range fault.statements {
				statements = append(statements, strings.ReplaceAll(statement, "{one}", one))
			}
			forge(t, s, statements...)
			breaks := check(t, s, ledger.ChainCheck{}).Breaks
			found := false
			for _, at := range breaks {
				found = found || at.Sequence == fault.sequence && strings.Contains(at.What, fault.what)
			}
			require.True(t, found, "%+v", breaks)
		})
	}
}

// Who rewrites the past and seals it anew has a chain that fits together, but
// not the head that was kept elsewhere.
func TestRewrittenPastLacksTheHead(t *testing.T) {
	t.Parallel()
	b := sealedBooks(t)
	s, one, first, last := b.store, b.one, b.first, b.last
	forge(t, s, "DELETE FROM ledger_block", "DELETE FROM ledger_head", "DELETE FROM operator_action_seal",
		fmt.Sprintf("UPDATE transfer SET ref = 'ch_other' WHERE workspace_id = '%s' AND sequence = 2", one))
	seal(t, s)
	require.Empty(t, check(t, s, ledger.ChainCheck{}).Breaks)
	for _, head := range [][]byte{first.Hash, last.Hash} {
		breaks := check(t, s, ledger.ChainCheck{Head: head}).Breaks
		require.Len(t, breaks, 1)
		require.Contains(t, breaks[0].What, "no head has the hash")
	}
}

// A gap stops its workspace and nobody else's.
func TestSealStopsAtAGap(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	one, two := storetest.Workspace(t, s), storetest.Workspace(t, s)
	_, err := post(t.Context(), s, credit(one, "ch_1", 1), credit(one, "ch_2", 1), credit(two, "ch_3", 1))
	require.NoError(t, err)
	forge(t, s, fmt.Sprintf("DELETE FROM transfer WHERE workspace_id = '%s' AND sequence = 1", one))
	sealed := seal(t, s)
	require.Equal(t, 1, sealed.Blocks)
	require.Len(t, sealed.Breaks, 1)
	require.Equal(t, one, sealed.Breaks[0].WorkspaceID)
	require.EqualValues(t, 1, sealed.Breaks[0].Sequence)
}

func TestChainIsImmutable(t *testing.T) {
	t.Parallel()
	s := sealedBooks(t).store
	for table, column := range map[string]string{"ledger_block": "head", "ledger_head": "blocks", "operator_action_seal": "head"} {
		for _, statement := range []string{"UPDATE " + table + " SET " + column + " = 1", "DELETE FROM " + table, "TRUNCATE " + table} {
			_, err := s.Pool.Exec(t.Context(), statement)
			require.ErrorContains(t, err, "immutable", statement)
		}
	}
}

// Writers and two sealers at once: every transfer is in one block, in order,
// and nobody waits for the sealer.
func TestSealBehindWriters(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	workspaces := []string{storetest.Workspace(t, s), storetest.Workspace(t, s), storetest.Workspace(t, s)}
	writing, stop := context.WithCancel(t.Context())
	defer stop()
	errs := make(chan error, 100)
	var sealers, writers sync.WaitGroup
	for range 2 {
		sealers.Go(func() {
			for writing.Err() == nil {
				errs <- s.InTx(t.Context(), func(tx pgx.Tx, _ *db.Queries) error {
					_, err := ledger.Seal(t.Context(), tx)

					return err
				})
			}
		})
	}
	drained := make(chan error, 1)
	go func() {
		var first error
		for err := range errs {
			if first == nil {
				first = err
			}
		}
		drained <- first
	}()
	const each = 60
	for w := range 4 {
		writers.Go(func() {
			for i := range each {
				var entries []ledger.Entry
				for _, id := range workspaces {
					entries = append(entries, credit(id, fmt.Sprintf("ch_%s_%d_%d", id, w, i), payments.Msat(1+i)))
				}
				_, err := post(t.Context(), s, entries...)
				errs <- err
			}
		})
	}
	writers.Wait()
	stop()
	sealers.Wait()
	close(errs)
	require.NoError(t, <-drained)
	seal(t, s)
	report := check(t, s, ledger.ChainCheck{})
	require.Empty(t, report.Breaks)
	require.EqualValues(t, 4*each*len(workspaces), report.Transfers)
	require.Zero(t, report.UnsealedTransfers)
	require.Greater(t, report.Heads, int64(1))
}

// 100,000 transfers are sealed and verified in seconds; the figures are in
// docs/audit.md.
func TestChainOfManyTransfers(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	workspace := storetest.Workspace(t, s)
	const n = 100_000
	_, err := s.Pool.Exec(t.Context(), `INSERT INTO transfer SELECT $1, i, 'txf_' || i, 'charge_settled', 'ch_' || i, 10, 1, 5, 5 * i, 0
		FROM generate_series(1, $2::bigint) i`, workspace, n)
	require.NoError(t, err)
	_, err = s.Pool.Exec(t.Context(), "UPDATE balance SET available_msat = $1, version = $2 WHERE workspace_id = $3", 5*n, n, workspace)
	require.NoError(t, err)
	began := time.Now()
	passes := 0
	for more := true; more; passes++ {
		sealed := seal(t, s)
		require.NotZero(t, sealed.Head)
		more = sealed.More
	}
	sealing := time.Since(began)
	began = time.Now()
	report := check(t, s, ledger.ChainCheck{})
	verifying := time.Since(began)
	t.Logf("%d transfers: sealed in %s by %d passes, verified in %s", n, sealing, passes, verifying)
	require.Empty(t, report.Breaks)
	require.EqualValues(t, n, report.Transfers)
	require.Zero(t, report.UnsealedTransfers)
	require.Less(t, verifying, time.Minute)
}
