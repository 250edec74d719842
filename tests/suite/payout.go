package suite

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/jackc/pgx/v5"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/payments/bolt11"
)

// Fund gives the workspace a balance by a charge that the payer pays.
func (c *Client) Fund(t *testing.T, sats int) {
	t.Helper()
	charge := c.Charge(t, sats, "")
	c.Pay(t, charge, 0)
	require.Equal(t, "paid", c.Await(t, Text(charge, "id"))["status"])
}

// Payable is an invoice of the payer for a withdrawal. An amount of 0 leaves
// the amount open.
func (c *Client) Payable(t *testing.T, amount payments.Msat) string {
	t.Helper()
	bolt11, err := c.Net.AddInvoice(t.Context(), amount, time.Hour)
	require.NoError(t, err)

	return bolt11
}

// Held is an invoice of the payer that it neither takes nor refuses by itself.
type Held struct {
	Bolt11   string
	Preimage lightning.Preimage
	Hash     lightning.Hash
}

// Hold makes such an invoice, good for an hour.
func (c *Client) Hold(t *testing.T, amount payments.Msat) Held {
	t.Helper()
	var h Held
	_, _ = rand.Read(h.Preimage[:])
	h.Hash = h.Preimage.Hash()
	var err error
	h.Bolt11, err = c.Net.AddHoldInvoice(t.Context(), h.Hash, amount, time.Hour)
	require.NoError(t, err)

	return h
}

// stranger is an invoice of a node that nobody knows.
func stranger(t *testing.T, params *chaincfg.Params, amount payments.Msat) string {
	t.Helper()
	key, err := btcec.NewPrivateKey()
	require.NoError(t, err)
	var preimage lightning.Preimage
	_, _ = rand.Read(preimage[:])
	features := lnwire.NewRawFeatureVector(lnwire.TLVOnionPayloadRequired, lnwire.PaymentAddrRequired, lnwire.MPPOptional)
	invoice, err := zpay32.NewInvoice(params, preimage.Hash(), time.Now(), zpay32.Description("nobody's"),
		zpay32.CLTVExpiry(80), zpay32.PaymentAddr(preimage.Hash()), zpay32.Amount(lnwire.MilliSatoshi(amount)),
		zpay32.Features(lnwire.NewFeatureVector(features, lnwire.Features)))
	require.NoError(t, err)
	bolt11, err := invoice.Encode(zpay32.MessageSigner{SignCompact: func(message []byte) ([]byte, error) {
		return ecdsa.SignCompact(key, chainhash.HashB(message), true), nil
	}})
	require.NoError(t, err)

	return bolt11
}

// Ask asks for a withdrawal, whatever becomes of it.
func (c *Client) Ask(t *testing.T, bolt11, extra string) (int, Object) {
	t.Helper()
	status, answer, _ := c.Call(t, "POST", "/v1/withdrawals", fmt.Sprintf(`{"bolt11":%q%s}`, bolt11, extra))

	return status, answer
}

// Withdraw asks for one that is accepted.
func (c *Client) Withdraw(t *testing.T, bolt11, extra string) Object {
	t.Helper()
	status, withdrawal := c.Ask(t, bolt11, extra)
	require.Equal(t, http.StatusCreated, status, withdrawal)
	require.Equal(t, "pending", withdrawal["status"])

	return withdrawal
}

// Refused asks for one that is not.
func (c *Client) Refused(t *testing.T, bolt11, extra string, status int, code payments.Code) {
	t.Helper()
	got, problem := c.Ask(t, bolt11, extra)
	require.Equal(t, status, got, problem)
	require.EqualValues(t, code, problem["code"])
}

// Withdrawal reads a withdrawal as it is now.
func (c *Client) Withdrawal(t *testing.T, id string) Object {
	t.Helper()
	status, withdrawal, _ := c.Call(t, "GET", "/v1/withdrawals/"+id, "")
	require.Equal(t, http.StatusOK, status, withdrawal)

	return withdrawal
}

