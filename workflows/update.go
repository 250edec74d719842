package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// serveUpdate runs a client's activity until it decides or the client has
// surely gone; whether it still may decide is judged by the activity, on one
// clock. learn gets what it returns, nil if it failed.
func serveUpdate[S any](ctx workflow.Context, doing, activity string, in any, startBy time.Time, learn func(*S)) error {
	for {
		var state S
		err := workflow.ExecuteLocalActivity(withLocal(ctx, doing), activity, in).Get(ctx, &state)
		if err == nil {
			learn(&state)

			return nil
		}
		learn(nil)
		undecided := isErrType(err, ErrTypeOutcomeUnknown) || isErrType(err, ErrTypeRowMissing) ||
			temporal.IsCanceledError(err) || workflow.Now(ctx).After(startBy)
		if undecided {
			return temporal.NewNonRetryableApplicationError("outcome unknown", ErrTypeOutcomeUnknown, nil)
		}
		if err := workflow.Sleep(ctx, openPause); err != nil {
			return err
		}
	}
}
