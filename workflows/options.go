package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// workflowTaskTimeout halves Temporal's default: a worker that dies in the
// middle of a task delays the run by this much. Local activities must end
// within 80 % of it.
const workflowTaskTimeout = 5 * time.Second

// quoteTimeout ends a quote that nobody waits for any more.
const quoteTimeout = 10 * time.Second

// withLocal sets how local activities run: once, within the workflow task. The
// workflow itself decides what a failure means and when to try again; a retry
// inside would hold the task and keep nudges out.
func withLocal(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: 3500 * time.Millisecond,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:             summary,
	})
}

// isErrType reports whether err is an application error of the type.
func isErrType(err error, errType string) bool {
	var app *temporal.ApplicationError

	return errors.As(err, &app) && app.Type() == errType
}
