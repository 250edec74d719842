package suite

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

func testWithdrawal(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	c.Fund(t, 2000)
	url, got := c.Receive(t)
	c.Subscribe(t, url)
	const amount = 1_000_123
	bolt11 := c.Payable(t, amount)
	body := fmt.Sprintf(`{"bolt11":%q,"description":"a payout","metadata":{"a":"b"},"external_id":"w-1"}`, bolt11)
	began := time.Now()
	status, accepted, _ := c.Call(t, "POST", "/v1/withdrawals", body, "Idempotency-Key", "one")
	require.Equal(t, http.StatusCreated, status, accepted)
	require.Equal(t, "pending", accepted["status"])
	require.EqualValues(t, amount, accepted["amount_msat"])
	require.EqualValues(t, defaultFee, accepted["max_fee_msat"])
	require.Nil(t, accepted["preimage"])
	require.Nil(t, accepted["completed_at"])
	id := Text(accepted, "id")
	answered := time.Since(began)

	withdrawal := c.OverAs(t, id, 20*time.Second, "")
	t.Logf("201 after %s, succeeded after %s", answered, time.Since(began))
	require.EqualValues(t, 0, withdrawal["fee_msat"])
	require.Equal(t, Object{"a": "b"}, withdrawal["metadata"])
	require.Equal(t, c.Net.Payer.Config.Pubkey, withdrawal["destination"])
	require.Nil(t, withdrawal["in_flight"])
	requirePreimage(t, withdrawal)
	c.RequireReceived(t, withdrawal, amount)
	c.RequireBalance(t, 2_000_000-amount, 0)
	require.Equal(t, []string{
		"charge_settled 2000000", "withdrawal_lock 1005123", "withdrawal_post 1000123", "withdrawal_release 5000",
	}, c.Transfers(t))

	var event Object
	require.NoError(t, json.Unmarshal(Next(t, got).Body, &event))
	require.Equal(t, "withdrawal.succeeded", event["type"])
	data, _ := event["data"].(Object)
	told, _ := data["object"].(Object)
	require.Nil(t, told["preimage"], "a proof of payment is not sent around")
	told["preimage"] = withdrawal["preimage"]
	require.Equal(t, withdrawal, told)

	status, again, header := c.Call(t, "POST", "/v1/withdrawals", body, "Idempotency-Key", "one")
	require.Equal(t, http.StatusCreated, status)
	require.Equal(t, "true", header.Get("Idempotent-Replayed"))
	require.Equal(t, accepted, again, "the first answer, also after the end")
	c.Refused(t, bolt11, "", http.StatusConflict, payments.CodeDuplicatePayment)

	transitions := c.requireEnded(t, "withdrawal/"+id)
	t.Logf("%d state transitions with one healthy endpoint", transitions)
	require.LessOrEqual(t, transitions, int64(withdrawalBudget))
	c.Agrees(t)
}

// RequireReceived asks the recipient.
func (c *Client) RequireReceived(t *testing.T, withdrawal Object, amount payments.Msat) {
	t.Helper()
	hash, err := hex.DecodeString(Text(withdrawal, "payment_hash"))
	require.NoError(t, err)
	recipient := c.Net.Payer
	if c.Net.Shop != nil && withdrawal["destination"] == c.Net.Shop.Config.Pubkey {
		recipient = c.Net.Shop
	}
	invoice, err := recipient.Lightning.LookupInvoice(t.Context(), &lnrpc.PaymentHash{RHash: hash})
	require.NoError(t, err)
	require.Equal(t, lnrpc.Invoice_SETTLED, invoice.State)
	require.EqualValues(t, amount, invoice.AmtPaidMsat)
}

