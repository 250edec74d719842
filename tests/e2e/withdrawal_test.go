package e2e_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/jackc/pgx/v5"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// A withdrawal may cost this many state transitions over one hop.
const withdrawalBudget = 12

// defaultFee is the fee limit of a small withdrawal that names none.
const defaultFee = 5000

func TestWithdrawal(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.fund(t, 2000)
	url, got := receive(t)
	c.subscribe(t, url)
	const amount = 1_000_123
	bolt11 := c.payable(t, amount)
	body := fmt.Sprintf(`{"bolt11":%q,"description":"a payout","metadata":{"a":"b"},"external_id":"w-1"}`, bolt11)
	began := time.Now()
	status, accepted, _ := c.call(t, "POST", "/v1/withdrawals", body, "Idempotency-Key", "one")
	require.Equal(t, http.StatusCreated, status, accepted)
	require.Equal(t, "pending", accepted["status"])
	require.EqualValues(t, amount, accepted["amount_msat"])
	require.EqualValues(t, defaultFee, accepted["max_fee_msat"])
	require.Nil(t, accepted["preimage"])
	require.Nil(t, accepted["completed_at"])
	id := text(accepted, "id")
	answered := time.Since(began)

	withdrawal := c.overAs(t, id, 20*time.Second, "")
	t.Logf("201 after %s, succeeded after %s", answered, time.Since(began))
	require.EqualValues(t, 0, withdrawal["fee_msat"])
	require.Equal(t, object{"a": "b"}, withdrawal["metadata"])
	require.Equal(t, c.Net.Payer.Config.Pubkey, withdrawal["destination"])
	require.Nil(t, withdrawal["in_flight"])
	requirePreimage(t, withdrawal)
	c.requireReceived(t, withdrawal, amount)
	c.requireBalance(t, 2_000_000-amount, 0)
	require.Equal(t, []string{
		"charge_settled 2000000", "withdrawal_lock 1005123", "withdrawal_post 1000123", "withdrawal_release 5000",
	}, c.transfers(t))

	var event object
	require.NoError(t, json.Unmarshal(next(t, got).body, &event))
	require.Equal(t, "withdrawal.succeeded", event["type"])
	data, _ := event["data"].(object)
	told, _ := data["object"].(object)
	require.Nil(t, told["preimage"], "a proof of payment is not sent around")
	told["preimage"] = withdrawal["preimage"]
	require.Equal(t, withdrawal, told)

	status, again, header := c.call(t, "POST", "/v1/withdrawals", body, "Idempotency-Key", "one")
	require.Equal(t, http.StatusCreated, status)
	require.Equal(t, "true", header.Get("Idempotent-Replayed"))
	require.Equal(t, accepted, again, "the first answer, also after the end")
	c.refused(t, bolt11, "", http.StatusConflict, payments.CodeDuplicatePayment)

	transitions := c.requireEnded(t, "withdrawal/"+id)
	t.Logf("%d state transitions with one healthy endpoint", transitions)
	require.LessOrEqual(t, transitions, int64(withdrawalBudget))
	c.agrees(t)
}

// requireReceived asks the recipient.
func (c *client) requireReceived(t *testing.T, withdrawal object, amount payments.Msat) {
	t.Helper()
	hash, err := hex.DecodeString(text(withdrawal, "payment_hash"))
	require.NoError(t, err)
	recipient := c.Net.Payer
	if withdrawal["destination"] == c.Net.Shop.Config.Pubkey {
		recipient = c.Net.Shop
	}
	invoice, err := recipient.Lightning.LookupInvoice(t.Context(), &lnrpc.PaymentHash{RHash: hash})
	require.NoError(t, err)
	require.Equal(t, lnrpc.Invoice_SETTLED, invoice.State)
	require.EqualValues(t, amount, invoice.AmtPaidMsat)
}

