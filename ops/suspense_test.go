package ops_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/ops"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/workflows"
)

// finder is what Temporal remembers; nil stands for Temporal away.
type finder map[string]workflows.FoundCharge

func (f finder) FindCharges(context.Context, [][]byte) (map[string]workflows.FoundCharge, error) {
	if f == nil {
		return nil, errors.New("away")
	}

	return f, nil
}

// received writes a receipt that no charge explains and returns its hash.
func (b *bundle) received(node string, first byte) string {
	b.t.Helper()
	hash := [32]byte{first}
	_, err := b.WriteReceipts(b.t.Context(), node, time.Time{}, []store.Settlement{{
		PaymentHash: hash, AmtPaidMsat: 21_000, SettleIndex: uint64(first), SettledAt: time.Now(),
	}})
	require.NoError(b.t, err)

	return hex.EncodeToString(hash[:])
}

func (b *bundle) available() int64 {
	b.t.Helper()
	available, _, _, err := ledger.Balance(b.t.Context(), b.Pool, b.workspace)
	require.NoError(b.t, err)

	return int64(available)
}

func TestSuspenseIsAssignedOnce(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	hash := b.received(node, 1)
	out, err := b.run("suspense", "list")
	require.NoError(t, err, "Temporal is only a help")
	require.Contains(t, out, hash)
	require.Contains(t, out, "Temporal was not asked")
	b.finder = finder{hash: {ID: "ch_lost", WorkspaceID: b.workspace}}
	out, err = b.run("suspense", "list")
	require.NoError(t, err)
	require.Contains(t, out, "ch_lost (Temporal)")
	require.Contains(t, out, b.workspace+" (Temporal)")

	_, err = b.signed("suspense", "assign", hash, "--workspace", someWorkspace)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = b.signed("suspense", "assign", someHash, "--workspace", b.workspace)
	require.ErrorIs(t, err, store.ErrNotFound)
	out, err = b.run("audit")
	require.NoError(t, err)
	require.NotContains(t, out, "suspense_assign", "what was refused is not done")

	out, err = b.signed("suspense", "assign", hash, "--workspace", b.workspace, "--json")
	require.NoError(t, err)
	var done ops.SuspenseDone
	require.NoError(t, json.Unmarshal([]byte(out), &done))
	require.Equal(t, "suspense_assigned", done.Transfer.Kind)
	require.Equal(t, "lightning_clearing", done.Transfer.Debit)
	require.Equal(t, "available", done.Transfer.Credit)
	require.EqualValues(t, 21_000, b.available())
	for _, again := range [][]string{{"assign", hash, "--workspace", b.workspace}, {"keep", hash}} {
		_, err = b.signed(append([]string{"suspense"}, again...)...)
		require.ErrorIs(t, err, store.ErrNotInSuspense)
		require.ErrorContains(t, err, "assigned to "+b.workspace)
	}
	require.Equal(t, hash, b.received(node, 1), "the node says it again")
	require.EqualValues(t, 21_000, b.available())
	out, err = b.run("suspense", "list")
	require.NoError(t, err)
	require.Contains(t, out, "nothing is in suspense")
	out, err = b.run("audit", "--action", "suspense_assign", "--by", "anna", "--since", "1h")
	require.NoError(t, err)
	require.Contains(t, out, done.Transfer.ID)
	v, err := b.verify()
	require.NoError(t, err)
	require.True(t, v.OK)
}

func TestSuspenseOfTwoNodesIsTold(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	hash := b.received(node, 2)
	require.Equal(t, hash, b.received("other", 2))
	_, err := b.signed("suspense", "keep", hash)
	require.ErrorIs(t, err, store.ErrReceiptAmbiguous)
	out, err := b.signed("suspense", "keep", hash, "--node", "other")
	require.NoError(t, err)
	require.Contains(t, out, "kept as the node owner's: 21000 msat")
	require.Zero(t, b.available())
	_, err = b.signed("suspense", "assign", hash, "--workspace", b.workspace)
	require.ErrorIs(t, err, store.ErrReceiptAmbiguous, "a repeat must not reach the other one")
	_, err = b.signed("suspense", "assign", hash, "--workspace", b.workspace, "--node", node)
	require.NoError(t, err)
	require.EqualValues(t, 21_000, b.available())
}

// The pages of the audit trail are what one page would be.
func TestAuditPages(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for range 3 {
		_, err := b.signed("freeze", "--all")
		require.NoError(t, err)
	}
	_, err := b.run("thaw", "--all", "--by", "otto", "--reason", "done")
	require.NoError(t, err)
	type page struct {
		Actions []ops.Action `json:"actions"`
		Next    *int64       `json:"next_before"`
	}
	read := func(args ...string) (p page) {
		out, err := b.run(append([]string{"audit", "--json"}, args...)...)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal([]byte(out), &p))

		return p
	}
	first := read("--limit", "2")
	require.Equal(t, "otto", first.Actions[0].By)
	require.NotNil(t, first.Next)
	second := read("--limit", "3", "--before", "3")
	require.Len(t, second.Actions, 2)
	require.Nil(t, second.Next)
	require.EqualValues(t, 3, *first.Next)
	require.Len(t, read("--by", "anna").Actions, 3)
	require.Len(t, read("--action", "thaw").Actions, 1)
	require.Empty(t, read("--since", "2999-01-01").Actions)
}