// The invoice leaves the amount to the withdrawal; nobody listens for events.
func testWithdrawalOfAnOpenAmount(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	c.Fund(t, 100)
	bolt11 := c.Payable(t, 0)
	c.Refused(t, bolt11, "", http.StatusUnprocessableEntity, payments.CodeAmountRequired)
	withdrawal := c.Withdraw(t, bolt11, `,"amount_msat":33333,"max_fee_msat":0`)
	id := Text(withdrawal, "id")
	c.RequireReceived(t, c.OverAs(t, id, 20*time.Second, ""), 33_333)
	c.RequireBalance(t, 66_667, 0)
	require.Equal(t, []string{"charge_settled 100000", "withdrawal_lock 33333", "withdrawal_post 33333"}, c.Transfers(t))
	transitions := c.requireEnded(t, "withdrawal/"+id)
	t.Logf("%d state transitions without endpoints", transitions)
	require.LessOrEqual(t, transitions, int64(withdrawalBudget))
	c.Agrees(t)
}

func testOneKeyOneWithdrawal(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	c.Fund(t, 100)
	body := fmt.Sprintf(`{"bolt11":%q}`, c.Payable(t, 10_000))
	const callers = 64
	answers := make(chan string, callers)
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			status, answer, _ := c.Call(t, "POST", "/v1/withdrawals", body, "Idempotency-Key", "one")
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
	c.OverAs(t, all[0], 20*time.Second, "")
	c.RequireBalance(t, 90_000, 0)
	c.Agrees(t)
}

// withdrawalIDs are those of the first page, whatever has become of them.
func (c *Client) withdrawalIDs(t *testing.T) (ids []string) {
	t.Helper()
	_, list, _ := c.Call(t, "GET", "/v1/withdrawals?limit=100", "")
	page, _ := list["data"].([]any)
	for _, item := range page {
		withdrawal, _ := item.(Object)
		ids = append(ids, Text(withdrawal, "id"))
	}

	return ids
}

// soon is within what the funds of a failed withdrawal must be back after the
// node said so.
const soon = 2 * time.Second

// It measures: it has the machine to itself.
func testWithdrawalWithoutRoute(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	// More than the node has, which no charge could ever bring in.
	const much = 9_990_000_000
	c.Credit(t, 2*much)
	for name, bolt11 := range map[string]string{
		"unknown destination": stranger(t, &chaincfg.RegressionNetParams, 1_000_000),
		"more than the node":  c.Payable(t, much),
	} {
		id := Text(c.Withdraw(t, bolt11, ""), "id")
		withdrawal := c.OverAs(t, id, 20*time.Second, payments.FailureNoRoute)
		took := Moment(t, withdrawal, "completed_at").Sub(Moment(t, withdrawal, "created_at"))
		t.Logf("%s: failed %s after it was accepted", name, took)
		require.Less(t, took, soon, name)
		c.RequireBalance(t, 2*much, 0)
		c.requireEnded(t, "withdrawal/"+id)
	}
	require.Equal(t, []string{"payouts.frozen", "payouts.thawed", "withdrawal.failed", "withdrawal.failed"}, c.Events(t))
	c.Agrees(t)
}

// Credit makes a balance out of nothing. Reconciliation finds that, and freezes
// the workspace's payouts, once: an operator thaws them.
func (c *Client) Credit(t *testing.T, amount payments.Msat) {
	t.Helper()
	defer func() {
		c.Reconcile(t)
		c.Ops(t, "thaw", "--workspace", c.WorkspaceID)
	}()
	require.NoError(t, c.Store.InTx(t.Context(), func(tx pgx.Tx, _ *db.Queries) error {
		_, err := ledger.Post(t.Context(), tx, []ledger.Entry{{
			WorkspaceID: c.WorkspaceID, Kind: ledger.KindChargeSettled, Ref: "given to " + c.WorkspaceID,
			Debit: ledger.LightningClearing, Credit: ledger.Available, AmountMsat: amount,
		}})

		return err
	}))
}