// The invoice leaves the amount to the withdrawal; nobody listens for events.
func TestWithdrawalOfAnOpenAmount(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.fund(t, 100)
	bolt11 := c.payable(t, 0)
	c.refused(t, bolt11, "", http.StatusUnprocessableEntity, payments.CodeAmountRequired)
	withdrawal := c.withdraw(t, bolt11, `,"amount_msat":33333,"max_fee_msat":0`)
	id := text(withdrawal, "id")
	c.requireReceived(t, c.overAs(t, id, 20*time.Second, ""), 33_333)
	c.requireBalance(t, 66_667, 0)
	require.Equal(t, []string{"charge_settled 100000", "withdrawal_lock 33333", "withdrawal_post 33333"}, c.transfers(t))
	transitions := c.requireEnded(t, "withdrawal/"+id)
	t.Logf("%d state transitions without endpoints", transitions)
	require.LessOrEqual(t, transitions, int64(withdrawalBudget))
	c.agrees(t)
}

func TestOneKeyOneWithdrawal(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.fund(t, 100)
	body := fmt.Sprintf(`{"bolt11":%q}`, c.payable(t, 10_000))
	const callers = 64
	answers := make(chan string, callers)
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			status, answer, _ := c.call(t, "POST", "/v1/withdrawals", body, "Idempotency-Key", "one")
			answers <- fmt.Sprint(status, answer)
		})
	}
	group.Wait()
	close(answers)
	first := <-answers
	require.Contains(t, first, "201")
	for other := range answers {
		require.Equal(t, first, other)
	}
	all := c.withdrawalIDs(t)
	require.Len(t, all, 1)
	c.overAs(t, all[0], 20*time.Second, "")
	c.requireBalance(t, 90_000, 0)
	c.agrees(t)
}

// withdrawalIDs are those of the first page, whatever has become of them.
func (c *client) withdrawalIDs(t *testing.T) (ids []string) {
	t.Helper()
	_, list, _ := c.call(t, "GET", "/v1/withdrawals?limit=100", "")
	page, _ := list["data"].([]any)
	for _, item := range page {
		withdrawal, _ := item.(object)
		ids = append(ids, text(withdrawal, "id"))
	}

	return ids
}

// soon is within what the funds of a failed withdrawal must be back after the
// node said so.
const soon = 2 * time.Second

// These have the machine to themselves: they measure.
func TestWithdrawalWithoutRoute(t *testing.T) {
	c := newClient(t)
	// More than the node has, which no charge could ever bring in.
	const much = 9_990_000_000
	c.credit(t, 2*much)
	for name, bolt11 := range map[string]string{
		"unknown destination": stranger(t, &chaincfg.RegressionNetParams, 1_000_000),
		"more than the node":  c.payable(t, much),
	} {
		id := text(c.withdraw(t, bolt11, ""), "id")
		withdrawal := c.overAs(t, id, 20*time.Second, payments.FailureNoRoute)
		took := moment(t, withdrawal, "completed_at").Sub(moment(t, withdrawal, "created_at"))
		t.Logf("%s: failed %s after it was accepted", name, took)
		require.Less(t, took, soon, name)
		c.requireBalance(t, 2*much, 0)
		c.requireEnded(t, "withdrawal/"+id)
	}
	require.Equal(t, []string{"withdrawal.failed", "withdrawal.failed"}, c.events(t))
	c.agrees(t)
}

// credit makes a balance out of nothing.
func (c *client) credit(t *testing.T, amount payments.Msat) {
	t.Helper()
	require.NoError(t, c.Store.InTx(t.Context(), func(tx pgx.Tx, _ *db.Queries) error {
		_, err := ledger.Post(t.Context(), tx, []ledger.Entry{{
			WorkspaceID: c.workspaceID, Kind: ledger.KindChargeSettled, Ref: "given to " + c.workspaceID,
			Debit: ledger.LightningClearing, Credit: ledger.Available, AmountMsat: amount,
		}})

		return err
	}))
}

