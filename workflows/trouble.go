package workflows

import "go.temporal.io/sdk/workflow"

// What PaymentStatus says of a run that has left the happy path, for the saved
// searches of docs/temporal-ui.md. They are no statuses of rows.
const (
	// reviewStatus is a withdrawal that waits for an operator.
	reviewStatus = "under_review"
	// failingStatus is a delivery that has failed again in its own workflow.
	failingStatus = "webhook_failing"
)

// Changes of workflow code that runs from before them do not know, by name.
// Names are in histories: never rename one.
const (
	changeMarkReview  = "mark-under-review"
	changeMarkFailing = "mark-webhook-failing"
)

// marksTrouble reports whether this run tells of trouble by a search attribute.
// It is asked only in trouble: GetVersion costs two events.
func marksTrouble(ctx workflow.Context, change string) bool {
	return workflow.GetVersion(ctx, change, workflow.DefaultVersion, 1) != workflow.DefaultVersion
}