func testWithdrawalThatTheRecipientRefuses(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	c.Fund(t, 100)
	unknown := c.Hold(t, 20_000)
	require.NoError(t, c.Net.DropInvoice(t.Context(), unknown.Hash))
	id := Text(c.Withdraw(t, unknown.Bolt11, ""), "id")
	withdrawal := c.OverAs(t, id, 20*time.Second, payments.FailureRejectedByRecipient)
	took := Moment(t, withdrawal, "completed_at").Sub(Moment(t, withdrawal, "created_at"))
	t.Logf("unknown to the recipient: failed %s after it was accepted", took)
	require.Less(t, took, soon)

	canceled := c.WithdrawHeld(t, 20_000)
	c.RequireBalance(t, 75_000, 25_000)
	cancels := time.Now()
	require.NoError(t, c.Net.CancelHoldInvoice(t.Context(), canceled.Hash))
	withdrawal = c.OverAs(t, canceled.ID, 20*time.Second, payments.FailureRejectedByRecipient)
	took = Moment(t, withdrawal, "completed_at").Sub(cancels)
	t.Logf("canceled by the recipient: failed %s after that", took)
	require.Less(t, took, soon)
	c.RequireBalance(t, 100_000, 0)

	// What has failed may be tried again, and fail for itself.
	again := Text(c.Withdraw(t, canceled.Bolt11, ""), "id")
	c.OverAs(t, again, 20*time.Second, payments.FailureRejectedByRecipient)
	c.RequireBalance(t, 100_000, 0)
	c.Agrees(t)
}

func testWithdrawalsThatAreRefused(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	c.Fund(t, 100)
	brief, err := c.Net.AddInvoice(t.Context(), 10_000, 8*time.Second)
	require.NoError(t, err)
	const refused = http.StatusUnprocessableEntity
	c.Refused(t, c.Payable(t, 95_001), "", refused, payments.CodeInsufficientBalance)
	c.Refused(t, c.Payable(t, 100_001), `,"max_fee_msat":0`, refused, payments.CodeInsufficientBalance)
	c.Refused(t, brief, "", refused, payments.CodeInvoiceExpired)
	c.Refused(t, stranger(t, &chaincfg.MainNetParams, 10_000), "", refused, payments.CodeInvoiceWrongNetwork)
	own, err := c.Net.Merchant.Lightning.AddInvoice(t.Context(), &lnrpc.Invoice{ValueMsat: 10_000})
	require.NoError(t, err)
	c.Refused(t, own.PaymentRequest, "", refused, payments.CodeInvoiceInvalid)
	c.RequireBalance(t, 100_000, 0)
	require.Empty(t, c.withdrawals(t))
	// To the last millisatoshi.
	id := Text(c.Withdraw(t, c.Payable(t, 100_000), `,"max_fee_msat":0`), "id")
	c.OverAs(t, id, 20*time.Second, "")
	c.RequireBalance(t, 0, 0)
	c.Agrees(t)
}

func testBalanceCoversTenOfSixtyFour(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	// Without fee limits nothing comes back that would cover another.
	const callers, covered, amount = 64, 10, 10_000
	c.Fund(t, covered*amount/1000)
	invoices := make([]string, callers)
	for i := range invoices {
		invoices[i] = c.Payable(t, amount)
	}
	var mu sync.Mutex
	var accepted []string
	refused := map[any]int{}
	var group sync.WaitGroup
	for _, bolt11 := range invoices {
		group.Go(func() {
			status, answer := c.Ask(t, bolt11, `,"max_fee_msat":0`)
			mu.Lock()
			defer mu.Unlock()
			if status == http.StatusCreated {
				accepted = append(accepted, Text(answer, "id"))
			} else {
				refused[answer["code"]]++
			}
		})
	}
	group.Wait()
	require.Len(t, accepted, covered)
	require.Equal(t, map[any]int{"insufficient_balance": callers - covered}, refused)
	for _, id := range accepted {
		c.OverAs(t, id, 60*time.Second, "")
	}
	c.RequireBalance(t, 0, 0)
	c.Agrees(t)
}

func testTwoWorkspacesOneInvoice(t *testing.T, s *Stack) {
	both := []*Client{s.NewClient(t), s.NewClient(t)}
	for _, c := range both {
		c.Fund(t, 200)
	}
	for range 4 {
		bolt11 := both[0].Payable(t, 10_000)
		answers := make([]Object, 2)
		statuses := make([]int, 2)
		var group sync.WaitGroup
		for i, c := range both {
			group.Go(func() { statuses[i], answers[i] = c.Ask(t, bolt11, "") })
		}
		group.Wait()
		require.ElementsMatch(t, []int{http.StatusCreated, http.StatusConflict}, statuses, answers)
		for i, c := range both {
			if statuses[i] == http.StatusCreated {
				c.OverAs(t, Text(answers[i], "id"), 20*time.Second, "")
			} else {
				require.EqualValues(t, payments.CodeDuplicatePayment, answers[i]["code"])
			}
		}
	}
	left := int64(0)
	for _, c := range both {
		_, balance, _ := c.Call(t, "GET", "/v1/balance", "")
		require.EqualValues(t, 0, balance["locked_msat"])
		available, _ := balance["available_msat"].(float64)
		left += int64(available)
		c.Agrees(t)
	}
	require.EqualValues(t, 400_000-4*10_000, left)
}