func TestWithdrawalThatTheRecipientRefuses(t *testing.T) {
	c := newClient(t)
	c.fund(t, 100)
	unknown := c.hold(t, 20_000)
	require.NoError(t, c.Net.DropInvoice(t.Context(), unknown.hash))
	id := text(c.withdraw(t, unknown.bolt11, ""), "id")
	withdrawal := c.overAs(t, id, 20*time.Second, payments.FailureRejectedByRecipient)
	took := moment(t, withdrawal, "completed_at").Sub(moment(t, withdrawal, "created_at"))
	t.Logf("unknown to the recipient: failed %s after it was accepted", took)
	require.Less(t, took, soon)

	canceled := c.withdrawHeld(t, 20_000)
	c.requireBalance(t, 75_000, 25_000)
	cancels := time.Now()
	require.NoError(t, c.Net.CancelHoldInvoice(t.Context(), canceled.hash))
	withdrawal = c.overAs(t, canceled.id, 20*time.Second, payments.FailureRejectedByRecipient)
	took = moment(t, withdrawal, "completed_at").Sub(cancels)
	t.Logf("canceled by the recipient: failed %s after that", took)
	require.Less(t, took, soon)
	c.requireBalance(t, 100_000, 0)

	// What has failed may be tried again, and fail for itself.
	again := text(c.withdraw(t, canceled.bolt11, ""), "id")
	c.overAs(t, again, 20*time.Second, payments.FailureRejectedByRecipient)
	c.requireBalance(t, 100_000, 0)
	c.agrees(t)
}

func TestWithdrawalsThatAreRefused(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.fund(t, 100)
	brief, err := c.Net.AddInvoice(t.Context(), 10_000, 8*time.Second)
	require.NoError(t, err)
	const refused = http.StatusUnprocessableEntity
	c.refused(t, c.payable(t, 95_001), "", refused, payments.CodeInsufficientBalance)
	c.refused(t, c.payable(t, 100_001), `,"max_fee_msat":0`, refused, payments.CodeInsufficientBalance)
	c.refused(t, brief, "", refused, payments.CodeInvoiceExpired)
	c.refused(t, stranger(t, &chaincfg.MainNetParams, 10_000), "", refused, payments.CodeInvoiceWrongNetwork)
	own, err := c.Net.Merchant.Lightning.AddInvoice(t.Context(), &lnrpc.Invoice{ValueMsat: 10_000})
	require.NoError(t, err)
	c.refused(t, own.PaymentRequest, "", refused, payments.CodeInvoiceInvalid)
	c.requireBalance(t, 100_000, 0)
	require.Empty(t, c.withdrawals(t))
	// To the last millisatoshi.
	id := text(c.withdraw(t, c.payable(t, 100_000), `,"max_fee_msat":0`), "id")
	c.overAs(t, id, 20*time.Second, "")
	c.requireBalance(t, 0, 0)
	c.agrees(t)
}

func TestBalanceCoversTenOfSixtyFour(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	// Without fee limits nothing comes back that would cover another.
	const callers, covered, amount = 64, 10, 10_000
	c.fund(t, covered*amount/1000)
	invoices := make([]string, callers)
	for i := range invoices {
		invoices[i] = c.payable(t, amount)
	}
	var mu sync.Mutex
	var accepted []string
	refused := map[any]int{}
	var group sync.WaitGroup
	for _, bolt11 := range invoices {
		group.Go(func() {
			status, answer := c.ask(t, bolt11, `,"max_fee_msat":0`)
			mu.Lock()
			defer mu.Unlock()
			if status == http.StatusCreated {
				accepted = append(accepted, text(answer, "id"))
			} else {
				refused[answer["code"]]++
			}
		})
	}
	group.Wait()
	require.Len(t, accepted, covered)
	require.Equal(t, map[any]int{"insufficient_balance": callers - covered}, refused)
	for _, id := range accepted {
		c.overAs(t, id, 60*time.Second, "")
	}
	c.requireBalance(t, 0, 0)
	c.agrees(t)
}