// over waits until a withdrawal has ended.
func (c *Client) over(t *testing.T, id string, within time.Duration) Object {
	t.Helper()
	for deadline := time.Now().Add(within); ; {
		wait := min(30, max(1, int(time.Until(deadline)/time.Second)))
		status, withdrawal, _ := c.Call(t, "GET", fmt.Sprintf("/v1/withdrawals/%s?wait=%d", id, wait), "")
		require.Equal(t, http.StatusOK, status, withdrawal)
		if withdrawal["completed_at"] != nil {
			return withdrawal
		}
		require.True(t, time.Now().Before(deadline), "not over within %s: %v", within, withdrawal)
	}
}

// OverAs waits until a withdrawal has ended and checks how; code is "" for one
// that must succeed.
func (c *Client) OverAs(t *testing.T, id string, within time.Duration, code payments.FailureCode) Object {
	t.Helper()
	withdrawal := c.over(t, id, within)
	failure, _ := withdrawal["failure"].(Object)
	if code == "" {
		require.Equal(t, "succeeded", withdrawal["status"], failure)
		require.Nil(t, failure)
	} else {
		require.Equal(t, "failed", withdrawal["status"])
		require.EqualValues(t, code, failure["code"])
		require.Nil(t, withdrawal["preimage"])
		require.EqualValues(t, 0, withdrawal["fee_msat"])
	}
	require.Equal(t, false, withdrawal["under_review"])

	return withdrawal
}

// Moment reads a time of the API.
func Moment(t *testing.T, o Object, field string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, Text(o, field))
	require.NoError(t, err)

	return at
}

// RequireBalance checks that the API says these msat, and that the workspace's
// transfers add up to its balance.
func (c *Client) RequireBalance(t *testing.T, available, locked int64) {
	t.Helper()
	_, balance, _ := c.Call(t, "GET", "/v1/balance", "")
	require.EqualValues(t, available, balance["available_msat"])
	require.EqualValues(t, locked, balance["locked_msat"])
	require.NoError(t, ledger.Verify(t.Context(), c.Store.Pool, c.WorkspaceID))
}

// Transfers are the workspace's kinds and amounts, the oldest first.
func (c *Client) Transfers(t *testing.T) []string {
	t.Helper()
	rows, err := ledger.Transfers(t.Context(), c.Store.Pool, ledger.TransferFilter{WorkspaceID: c.WorkspaceID, Limit: 100})
	require.NoError(t, err)
	seen := make([]string, len(rows))
	for i, row := range rows {
		seen[len(rows)-1-i] = fmt.Sprintf("%s %d", row.Kind, row.AmountMsat)
	}

	return seen
}

// Events are the types of the workspace's events, in order.
func (c *Client) Events(t *testing.T) []string {
	t.Helper()
	rows, err := c.Store.Pool.Query(t.Context(),
		"SELECT type FROM event WHERE workspace_id = $1 ORDER BY sequence", c.WorkspaceID)
	require.NoError(t, err)
	types, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)

	return types
}

// Agrees holds what the API says of the workspace's withdrawals, all of which
// must be over, against what the node says it paid.
func (c *Client) Agrees(t *testing.T) {
	t.Helper()
	list, err := c.Net.MerchantPayments(t.Context())
	require.NoError(t, err)
	records := map[string]*lnrpc.Payment{}
	for _, payment := range list {
		require.NotContains(t, records, payment.PaymentHash, "two records of one hash")
		records[payment.PaymentHash] = payment
	}
	// Every payment has its withdrawal, of whatever workspace: the rows are
	// read after the payments, and written before them.
	rows, err := c.Store.Pool.Query(t.Context(), `SELECT encode(payment_hash, 'hex') FROM withdrawal
		WHERE kind = 'lightning' AND status <> 'failed'`)
	require.NoError(t, err)
	hashes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	explained := map[string]bool{}
	for _, hash := range hashes {
		explained[hash] = true
	}
	for hash, payment := range records {
		if payment.Status == lnrpc.Payment_SUCCEEDED {
			require.True(t, explained[hash], "the node paid %s and no withdrawal explains it", hash)
		}
	}
	for _, withdrawal := range c.withdrawals(t) {
		hash := Text(withdrawal, "payment_hash")
		c.agreesOn(t, withdrawal, records[hash], explained[hash])
	}
}

