package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/jackc/pgx/v5"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// Keys of our node, of one that was ours, and of somebody else's.
var (
	ownKey, _    = btcec.PrivKeyFromBytes([]byte(strings.Repeat("o", 32)))
	pastKey, _   = btcec.PrivKeyFromBytes([]byte(strings.Repeat("p", 32)))
	othersKey, _ = btcec.PrivKeyFromBytes([]byte(strings.Repeat("x", 32)))
)

func pubkey(key *btcec.PrivateKey) string {
	return hex.EncodeToString(key.PubKey().SerializeCompressed())
}

// bill is an invoice to be written.
type bill struct {
	key     *btcec.PrivateKey
	net     *chaincfg.Params
	created time.Time
	hash    [32]byte
	options []func(*zpay32.Invoice)
}

// invoice writes the bolt11 of an invoice of somebody else's, for so many
// millisatoshi or, for 0, any number of them. Each has a hash of its own.
func invoice(t testing.TB, msat uint64, change ...func(*bill)) string {
	t.Helper()
	b := bill{
		key: othersKey, net: &chaincfg.RegressionNetParams, created: time.Now(),
		hash: sha256.Sum256([]byte(payments.NewID("hash"))),
	}
	for _, c := range change {
		c(&b)
	}
	options := append([]func(*zpay32.Invoice){zpay32.Description("tea"), zpay32.PaymentAddr(b.hash)}, b.options...)
	if msat > 0 {
		options = append(options, zpay32.Amount(lnwire.MilliSatoshi(msat)))
	}
	made, err := zpay32.NewInvoice(b.net, b.hash, b.created, options...)
	require.NoError(t, err)
	text, err := made.Encode(zpay32.MessageSigner{SignCompact: func(message []byte) ([]byte, error) {
		return ecdsa.SignCompact(b.key, chainhash.HashB(message), true), nil
	}})
	require.NoError(t, err)

	return text
}

// Changes of an invoice.
func ours(b *bill)      { b.key = ownKey }
func ofMainnet(b *bill) { b.net = &chaincfg.MainNetParams }
func createdAgo(ago time.Duration) func(*bill) {
	return func(b *bill) { b.created = b.created.Add(-ago) }
}
func with(options ...func(*zpay32.Invoice)) func(*bill) {
	return func(b *bill) { b.options = append(b.options, options...) }
}

// fakeWithdrawals does to the rows what the withdrawal's workflow does.
type fakeWithdrawals struct {
	scripted
	store *store.Store
	// refuse answers the next claims with a problem.
	refuse *payments.Problem
	// quote is the node's estimate.
	quote workflows.QuoteResult
	// estimates are script for EstimateFee.
	estimates scripted
	asked     workflows.QuoteInput
}

// HoldWithdrawal is the holding transaction without balance and limits.
func (f *fakeWithdrawals) HoldWithdrawal(ctx context.Context, ref workflows.WithdrawalRef, startBy time.Time) error {
	return f.do(func() error {
		return f.store.InTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
			claim, err := q.LockClaim(ctx, db.LockClaimParams{ResourceID: ref.ID, StartBy: startBy})
			if err != nil || claim.AnswerStatus != nil {
				return err
			}
			if claim.TooLate {
				return workflows.ErrOutcomeUnknown
			}
			if f.refuse != nil {
				return freezeProblem(ctx, q, claim, f.refuse)
			}

			return f.hold(ctx, tx, q, claim, ref.AmountMsat)
		})
	})
}

func (f *fakeWithdrawals) hold(ctx context.Context, tx pgx.Tx, q *db.Queries, claim db.LockClaimRow, named payments.Msat) error {
	var request payments.WithdrawalRequest
	if err := json.Unmarshal(claim.Request, &request); err != nil {
		return err
	}
	if request.AmountMsat != named {
		return errAway // The orchestrator shows another amount than is paid.
	}
	metadata, err := json.Marshal(request.Metadata)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO withdrawal (id, workspace_id, node, kind, status, payment_hash, destination, bolt11,
		amountless, amount_msat, max_fee_msat, description, metadata, external_id, invoice_expires_at, next_check_at)
		VALUES ($1, $2, 'test', 'lightning', 'held', decode($3, 'hex'), $4, $5, $6, $7, $8, $9, $10, $11, $12, now())`,
		claim.ResourceID, claim.WorkspaceID, request.PaymentHash, request.Destination, request.Bolt11, request.Amountless,
		int64(request.AmountMsat), int64(request.MaxFeeMsat), request.Description, metadata, request.ExternalID, request.ExpiresAt,
	); err != nil {
		return err
	}
	row, err := q.ReadWithdrawal(ctx, db.ReadWithdrawalParams{ID: claim.ResourceID, WorkspaceID: claim.WorkspaceID})
	if err != nil {
		return err
	}

	return freeze(ctx, q, claim.ResourceID, http.StatusCreated, f.store.Withdrawal(row))
}

// EstimateFee answers what the test wants.
func (f *fakeWithdrawals) EstimateFee(ctx context.Context, in workflows.QuoteInput) (workflows.QuoteResult, error) {
	err := f.estimates.do(func() error { f.asked = in; return ctx.Err() })

	return f.quote, err
}

// move sets what the workflow would, and tells of it.
func (f *fakeWithdrawals) move(t *testing.T, id, set string) {
	t.Helper()
	tag, err := f.store.Pool.Exec(t.Context(), "UPDATE withdrawal SET "+set+" WHERE id = $1", id)
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
	_, err = f.store.Pool.Exec(t.Context(), "SELECT pg_notify('lntpay_change', $1)", id)
	require.NoError(t, err)
}

// What move sets.
const (
	toSending = `status = 'sending', sends = 1, sent_at = now()`
	toFlight  = `status = 'following', sends = 2, sent_at = now(), htlc_attempts = 3, htlc_expiry_height = 700, checked_at = now()`
	toSuccess = `status = 'succeeded', fee_msat = 2, preimage = decode(repeat('cd', 32), 'hex'), completed_at = now(), next_check_at = NULL`
	toFailure = `status = 'failed', failure_code = 'no_route', completed_at = now(), next_check_at = NULL`
	toReview  = `review_reason = 'a look', next_check_at = NULL`
)