func TestTwoWorkspacesOneInvoice(t *testing.T) {
	t.Parallel()
	both := []*client{newClient(t), newClient(t)}
	for _, c := range both {
		c.fund(t, 200)
	}
	for range 4 {
		bolt11 := both[0].payable(t, 10_000)
		answers := make([]object, 2)
		statuses := make([]int, 2)
		var group sync.WaitGroup
		for i, c := range both {
			group.Go(func() { statuses[i], answers[i] = c.ask(t, bolt11, "") })
		}
		group.Wait()
		require.ElementsMatch(t, []int{http.StatusCreated, http.StatusConflict}, statuses, answers)
		for i, c := range both {
			if statuses[i] == http.StatusCreated {
				c.overAs(t, text(answers[i], "id"), 20*time.Second, "")
			} else {
				require.EqualValues(t, payments.CodeDuplicatePayment, answers[i]["code"])
			}
		}
	}
	left := int64(0)
	for _, c := range both {
		_, balance, _ := c.call(t, "GET", "/v1/balance", "")
		require.EqualValues(t, 0, balance["locked_msat"])
		available, _ := balance["available_msat"].(float64)
		left += int64(available)
		c.agrees(t)
	}
	require.EqualValues(t, 400_000-4*10_000, left)
}

// holding is a withdrawal whose payment the recipient holds.
type holding struct {
	held
	id string
}

// withdrawHeld makes one, and waits until its payment has arrived.
func (c *client) withdrawHeld(t *testing.T, amount payments.Msat) holding {
	t.Helper()
	h := holding{held: c.hold(t, amount)}
	h.id = text(c.withdraw(t, h.bolt11, ""), "id")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, c.Net.WaitHeld(ctx, h.hash))

	return h
}

func (c *client) settle(t *testing.T, preimage lightning.Preimage) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, c.Net.SettleHoldInvoice(ctx, preimage))
}

// long is far more than the 20 seconds for which a send is listened to.
const long = 90 * time.Second

// Funds stay locked for as long as the recipient holds the payment.
func TestWithdrawalsThatAreHeld(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.fund(t, 200)
	began := time.Now()
	settled, canceled := c.withdrawHeld(t, 50_000), c.withdrawHeld(t, 50_000)
	_, early, _ := c.call(t, "GET", "/v1/withdrawals/"+settled.id+"?wait=1", "")
	require.Equal(t, "in_flight", early["status"])
	for time.Since(began) < long {
		time.Sleep(min(10*time.Second, long-time.Since(began)))
		c.requireBalance(t, 90_000, 110_000)
	}
	for _, h := range []holding{settled, canceled} {
		c.requireInFlight(t, h)
	}

	settles := time.Now()
	c.settle(t, settled.preimage)
	withdrawal := c.overAs(t, settled.id, 15*time.Second, "")
	t.Logf("succeeded %s after the recipient took it", moment(t, withdrawal, "completed_at").Sub(settles))
	c.requireBalance(t, 95_000, 55_000)

	// To conclude from a failure takes two readings, 15 seconds apart. After
	// the 60 seconds in which lnd makes attempts, the end of the last is a
	// timeout to it, whatever the recipient says (routing/payment_lifecycle.go,
	// checkContext).
	cancels := time.Now()
	require.NoError(t, c.Net.CancelHoldInvoice(t.Context(), canceled.hash))
	withdrawal = c.overAs(t, canceled.id, time.Minute, payments.FailureTimeout)
	t.Logf("failed %s after the recipient canceled", moment(t, withdrawal, "completed_at").Sub(cancels))
	c.requireBalance(t, 150_000, 0)
	for _, h := range []holding{settled, canceled} {
		t.Logf("%d state transitions", c.requireEnded(t, "withdrawal/"+h.id))
	}
	c.agrees(t)
}

// requireInFlight checks what a client can see of a payment that is held.
func (c *client) requireInFlight(t *testing.T, h holding) {
	t.Helper()
	withdrawal := c.withdrawal(t, h.id)
	require.Equal(t, "in_flight", withdrawal["status"])
	require.Nil(t, withdrawal["preimage"])
	flight, _ := withdrawal["in_flight"].(object)
	require.EqualValues(t, 1, flight["sends"])
	require.EqualValues(t, 1, flight["htlc_attempts"])
	info, err := c.Net.Merchant.Lightning.GetInfo(t.Context(), &lnrpc.GetInfoRequest{})
	require.NoError(t, err)
	require.Greater(t, flight["htlc_expiry_height"], float64(info.BlockHeight))
	require.WithinDuration(t, time.Now(), moment(t, flight, "checked_at"), time.Minute)
}
