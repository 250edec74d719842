package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// reconcilesPerRun bounds a run's history: a day of hours.
const reconcilesPerRun = 24

// ReconcileInput asks for one reconciliation with a node.
type ReconcileInput struct {
	Node string
	// Full reads all of the node's lists; else the activity decides.
	Full bool `json:",omitempty"`
}

// ReconcileBooks is what the check of the books came to.
type ReconcileBooks struct {
	// Seen, New and Resolved count findings.
	Seen, New, Resolved int
	// LiabilitiesMsat is what is owed.
	LiabilitiesMsat int64
}

// ReconcileNode is what the comparison with the node came to.
type ReconcileNode struct {
	// Full says that all of the node's lists were read.
	Full                bool
	Invoices, Payments  int
	Seen, New, Resolved int
	// Healed counts receipts that were missing and are written now.
	Healed int
	// Note says in words what was left out, and why.
	Note string `json:",omitempty"`
}

// ReconcileOutcome is what FinishReconcile is told.
type ReconcileOutcome struct {
	Node  string
	Books ReconcileBooks
	// Compared is nil, and NodeError says why, when the node could not be read.
	Compared  *ReconcileNode `json:",omitempty"`
	NodeError string         `json:",omitempty"`
	TookMS    int64
}

// ReconcileReport is what one reconciliation came to.
type ReconcileReport struct {
	At   time.Time `json:"at"`
	Full bool      `json:"full"`
	// Findings are those that are open now, New those that this run found first.
	Findings int   `json:"findings"`
	New      int   `json:"new"`
	Resolved int   `json:"resolved"`
	Healed   int   `json:"healed"`
	Invoices int   `json:"invoices"`
	Payments int   `json:"payments"`
	TookMS   int64 `json:"took_ms"`
	// Frozen are the scopes whose payouts this run froze.
	Frozen []string `json:"frozen"`
	// NodeError says why the node was not compared; empty if it was.
	NodeError string `json:"node_error"`
	Note      string `json:"note"`
	// NextIn is the pause until the next.
	NextIn time.Duration `json:"next_in_ns"`
}

// String is the report in a line.
func (r ReconcileReport) String() string {
	if r.At.IsZero() {
		return "none in this run yet"
	}
	line := fmt.Sprintf("%s: %d findings (%d new, %d resolved), %d healed, %d invoices and %d payments compared",
		r.At.UTC().Format(time.RFC3339), r.Findings, r.New, r.Resolved, r.Healed, r.Invoices, r.Payments)
	if r.NodeError != "" {
		line += "; the node was not compared: " + r.NodeError
	}
	if len(r.Frozen) > 0 {
		line += fmt.Sprintf("; payouts frozen: %v", r.Frozen)
	}
	if r.Note != "" {
		line += "; " + r.Note
	}

	return line
}

// Reconcile compares the books with themselves and with the node, every hour and
// when it is asked to by an update. It fixes nothing but missing receipts: what
// it finds is written down, and payouts freeze where an invariant is broken.
func Reconcile(ctx workflow.Context, in ReconcileInput) error {
	loop := &reconciling{in: in}
	if err := loop.handle(ctx); err != nil {
		return err
	}
	for runs := 1; ; runs++ {
		if err := loop.once(ctx); err != nil {
			return err
		}
		if runs >= reconcilesPerRun && !loop.asked && workflow.AllHandlersFinished(ctx) {
			return workflow.NewContinueAsNewError(ctx, NameReconcile, ReconcileInput{Node: in.Node})
		}
		if _, err := workflow.AwaitWithTimeout(ctx, max(loop.last.NextIn, time.Minute), func() bool { return loop.asked }); err != nil {
			return err
		}
	}
}

// reconciling is the state of a run.
type reconciling struct {
	in   ReconcileInput
	last ReconcileReport
	// asked says that somebody waits for another reconciliation, full for a full
	// one.
	asked, full bool
	// begun and done count them.
	begun, done int
}

// handle answers who asks for a reconciliation with the report of one that began
// after the question.
func (r *reconciling) handle(ctx workflow.Context) error {
	return workflow.SetUpdateHandler(ctx, UpdateReconcile, func(ctx workflow.Context, in ReconcileInput) (ReconcileReport, error) {
		mine := r.begun + 1
		r.asked, r.full = true, r.full || in.Full
		err := workflow.Await(ctx, func() bool { return r.done >= mine })

		return r.last, err
	})
}

const (
	// A check of the books, and of the node's lists, may be long; but it must
	// end before the next is due, more or less.
	reconcileTimeout = 50 * time.Minute
	// reconcilePause is the pause after one that failed.
	reconcilePause = 5 * time.Minute
)

// once is one reconciliation. What cannot be read is tried again for a while, and
// is then left to the next: a node that is away must not hide what the books say.
func (r *reconciling) once(ctx workflow.Context) error {
	in := ReconcileInput{Node: r.in.Node, Full: r.full || r.in.Full}
	r.asked, r.full, r.in.Full = false, false, false
	r.begun++
	defer func() { r.done = r.begun }()
	began := workflow.Now(ctx)
	options := workflow.ActivityOptions{
		StartToCloseTimeout: reconcileTimeout, ScheduleToCloseTimeout: reconcileTimeout, HeartbeatTimeout: 30 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second, MaximumAttempts: 10,
		},
	}
	ctx = workflow.WithActivityOptions(ctx, options)
	// The node first: a receipt that is missing is written, before the books are
	// said to lack it.
	workflow.SetCurrentDetails(ctx, "comparing with node "+in.Node+"; last: "+r.last.String())
	outcome := ReconcileOutcome{Node: in.Node}
	var compared ReconcileNode
	if err := workflow.ExecuteActivity(ctx, ActivityReconcileNode, in).Get(ctx, &compared); err == nil {
		outcome.Compared = &compared
	} else if temporal.IsCanceledError(err) || isOtherNode(err) {
		return err
	} else {
		outcome.NodeError = err.Error()
	}
	workflow.SetCurrentDetails(ctx, "checking the books; last: "+r.last.String())
	if err := workflow.ExecuteActivity(ctx, ActivityReconcileBooks, in).Get(ctx, &outcome.Books); err != nil {
		return r.failed(ctx, err)
	}
	outcome.TookMS = workflow.Now(ctx).Sub(began).Milliseconds()
	var report ReconcileReport
	if err := workflow.ExecuteActivity(ctx, ActivityFinishReconcile, outcome).Get(ctx, &report); err != nil {
		return r.failed(ctx, err)
	}
	r.last = report
	workflow.SetCurrentDetails(ctx, report.String())

	return nil
}

// failed ends the run for what no repeat helps, and notes anything else.
func (r *reconciling) failed(ctx workflow.Context, err error) error {
	if temporal.IsCanceledError(err) || isOtherNode(err) {
		return err
	}
	r.last = ReconcileReport{At: workflow.Now(ctx), NodeError: err.Error(), Note: "the books were not checked", NextIn: reconcilePause}
	workflow.SetCurrentDetails(ctx, r.last.String())

	return nil
}