// agreesOn is agrees for one withdrawal and the node's record of its hash;
// explained says that another withdrawal of the hash has not failed.
func (c *Client) agreesOn(t *testing.T, withdrawal Object, record *lnrpc.Payment, explained bool) {
	t.Helper()
	id := Text(withdrawal, "id")
	var kind string
	require.NoError(t, c.Store.Pool.QueryRow(t.Context(), "SELECT kind FROM withdrawal WHERE id = $1", id).Scan(&kind))
	switch {
	case withdrawal["status"] == "failed":
		// Without a record it was never sent.
		if record != nil && !explained {
			require.Equal(t, lnrpc.Payment_FAILED, record.Status, "%s failed, what the node has of it did not", id)
		}

		return
	case kind == "book":
		require.Nil(t, record, "%s was paid by the book", id)
		require.EqualValues(t, 0, withdrawal["fee_msat"])
	default:
		require.NotNil(t, record, "%s succeeded, the node does not know it", id)
		require.Equal(t, lnrpc.Payment_SUCCEEDED, record.Status, id)
		require.EqualValues(t, record.ValueMsat, withdrawal["amount_msat"])
		require.EqualValues(t, record.FeeMsat, withdrawal["fee_msat"])
		require.Equal(t, record.PaymentPreimage, withdrawal["preimage"])
		requireOnce(t, record)
	}
	requirePreimage(t, withdrawal)
}

// requireOnce checks that the HTLCs that settled are the payment, once.
func requireOnce(t *testing.T, record *lnrpc.Payment) {
	t.Helper()
	amount, fees := int64(0), int64(0)
	for _, htlc := range record.Htlcs {
		require.NotEqual(t, lnrpc.HTLCAttempt_IN_FLIGHT, htlc.Status, record.PaymentHash)
		if htlc.Status == lnrpc.HTLCAttempt_SUCCEEDED {
			amount += htlc.Route.TotalAmtMsat - htlc.Route.TotalFeesMsat
			fees += htlc.Route.TotalFeesMsat
		}
	}
	require.Equal(t, record.ValueMsat, amount, "%s was paid more than once", record.PaymentHash)
	require.Equal(t, record.FeeMsat, fees, record.PaymentHash)
}

// requirePreimage checks the proof of payment.
func requirePreimage(t *testing.T, withdrawal Object) {
	t.Helper()
	preimage, err := hex.DecodeString(Text(withdrawal, "preimage"))
	require.NoError(t, err)
	hash := sha256.Sum256(preimage)
	require.Equal(t, Text(withdrawal, "payment_hash"), hex.EncodeToString(hash[:]))
}

// withdrawals are all of the workspace, which must be over, each as the list
// and as its own page show it.
func (c *Client) withdrawals(t *testing.T) (all []Object) {
	t.Helper()
	for after := ""; ; {
		_, list, _ := c.Call(t, "GET", "/v1/withdrawals?limit=100"+after, "")
		page, _ := list["data"].([]any)
		for _, item := range page {
			withdrawal, _ := item.(Object)
			require.Contains(t, []any{"succeeded", "failed"}, withdrawal["status"])
			require.Equal(t, c.Withdrawal(t, Text(withdrawal, "id")), withdrawal)
			all = append(all, withdrawal)
		}
		if list["has_more"] != true {
			return all
		}
		after = "&cursor=" + Text(list, "next_cursor")
	}
}

// WithAmount names the amount of an invoice that leaves it open. No fee is
// locked, so that what comes back is the amount.
func WithAmount(amount payments.Msat) string {
	return fmt.Sprintf(`,"amount_msat":%d,"max_fee_msat":0`, amount)
}

// Records are what the node has of an invoice.
func (c *Client) Records(t *testing.T, bolt11 string) (found []*lnrpc.Payment) {
	t.Helper()
	hash, err := HashOf(bolt11)
	require.NoError(t, err)
	list, err := c.Net.MerchantPayments(t.Context())
	require.NoError(t, err)
	for _, payment := range list {
		if payment.PaymentHash == hash.String() {
			found = append(found, payment)
		}
	}

	return found
}

// HashOf reads the payment hash from an invoice of regtest.
func HashOf(text string) (lightning.Hash, error) {
	invoice, err := bolt11.Decode(text, "regtest")

	return invoice.PaymentHash, err
}
