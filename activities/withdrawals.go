package activities

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/temporal"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/telemetry"
	"github.com/lntpay/lntpay/workflows"
)

// Withdrawals are the activities of the withdrawal workflow.
type Withdrawals struct {
	Store  *store.Store
	Node   lightning.Node
	Policy PayoutPolicy
	// Charges cancels the invoice of a charge that a book transfer settles.
	Charges *Charges
	Alerts  *Alerts
	Log     *slog.Logger

	// now replaces the machine's clocks in tests.
	now func() moment
}

// PayoutPolicy has the fields of config.Payouts, so one converts to the other.
// A limit of 0 is no limit.
type PayoutPolicy struct {
	DefaultMaxFeeFloorMsat payments.Msat
	DefaultMaxFeePPM       int64
	CLTVLimitBlocks        uint32
	TimeoutS               int
	MaxParts               uint32
	MaxAmountMsat          payments.Msat
	WorkspaceDailyMsat     payments.Msat
	WorkspaceOpen          int
	WorkspaceOpenMsat      payments.Msat
	NodeDailyMsat          payments.Msat
	NodeOpen               int
	NodeOpenMsat           payments.Msat
}

const (
	// settleGrace is how long after the last deadline, and after the node's
	// first good answer since it last was in trouble, what it says may be
	// concluded from; and how far apart two equal readings are.
	settleGrace = 15 * time.Second
	// sendWindow is the deadline of a send.
	sendWindow = 20 * time.Second
	// minFollow and maxFollow bound the pause between two looks at a payment
	// that is under way; a nudge ends it.
	minFollow = 10 * time.Second
	maxFollow = 10 * time.Minute
	// retrySoon is the pause after the node or a rule was in the way.
	retrySoon = 5 * time.Second
	// comingUpPause is the pause while a node that has just started waits for
	// its channels, which takes it some seconds.
	comingUpPause = 2 * time.Second
	// frozenPause is the pause of what a freeze holds up.
	frozenPause = 30 * time.Second
)

// LookAtWithdrawal reads the row and says what it asks for. No row but a claim
// means that nothing was locked, which is an end and not an alarm.
func (a *Withdrawals) LookAtWithdrawal(ctx context.Context, id string) (workflows.WithdrawalState, error) {
	look, err := a.Store.LookAtWithdrawal(ctx, id)
	if err == nil {
		return a.state(ctx, look)
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return workflows.WithdrawalState{}, fmt.Errorf("look at %s: %w", id, err)
	}
	claimed, err := a.Store.ClaimExists(ctx, id)
	if err != nil {
		return workflows.WithdrawalState{}, fmt.Errorf("look for the claim of %s: %w", id, err)
	}
	if claimed {
		return workflows.WithdrawalState{}, nil
	}

	return workflows.WithdrawalState{}, a.rowMissing(ctx, id)
}

// look reads the row with the times that judgements rest on. Whoever sends,
// follows, books or resolves was told to by the row: without it, it was lost,
// claim or not.
func (a *Withdrawals) look(ctx context.Context, id string) (db.LookAtWithdrawalRow, error) {
	look, err := a.Store.LookAtWithdrawal(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return look, a.rowMissing(ctx, id)
	}
	if err != nil {
		return look, fmt.Errorf("look at %s: %w", id, err)
	}
	telemetry.Set(ctx, slog.String("workspace_id", look.Withdrawal.WorkspaceID))

	return look, nil
}

// rowMissing ends the run that asked: only holding creates a row.
func (a *Withdrawals) rowMissing(ctx context.Context, id string) error {
	a.Alerts.Raise(ctx, AlertRowMissing, "a run looks for a withdrawal that has no row", "withdrawal", id)

	return temporal.NewNonRetryableApplicationError("no row of "+id, workflows.ErrTypeRowMissing, nil)
}

// state is what the run is told of a row: the step that it asks for.
func (a *Withdrawals) state(ctx context.Context, look db.LookAtWithdrawalRow) (workflows.WithdrawalState, error) {
	row := look.Withdrawal
	telemetry.Set(ctx, slog.String("workspace_id", row.WorkspaceID))
	state := baseState(row)
	switch {
	case look.ToResolve:
		state.Next, state.Note = workflows.StepResolve, "an operator's command"
	case state.Status.Closed():
		return a.closedState(ctx, row)
	case row.ReviewReason != nil:
		state.Next, state.Note = workflows.StepWait, "under review: "+*row.ReviewReason
	case row.Kind == string(payments.WithdrawalBook):
		state.Next, state.Note = workflows.StepBook, "a book transfer"
	case state.Status == payments.WithdrawalHeld:
		state.Next, state.Note = workflows.StepSend, "to be sent"
	default:
		state.Next, state.Note = workflows.StepFollow, "to be read from the node"
	}

	return state, nil
}

func baseState(row db.Withdrawal) workflows.WithdrawalState {
	return workflows.WithdrawalState{
		Status: payments.WithdrawalStatus(row.Status), PaymentHash: hex.EncodeToString(row.PaymentHash),
		Sends: int(row.Sends),
	}
}

