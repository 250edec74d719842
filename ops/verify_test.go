package ops_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/ops"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// book credits the workspace for paid charges.
func (b *bundle) book(refs ...string) {
	b.t.Helper()
	var entries []ledger.Entry
	for i, ref := range refs {
		entries = append(entries, ledger.Entry{
			WorkspaceID: b.workspace, Kind: ledger.KindChargeSettled, Ref: ref,
			Debit: ledger.LightningClearing, Credit: ledger.Available, AmountMsat: payments.Msat(1_000 + 7*i),
		})
	}
	require.NoError(b.t, b.InTx(b.t.Context(), func(tx pgx.Tx, _ *db.Queries) error {
		_, err := ledger.Post(b.t.Context(), tx, entries)

		return err
	}))
}

func (b *bundle) seal() {
	b.t.Helper()
	require.NoError(b.t, b.InTx(b.t.Context(), func(tx pgx.Tx, _ *db.Queries) error {
		_, err := ledger.Seal(b.t.Context(), tx)

		return err
	}))
}

func (b *bundle) verify(args ...string) (ops.Verified, error) {
	b.t.Helper()
	out, err := b.run(append([]string{"verify", "--json"}, args...)...)
	var v ops.Verified
	require.NoError(b.t, json.Unmarshal([]byte(out), &v), out)

	return v, err
}

func TestVerify(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	out, err := b.run("verify")
	require.NoError(t, err)
	require.Contains(t, out, "everything fits")
	b.book("ch_1", "ch_2")
	_, err = b.signed("freeze", "--all")
	require.NoError(t, err)
	b.seal()
	first, err := b.verify()
	require.NoError(t, err)
	require.True(t, first.OK)
	require.EqualValues(t, 1, first.Head.Number)
	b.book("ch_3")
	b.seal()
	v, err := b.verify("--workspace", b.workspace, "--head", first.Head.Hash)
	require.NoError(t, err)
	require.EqualValues(t, 1, *v.FoundHead)
	require.Equal(t, []int64{3, 2, 2, 1}, []int64{v.Transfers, v.Blocks, v.Heads, v.Actions})

	v, err = b.verify("--head", strings.Repeat("ab", 32))
	require.ErrorContains(t, err, "chain_broken")
	require.False(t, v.OK)
	require.Nil(t, v.FoundHead)
	_, err = b.Pool.Exec(t.Context(), "UPDATE balance SET available_msat = available_msat + 1")
	require.NoError(t, err)
	out, err = b.run("verify")
	require.Error(t, err)
	require.Contains(t, out, "BROKEN")
	require.Contains(t, out, "the balance says")
}

// An outsider who has the exports and 70 lines of Python comes to the same
// head.
func TestChainIsRecomputedFromExports(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for round := range 3 {
		b.book(fmt.Sprintf("ch_%d_1", round), fmt.Sprintf("ch_%d_ä", round))
		_, err := b.run("freeze", "--all", "--by", "anna", "--reason", `a "test" é <&> `+fmt.Sprint(round))
		require.NoError(t, err)
		b.seal()
	}
	b.book("ch_unsealed")
	v, err := b.verify()
	require.NoError(t, err)
	dir, files := t.TempDir(), []string{}
	for _, what := range []string{"transfers", "blocks", "heads", "audit"} {
		file := filepath.Join(dir, what+".jsonl")
		_, err := b.run("export", what, "--format", "jsonl", "--out", file)
		require.NoError(t, err)
		files = append(files, file)
	}
	recompute := func() (string, error) {
		out, err := exec.CommandContext(t.Context(), "python3", append([]string{"../docs/audit/recompute.py"}, files...)...).CombinedOutput()

		return strings.TrimSpace(string(out)), err
	}
	out, err := recompute()
	require.NoError(t, err, out)
	require.Equal(t, v.Head.Hash, out)

	for i, change := range map[int][2]string{0: {"1007", "1008"}, 1: {`"head":2`, `"head":1`}, 3: {"anna", "otto"}} {
		before, err := os.ReadFile(files[i])
		require.NoError(t, err)
		require.Contains(t, string(before), change[0])
		require.NoError(t, os.WriteFile(files[i], []byte(strings.ReplaceAll(string(before), change[0], change[1])), 0o600))
		out, err := recompute()
		require.Error(t, err)
		require.Contains(t, out, "does not fit")
		require.NoError(t, os.WriteFile(files[i], before, 0o600))
	}
}
