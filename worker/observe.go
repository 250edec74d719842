package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/telemetry"
	"github.com/lntpay/lntpay/workflows"
)

// observer gives each activity, local ones too, its fields and its line in the
// log. It awaits nothing and touches no workflow.
type observer struct {
	interceptor.WorkerInterceptorBase

	environment payments.Environment
	log         *slog.Logger
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (o *observer) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &observed{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, observer: o}
}

type observed struct {
	interceptor.ActivityInboundInterceptorBase

	observer *observer
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor.
func (a *observed) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	ctx = telemetry.WithFields(ctx, slog.String("environment", string(a.observer.environment)),
		slog.String("activity", info.ActivityType.Name), slog.Int("attempt", int(info.Attempt)),
		slog.String("workflow_id", info.WorkflowExecution.ID), slog.String("run_id", info.WorkflowExecution.RunID))
	if resource, ok := telemetry.ResourceOf(info.WorkflowExecution.ID); ok {
		telemetry.Set(ctx, resource)
	}
	began := time.Now()
	result, err := a.Next.ExecuteActivity(ctx, in)
	attrs := []slog.Attr{slog.Float64("duration_ms", float64(time.Since(began).Microseconds())/1000)}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	} else if status := statusOf(result); status != "" {
		attrs = append(attrs, slog.String("status", status))
	}
	a.observer.log.LogAttrs(ctx, levelOf(info.ActivityType.Name, err), "activity", attrs...)

	return result, err
}

// looking are the activities of which a payment has many: they look, wait or
// sweep, and what they find is another activity's to do.
var looking = map[string]bool{
	workflows.ActivityLookAtCharge: true, workflows.ActivityLookAtWithdrawal: true,
	workflows.ActivityFollowWithdrawal: true, workflows.ActivityEstimateFee: true,
	workflows.ActivityWatchNode: true, workflows.ActivitySweepNode: true, workflows.ActivitySweepRows: true,
}

// levelOf is info for the few steps of a payment's life, debug for what is
// repeated, warn for what failed: the run decides whether that is an error.
func levelOf(name string, err error) slog.Level {
	switch {
	case err != nil && !errors.Is(err, context.Canceled) && !temporal.IsCanceledError(err):
		return slog.LevelWarn
	case looking[name]:
		return slog.LevelDebug
	}

	return slog.LevelInfo
}

// statusOf is the status of the payment after an activity of it.
func statusOf(result any) string {
	switch state := result.(type) {
	case workflows.ChargeState:
		return string(state.Status)
	case workflows.WithdrawalState:
		return string(state.Status)
	}

	return ""
}
