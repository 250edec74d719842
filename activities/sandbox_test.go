package activities_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

var errPayerAway = errors.New("the payer node is away")

// scriptedPayer is a payer node in memory.
type scriptedPayer struct {
	mu       sync.Mutex
	invoices map[lightning.Hash]*lightning.Invoice
	holds    map[lightning.Hash]bool
	// fail is what the next calls end with, before they do anything; failAfter,
	// after they did.
	fail, failAfter []error
	// ends are what payments come to; succeeded at their end.
	ends []lightning.Payment
	paid map[string]payments.Msat
}

func newScriptedPayer() *scriptedPayer {
	return &scriptedPayer{
		invoices: map[lightning.Hash]*lightning.Invoice{}, holds: map[lightning.Hash]bool{}, paid: map[string]payments.Msat{},
	}
}

// do runs one call by the script.
func (p *scriptedPayer) do(ctx context.Context, work func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, bounded := ctx.Deadline(); !bounded {
		return errors.New("a call without a deadline")
	}
	if len(p.fail) > 0 {
		err := p.fail[0]
		p.fail = p.fail[1:]

		return err
	}
	err := work()
	if err == nil && len(p.failAfter) > 0 {
		err, p.failAfter = p.failAfter[0], p.failAfter[1:]
	}

	return err
}

// Ready implements lightning.Payer.
func (p *scriptedPayer) Ready(ctx context.Context) error {
	return p.do(ctx, func() error { return nil })
}

// AddInvoice implements lightning.Payer.
func (p *scriptedPayer) AddInvoice(ctx context.Context, in lightning.PayerInvoice) (bolt11 string, err error) {
	return bolt11, p.do(ctx, func() error {
		hash := in.Preimage.Hash()
		if p.invoices[hash] != nil {
			return lightning.ErrInvoiceExists
		}
		bolt11 = "lnbcrt1" + hash.String()
		p.holds[hash] = in.Hold
		p.invoices[hash] = &lightning.Invoice{
			PaymentHash: hash, Bolt11: bolt11, State: lightning.InvoiceOpen, ValueMsat: in.AmountMsat, ExpiresAt: time.Now().Add(in.Expiry),
		}

		return nil
	})
}

// LookupInvoice implements lightning.Payer.
func (p *scriptedPayer) LookupInvoice(ctx context.Context, hash lightning.Hash) (found lightning.Invoice, err error) {
	return found, p.do(ctx, func() error {
		if p.invoices[hash] == nil {
			return lightning.ErrInvoiceNotFound
		}
		found = *p.invoices[hash]

		return nil
	})
}

// SettleInvoice implements lightning.Payer.
func (p *scriptedPayer) SettleInvoice(ctx context.Context, preimage lightning.Preimage) error {
	return p.do(ctx, func() error { return p.move(preimage.Hash(), lightning.InvoiceSettled) })
}

// CancelInvoice implements lightning.Payer.
func (p *scriptedPayer) CancelInvoice(ctx context.Context, hash lightning.Hash) error {
	return p.do(ctx, func() error { return p.move(hash, lightning.InvoiceCanceled) })
}

func (p *scriptedPayer) move(hash lightning.Hash, to lightning.InvoiceState) error {
	invoice := p.invoices[hash]
	if invoice == nil {
		return lightning.ErrInvoiceNotFound
	}
	invoice.State = to

	return nil
}

// Pay implements lightning.Payer.
func (p *scriptedPayer) Pay(ctx context.Context, bolt11 string, amount payments.Msat) (end lightning.Payment, err error) {
	return end, p.do(ctx, func() error {
		if _, twice := p.paid[bolt11]; twice {
			return lightning.ErrPaymentExists
		}
		end = lightning.Payment{State: lightning.PaymentSucceeded, ValueMsat: amount}
		if len(p.ends) > 0 {
			end, p.ends = p.ends[0], p.ends[1:]
		}
		if end.State == lightning.PaymentSucceeded {
			p.paid[bolt11] = amount
		}

		return nil
	})
}

// Close implements lightning.Payer.
func (p *scriptedPayer) Close() {}

// sandbox is the activities on a world, with a payer node.
type sandbox struct {
	*world
	activities.Sandbox

	payer *scriptedPayer
}

func newSandbox(t *testing.T) *sandbox {
	t.Helper()
	s := &sandbox{world: newWorld(t), payer: newScriptedPayer()}
	s.Sandbox = activities.Sandbox{Store: s.world.Store, Payer: s.payer, Keys: s.world.Keys, Log: quietLog()}

	return s
}