// closedState is that of a withdrawal that is over: what is left is to tell.
func (a *Withdrawals) closedState(ctx context.Context, row db.Withdrawal) (workflows.WithdrawalState, error) {
	state := baseState(row)
	var err error
	if state.Deliveries, err = a.Store.UntriedDeliveries(ctx, row.ID); err != nil {
		return workflows.WithdrawalState{}, fmt.Errorf("read deliveries of %s: %w", row.ID, err)
	}
	if row.ChargeID != nil {
		state.ChargeID = *row.ChargeID
	}

	return state, nil
}

// later tells the run to come back for the same step after a pause, which the
// row notes too: somebody always comes back.
func (a *Withdrawals) later(ctx context.Context, look db.LookAtWithdrawalRow, pause time.Duration, note string,
) (workflows.WithdrawalState, error) {
	state, err := a.state(ctx, look)
	if err != nil {
		return state, err
	}
	state.NextIn, state.Note = pause, note
	if err := a.Store.PostponeWithdrawal(ctx, db.PostponeWithdrawalParams{
		ID: look.Withdrawal.ID, NextInS: pause.Seconds(),
	}); err != nil {
		return state, fmt.Errorf("postpone %s: %w", look.Withdrawal.ID, err)
	}

	return state, nil
}

// review stops everything automatic about a withdrawal until an operator has
// looked.
func (a *Withdrawals) review(ctx context.Context, row db.Withdrawal, reason string) (workflows.WithdrawalState, error) {
	n, err := a.Store.ReviewWithdrawal(ctx, db.ReviewWithdrawalParams{ID: row.ID, Reason: reason, Sends: row.Sends})
	if err != nil {
		return workflows.WithdrawalState{}, fmt.Errorf("put %s under review: %w", row.ID, err)
	}
	if n > 0 {
		a.Alerts.Raise(ctx, AlertUnderReview, "a withdrawal is under review: "+reason, "withdrawal", row.ID)
	}

	return a.LookAtWithdrawal(ctx, row.ID)
}

// ours refuses a withdrawal of another node than the one that this worker
// serves: what our node says of its hash means nothing.
func (a *Withdrawals) ours(row db.Withdrawal) error {
	if row.Node != a.Node.Name() {
		return fmt.Errorf("%s is a withdrawal of node %s, this worker serves %s", row.ID, row.Node, a.Node.Name())
	}

	return nil
}

// post books a payment that the node says succeeded, unless what it says
// cannot be.
func (a *Withdrawals) post(ctx context.Context, row db.Withdrawal, payment lightning.Payment, resolution int64,
) (workflows.WithdrawalState, error) {
	if why := impossible(row, payment); why != "" {
		if resolution != 0 {
			return a.refuse(ctx, row.ID, resolution, why)
		}

		return a.review(ctx, row, why)
	}
	posted, ok, err := a.Store.PostWithdrawal(ctx, store.PostWithdrawal{
		ID: row.ID, Preimage: payment.Preimage, FeeMsat: payment.FeeMsat, MaxFeeMsat: payments.Msat(row.MaxFeeMsat),
		PaymentIndex: int64(payment.Index), HTLCAttempts: payment.Attempts, Resolution: resolution,
	})
	if err != nil {
		return workflows.WithdrawalState{}, err
	}
	if !ok {
		return a.LookAtWithdrawal(ctx, row.ID)
	}
	if int64(payment.FeeMsat) > row.MaxFeeMsat {
		a.Alerts.Raise(ctx, AlertExcessFee, "the node paid more for routing than was allowed: the operator's loss",
			"withdrawal", row.ID, "fee_msat", int64(payment.FeeMsat), "max_fee_msat", row.MaxFeeMsat)
	}

	return a.closedState(ctx, posted)
}

// impossible says what is wrong with a success that cannot be this
// withdrawal's; "" when nothing is.
func impossible(row db.Withdrawal, payment lightning.Payment) string {
	switch {
	case payment.Preimage.Hash() != lightning.Hash(row.PaymentHash):
		return "the node's preimage does not give the payment hash"
	case wrongAmount(row, payment):
		return fmt.Sprintf("the node paid %d msat instead of %d", payment.ValueMsat, row.AmountMsat)
	}

	return ""
}

// wrongAmount reports whether somebody did pay the hash, but not what the
// withdrawal would have: it is none of its sends.
func wrongAmount(row db.Withdrawal, payment lightning.Payment) bool {
	return payment.Preimage.Hash() == lightning.Hash(row.PaymentHash) && int64(payment.ValueMsat) != row.AmountMsat
}

// void releases everything, if the row still is as it was judged.
func (a *Withdrawals) void(ctx context.Context, void store.VoidWithdrawal) (workflows.WithdrawalState, error) {
	if _, _, err := a.Store.VoidWithdrawal(ctx, void); err != nil {
		return workflows.WithdrawalState{}, err
	}

	return a.LookAtWithdrawal(ctx, void.ID)
}

// failureOf translates the node's reason.
func failureOf(reason lightning.FailureReason) payments.FailureCode {
	switch reason {
	case lightning.ReasonTimeout:
		return payments.FailureTimeout
	case lightning.ReasonNoRoute, lightning.ReasonInsufficientBalance:
		return payments.FailureNoRoute
	case lightning.ReasonIncorrectDetails:
		return payments.FailureRejectedByRecipient
	case lightning.ReasonError, lightning.ReasonCanceled:
	}

	return payments.FailureNodeError
}
