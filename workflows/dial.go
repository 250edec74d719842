package workflows

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lntpay/lntpay/telemetry"
)

const (
	prepareTimeout = 5 * time.Second
	preparePause   = 500 * time.Millisecond
)

// DialOption changes how Dial connects.
type DialOption func(*client.Options)

// WithTLS secures the connection; nil leaves it as it is.
func WithTLS(security *tls.Config) DialOption {
	return func(all *client.Options) { all.ConnectionOptions.TLS = security }
}

// Dial makes a client of a namespace. It does not connect yet: a Temporal that
// is away is met by each call's own deadline.
func Dial(address, namespace string, logger *slog.Logger, options ...DialOption) (client.Client, error) {
	traced, err := telemetry.Interceptors(NameNodeWatcher, NameSweeper, NameReconcile, ActivityWatchNode)
	if err != nil {
		return nil, err
	}
	all := client.Options{
		HostPort: address, Namespace: namespace,
		// Loopback or the same site: compression would only cost time.
		ConnectionOptions: client.ConnectionOptions{GrpcCompression: &client.GrpcCompressionNone{}},
		Logger:            log.NewStructuredLogger(logger),
		Interceptors:      traced,
	}
	for _, option := range options {
		option(&all)
	}
	c, err := client.NewLazyClient(all)
	if err != nil {
		return nil, fmt.Errorf("temporal %s: %w", address, err)
	}

	return c, nil
}

// Prepare makes sure that the namespace and the search attributes exist, and
// waits until Temporal serves them or ctx ends. It is safe to run by many.
func Prepare(ctx context.Context, c client.Client, namespace string, retention time.Duration, logger *slog.Logger) error {
	for {
		err := prepareOnce(ctx, c, namespace, retention)
		if err == nil {
			return nil
		}
		logger.WarnContext(ctx, "temporal is not ready, trying again", "namespace", namespace, "error", err)
		select {
		case <-time.After(preparePause):
		case <-ctx.Done():
			return fmt.Errorf("prepare namespace %s: %w", namespace, errors.Join(ctx.Err(), err))
		}
	}
}

func prepareOnce(ctx context.Context, c client.Client, namespace string, retention time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(retention),
	})
	var exists *serviceerror.NamespaceAlreadyExists
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("register namespace: %w", err)
	}
	if err := addAttributes(ctx, c, namespace); err != nil {
		return err
	}
	// A new namespace is served only once the frontend's cache knows it.
	if _, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Query: AttrWorkspaceID.GetName() + " = 'none'",
	}); err != nil {
		return fmt.Errorf("query namespace: %w", err)
	}

	return nil
}

// MissingAttributes names the search attributes that the namespace lacks;
// *serviceerror.NamespaceNotFound without a namespace.
func MissingAttributes(ctx context.Context, c client.Client, namespace string) ([]string, error) {
	if _, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace}); err != nil {
		return nil, fmt.Errorf("describe namespace: %w", err)
	}
	missing, err := missingAttributes(ctx, c, namespace)

	return slices.Sorted(maps.Keys(missing)), err
}

func missingAttributes(ctx context.Context, c client.Client, namespace string) (map[string]enumspb.IndexedValueType, error) {
	present, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, fmt.Errorf("list search attributes: %w", err)
	}
	missing := map[string]enumspb.IndexedValueType{}
	for name, kind := range map[string]enumspb.IndexedValueType{
		AttrWorkspaceID.GetName():   AttrWorkspaceID.GetValueType(),
		AttrEnvironment.GetName():   AttrEnvironment.GetValueType(),
		AttrPaymentHash.GetName():   AttrPaymentHash.GetValueType(),
		AttrPaymentStatus.GetName(): AttrPaymentStatus.GetValueType(),
		AttrAmountMsat.GetName():    AttrAmountMsat.GetValueType(),
	} {
		if _, ok := present.GetCustomAttributes()[name]; !ok {
			missing[name] = kind
		}
	}

	return missing, nil
}

// addAttributes registers the search attributes that are missing.
func addAttributes(ctx context.Context, c client.Client, namespace string) error {
	missing, err := missingAttributes(ctx, c, namespace)
	if err != nil || len(missing) == 0 {
		return err
	}
	if _, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	}); err != nil {
		return fmt.Errorf("add search attributes: %w", err)
	}

	return nil
}

// CheckServed is nil when Temporal answers and a worker polls for payments.
func CheckServed(ctx context.Context, c client.Client) error {
	queue, err := c.DescribeTaskQueue(ctx, TaskQueuePayments, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return fmt.Errorf("describe task queue: %w", err)
	}
	if len(queue.GetPollers()) == 0 {
		return errors.New("workflows: no worker polls for payments")
	}

	return nil
}