// order claims a sandbox POST.
func (s *sandbox) order(t *testing.T, request payments.SandboxRequest) workflows.DecideSandbox {
	t.Helper()
	prefix := map[payments.SandboxOperation]string{
		payments.SandboxPay: payments.PrefixSandboxPayment, payments.SandboxCreateInvoice: payments.PrefixSandboxInvoice,
	}[request.Operation]
	if prefix == "" {
		prefix = "cnl"
	}
	id, startBy := s.claim(t, prefix, request)

	return workflows.DecideSandbox{ClaimID: id, StartBy: startBy}
}

// decide claims a POST, has it decided and returns the claim's id and the
// answer.
func (s *sandbox) decide(t *testing.T, request payments.SandboxRequest) (id string, status int32, answer map[string]any) {
	t.Helper()
	in := s.order(t, request)
	state, err := s.DecideSandbox(t.Context(), in)
	require.NoError(t, err)
	status, body := s.answer(t, in.ClaimID)
	require.EqualValues(t, status, state.Status)
	require.Equal(t, request.Operation == payments.SandboxPay && status == 202, state.Pay)
	require.NoError(t, json.Unmarshal(body, &answer))

	return in.ClaimID, status, answer
}

// invoice makes an invoice of the payer and returns its id.
func (s *sandbox) invoice(t *testing.T, behaviour payments.SandboxBehaviour) (id string, made *lightning.Invoice) {
	t.Helper()
	id, status, answer := s.decide(t, payments.SandboxRequest{
		Operation: payments.SandboxCreateInvoice, Behaviour: behaviour, AmountMsat: amount,
	})
	require.EqualValues(t, 201, status)
	require.Equal(t, id, answer["id"])
	hash, err := lightning.ParseHash(answer["payment_hash"].(string))
	require.NoError(t, err)
	made = s.payer.invoices[hash]
	require.Equal(t, made.Bolt11, answer["bolt11"])

	return id, made
}

func errType(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Type()
	}

	return ""
}

func TestSandboxInvoiceIsMadeOnce(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	for behaviour, want := range map[payments.SandboxBehaviour]lightning.InvoiceState{
		payments.SandboxSettle: lightning.InvoiceOpen, payments.SandboxHold: lightning.InvoiceOpen, payments.SandboxFail: lightning.InvoiceCanceled,
	} {
		_, made := s.invoice(t, behaviour)
		require.Equal(t, want, made.State)
		require.Equal(t, amount, made.ValueMsat)
		require.Equal(t, behaviour == payments.SandboxHold, s.payer.holds[made.PaymentHash])
	}
	require.Len(t, s.payer.invoices, 3)

	// The answer of the node is lost, or it is away: a repeat finds out.
	in := s.order(t, payments.SandboxRequest{Operation: payments.SandboxCreateInvoice, Behaviour: payments.SandboxFail, AmountMsat: 5})
	s.payer.failAfter = []error{errPayerAway, nil}
	for range 2 {
		_, err := s.DecideSandbox(t.Context(), in)
		require.ErrorIs(t, err, errPayerAway)
		status, _ := s.answer(t, in.ClaimID)
		require.Zero(t, status)
		s.payer.failAfter, s.payer.fail = nil, []error{errPayerAway}
	}
	s.payer.fail = nil
	require.Empty(t, atOnce(8, func(int) error {
		state, err := s.DecideSandbox(t.Context(), in)
		if err == nil && state.Status != 201 {
			err = fmt.Errorf("status %d", state.Status)
		}

		return err
	}))
	require.Len(t, s.payer.invoices, 4)
	require.EqualValues(t, 4, s.number(t, "SELECT count(*) FROM sandbox_invoice"))
}