// Holding is a withdrawal whose payment the recipient holds.
type Holding struct {
	Held
	ID string
}

// WithdrawHeld makes one, and waits until its payment has arrived.
func (c *Client) WithdrawHeld(t *testing.T, amount payments.Msat) Holding {
	t.Helper()
	h := Holding{Held: c.Hold(t, amount)}
	h.ID = Text(c.Withdraw(t, h.Bolt11, ""), "id")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, c.Net.WaitHeld(ctx, h.Hash))

	return h
}

// Settle has the recipient take the payment that it holds.
func (c *Client) Settle(t *testing.T, preimage lightning.Preimage) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, c.Net.SettleHoldInvoice(ctx, preimage))
}

// long is far more than the 20 seconds for which a send is listened to.
const long = 90 * time.Second

// Funds stay locked for as long as the recipient holds the payment.
func testWithdrawalsThatAreHeld(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	c.Fund(t, 200)
	began := time.Now()
	settled, canceled := c.WithdrawHeld(t, 50_000), c.WithdrawHeld(t, 50_000)
	_, early, _ := c.Call(t, "GET", "/v1/withdrawals/"+settled.ID+"?wait=1", "")
	require.Equal(t, "in_flight", early["status"])
	for time.Since(began) < long {
		time.Sleep(min(10*time.Second, long-time.Since(began)))
		c.RequireBalance(t, 90_000, 110_000)
	}
	for _, h := range []Holding{settled, canceled} {
		c.requireInFlight(t, h)
	}

	settles := time.Now()
	c.Settle(t, settled.Preimage)
	withdrawal := c.OverAs(t, settled.ID, 15*time.Second, "")
	t.Logf("succeeded %s after the recipient took it", Moment(t, withdrawal, "completed_at").Sub(settles))
	c.RequireBalance(t, 95_000, 55_000)

	// To conclude from a failure takes two readings, 15 seconds apart. After
	// the 60 seconds in which lnd makes attempts, the end of the last is a
	// timeout to it, whatever the recipient says (routing/payment_lifecycle.go,
	// checkContext).
	cancels := time.Now()
	require.NoError(t, c.Net.CancelHoldInvoice(t.Context(), canceled.Hash))
	withdrawal = c.OverAs(t, canceled.ID, time.Minute, payments.FailureTimeout)
	t.Logf("failed %s after the recipient canceled", Moment(t, withdrawal, "completed_at").Sub(cancels))
	c.RequireBalance(t, 150_000, 0)
	for _, h := range []Holding{settled, canceled} {
		t.Logf("%d state transitions", c.requireEnded(t, "withdrawal/"+h.ID))
	}
	c.Agrees(t)
}

// requireInFlight checks what a client can see of a payment that is held.
func (c *Client) requireInFlight(t *testing.T, h Holding) {
	t.Helper()
	withdrawal := c.Withdrawal(t, h.ID)
	require.Equal(t, "in_flight", withdrawal["status"])
	require.Nil(t, withdrawal["preimage"])
	flight, _ := withdrawal["in_flight"].(Object)
	require.EqualValues(t, 1, flight["sends"])
	require.EqualValues(t, 1, flight["htlc_attempts"])
	info, err := c.Net.Merchant.Lightning.GetInfo(t.Context(), &lnrpc.GetInfoRequest{})
	require.NoError(t, err)
	require.Greater(t, flight["htlc_expiry_height"], float64(info.BlockHeight))
	require.WithinDuration(t, time.Now(), Moment(t, flight, "checked_at"), time.Minute)
}