func TestSandboxEndsWhatIsHeld(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	other := payments.NewID(payments.PrefixSandboxInvoice)
	for name, c := range map[string]struct {
		behaviour payments.SandboxBehaviour
		state     lightning.InvoiceState
		operation payments.SandboxOperation
		status    int32
		want      lightning.InvoiceState
	}{
		"released":             {payments.SandboxHold, lightning.InvoiceAccepted, payments.SandboxRelease, 200, lightning.InvoiceSettled},
		"released again":       {payments.SandboxHold, lightning.InvoiceSettled, payments.SandboxRelease, 200, lightning.InvoiceSettled},
		"released, not paid":   {payments.SandboxHold, lightning.InvoiceOpen, payments.SandboxRelease, 409, lightning.InvoiceOpen},
		"released, canceled":   {payments.SandboxHold, lightning.InvoiceCanceled, payments.SandboxRelease, 409, lightning.InvoiceCanceled},
		"canceled":             {payments.SandboxHold, lightning.InvoiceAccepted, payments.SandboxCancel, 200, lightning.InvoiceCanceled},
		"canceled again":       {payments.SandboxHold, lightning.InvoiceCanceled, payments.SandboxCancel, 200, lightning.InvoiceCanceled},
		"canceled, not paid":   {payments.SandboxHold, lightning.InvoiceOpen, payments.SandboxCancel, 409, lightning.InvoiceOpen},
		"canceled, released":   {payments.SandboxHold, lightning.InvoiceSettled, payments.SandboxCancel, 409, lightning.InvoiceSettled},
		"one that settles":     {payments.SandboxSettle, lightning.InvoiceSettled, payments.SandboxRelease, 409, lightning.InvoiceSettled},
		"one that fails":       {payments.SandboxFail, lightning.InvoiceCanceled, payments.SandboxCancel, 409, lightning.InvoiceCanceled},
		"another's, or nobody": {payments.SandboxHold, lightning.InvoiceAccepted, payments.SandboxRelease, 404, lightning.InvoiceAccepted},
	} {
		id, made := s.invoice(t, c.behaviour)
		made.State = c.state
		if c.status == 404 {
			s.exec(t, "UPDATE sandbox_invoice SET workspace_id = $2 WHERE id = $1", id, other)
		}
		_, status, answer := s.decide(t, payments.SandboxRequest{Operation: c.operation, InvoiceID: id})
		require.Equal(t, c.status, status, name)
		require.Equal(t, c.want, made.State, name)
		switch status {
		case 200:
			require.Equal(t, id, answer["id"], name)
		case 409:
			require.Equal(t, "invoice_not_held", answer["code"], name)
		}
	}
}

// What the node says later counts, if it is away in the middle.
func TestSandboxReleaseOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	id, made := s.invoice(t, payments.SandboxHold)
	made.State = lightning.InvoiceAccepted
	in := s.order(t, payments.SandboxRequest{Operation: payments.SandboxRelease, InvoiceID: id})
	s.payer.failAfter = []error{nil, errPayerAway}
	_, err := s.DecideSandbox(t.Context(), in)
	require.ErrorIs(t, err, errPayerAway)
	require.Equal(t, lightning.InvoiceSettled, made.State)
	state, err := s.DecideSandbox(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, 200, state.Status)
}

func TestSandboxRefusesPayments(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	pay := func(chargeID string) (int32, any) {
		t.Helper()
		_, status, answer := s.decide(t, payments.SandboxRequest{Operation: payments.SandboxPay, ChargeID: chargeID})

		return status, answer["code"]
	}
	paid, canceled, claimed, foreign := s.world.paid(t), s.opened(t), s.opened(t), s.opened(t)
	_, err := s.CancelCharge(t.Context(), s.cancelOrder(t, canceled))
	require.NoError(t, err)
	s.exec(t, "UPDATE charge SET settling_by = 'wd_1' WHERE id = $1", claimed)
	s.exec(t, "UPDATE charge SET workspace_id = 'ws_other' WHERE id = $1", foreign)
	for id, want := range map[string]payments.Code{
		paid: payments.CodeChargeNotPayable, canceled: payments.CodeChargeNotPayable, claimed: payments.CodeChargeNotPayable,
		foreign: payments.CodeNotFound, "ch_none": payments.CodeNotFound,
	} {
		_, code := pay(id)
		require.EqualValues(t, want, code)
	}
	s.payer.fail = []error{fmt.Errorf("%w: mainnet", lightning.ErrNotTestNetwork)}
	_, code := pay(s.opened(t))
	require.EqualValues(t, payments.CodeNoPayerNode, code)
	require.Empty(t, s.payer.paid)
}

func TestSandboxWithoutAPayer(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	charge := s.opened(t)
	held, _ := s.invoice(t, payments.SandboxHold)
	s.Payer = nil
	for _, request := range []payments.SandboxRequest{
		{Operation: payments.SandboxPay, ChargeID: charge},
		{Operation: payments.SandboxCreateInvoice, Behaviour: payments.SandboxSettle, AmountMsat: amount},
		{Operation: payments.SandboxRelease, InvoiceID: held}, {Operation: payments.SandboxCancel, InvoiceID: held},
	} {
		_, status, answer := s.decide(t, request)
		require.EqualValues(t, 501, status)
		require.Equal(t, "no_payer_node", answer["code"])
	}
}

// A message brings an id and nothing else: what is to be done is in the claim.
func TestSandboxDecidesByTheClaim(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	_, err := s.DecideSandbox(t.Context(), workflows.DecideSandbox{ClaimID: "sbp_none", StartBy: time.Now().Add(time.Minute)})
	require.Equal(t, workflows.ErrTypeRowMissing, errType(err))

	in := s.order(t, payments.SandboxRequest{Operation: payments.SandboxCreateInvoice, Behaviour: payments.SandboxHold, AmountMsat: amount})
	in.StartBy = time.Time{}
	_, err = s.DecideSandbox(t.Context(), in)
	require.Equal(t, workflows.ErrTypeOutcomeUnknown, errType(err), "its time is over")
	require.Empty(t, s.payer.invoices)
	_, err = s.PaySandboxCharge(t.Context(), in.ClaimID)
	require.Error(t, err, "not a payment that was accepted")

	// Past its time an answer is read.
	id, _, _ := s.decide(t, payments.SandboxRequest{Operation: payments.SandboxPay, ChargeID: s.opened(t), AmountMsat: 2 * amount})
	state, err := s.DecideSandbox(t.Context(), workflows.DecideSandbox{ClaimID: id})
	require.NoError(t, err)
	require.Equal(t, workflows.SandboxState{Status: 202, Pay: true}, state)
}

func TestSandboxPays(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	const more = amount + 1
	id := s.opened(t)
	order := func(chargeID string) string {
		t.Helper()
		claimID, status, answer := s.decide(t, payments.SandboxRequest{Operation: payments.SandboxPay, ChargeID: chargeID, AmountMsat: more})
		require.EqualValues(t, 202, status)
		require.EqualValues(t, more, answer["amount_msat"])
		require.Equal(t, claimID, answer["id"])

		return claimID
	}
	claimID := order(id)
	require.Empty(t, s.payer.paid, "accepted only")
	require.Empty(t, atOnce(8, func(int) error {
		_, err := s.PaySandboxCharge(t.Context(), claimID)

		return err
	}))
	require.Equal(t, map[string]payments.Msat{*s.row(t, id).Bolt11: more}, s.payer.paid)

	failed := func(reason lightning.FailureReason) lightning.Payment {
		return lightning.Payment{State: lightning.PaymentFailed, Reason: reason}
	}
	claimID = order(s.opened(t))
	s.payer.fail = []error{errPayerAway, lightning.ErrPaymentRefused, lightning.ErrNotTestNetwork}
	s.payer.ends = []lightning.Payment{failed(lightning.ReasonNoRoute), failed(lightning.ReasonIncorrectDetails)}
	for _, kind := range []string{
		"", workflows.ErrTypeNotPaid, workflows.ErrTypeNotPaid, workflows.ErrTypePaymentFailed, workflows.ErrTypeNotPaid,
	} {
		_, err := s.PaySandboxCharge(t.Context(), claimID)
		require.Error(t, err)
		require.Equal(t, kind, errType(err), err)
	}
	result, err := s.PaySandboxCharge(t.Context(), claimID)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("paid %d msat", more), result.Outcome)

	// The charge that was paid meanwhile, by anybody, is left alone.
	third := s.opened(t)
	claimID = order(third)
	s.receive(t, s.pay(t, third, 0))
	_, err = s.SettleCharge(t.Context(), third)
	require.NoError(t, err)
	result, err = s.PaySandboxCharge(t.Context(), claimID)
	require.NoError(t, err)
	require.Contains(t, result.Outcome, "paid by now")
	require.Len(t, s.payer.paid, 2)
}

// The preimage key may be replaced while a payment is held.
func TestSandboxReleasesUnderARetiredKey(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	id, made := s.invoice(t, payments.SandboxHold)
	made.State = lightning.InvoiceAccepted
	keys, err := lightning.NewKeyRing([32]byte{2}, [32]byte{1})
	require.NoError(t, err)
	s.Sandbox.Keys = keys
	_, status, _ := s.decide(t, payments.SandboxRequest{Operation: payments.SandboxRelease, InvoiceID: id})
	require.EqualValues(t, 200, status)
	require.Equal(t, lightning.InvoiceSettled, made.State)
	row, err := s.world.Store.ReadSandboxInvoice(t.Context(), db.ReadSandboxInvoiceParams{ID: id, WorkspaceID: s.workspace})
	require.NoError(t, err)
	require.NotEqual(t, keys.CurrentKeyID(), row.KeyID)
}
