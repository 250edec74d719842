package worker

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/telemetry"
	"github.com/lntpay/lntpay/webhooks"
	"github.com/lntpay/lntpay/workflows"
)

const (
	// stopTimeout is how long workflow tasks, and then activities, may take to
	// end: longer than an attempt at a delivery.
	stopTimeout = 20 * time.Second
	// pollers is far above the SDK's default of 2, with which a backlog of
	// sticky tasks starves the first tasks of new charges.
	pollers = 16
	// stickyRuns is how many open charges stay in memory; an evicted one
	// replays some ten events.
	stickyRuns = 20_000
	// lookers is how many deliveries may find their endpoint busy at once.
	lookers = 200
	// ensureEvery is how often the singletons are looked after: one that was
	// terminated by hand comes back.
	ensureEvery = 10 * time.Second
)

// Worker serves one environment.
type Worker struct {
	Store *store.Store
	Node  lightning.Node
	// Payer is nil unless the sandbox has a payer node.
	Payer lightning.Payer
	// Interceptors are told of every activity, local ones too.
	Interceptors []interceptor.WorkerInterceptor
	// StopTimeout is how long running workflow tasks may take to end when Run's
	// context has ended, and after them running activities.
	StopTimeout time.Duration
	// Temporal is dialled by New, and closed by Close, unless an option has set
	// it: an API in the same process shares its client and has Answers told.
	Temporal client.Client
	Answers  *workflows.Answers

	temporal client.Client
	observer *observer
	starter  *workflows.Starter
	settler  *activities.Settler
	health   *health
	sender   *webhooks.Sender
	workers  []sdkworker.Worker
	// fatal takes the first error after which the SDK polls no more.
	fatal chan error
	log   *slog.Logger
}

// Option changes a worker that has its node and no activities yet: tests put
// something between the two, and an API in the same process shares its client.
type Option func(*Worker)

// New connects to everything that env names, checks that it is env's (the
// database's mark, the node's pubkey, the preimage keys' fingerprints) and
// registers workflows and activities. It waits for a node or a Temporal that
// is away until ctx ends; what contradicts the settings is an error at once.
func New(ctx context.Context, name payments.Environment, env config.Environment, hooks config.Webhooks,
	registry prometheus.Registerer, log *slog.Logger, options ...Option,
) (*Worker, error) {
	log = telemetry.WithContext(log)
	if err := env.CheckWorker(name); err != nil {
		return nil, err
	}
	keys, err := lightning.LoadKeyRing(env.PreimageKeyFile, env.OldPreimageKeyFiles)
	if err != nil {
		return nil, fmt.Errorf("%s.preimage_key_file: %w", name, err)
	}
	sealer, err := webhooks.LoadSealer(env.SecretsKeyFile)
	if err != nil {
		return nil, fmt.Errorf("%s.secrets_key_file: %w", name, err)
	}
	s, err := openStore(ctx, name, env)
	if err != nil {
		return nil, err
	}
	node, err := connectNode(ctx, env.Node, log)
	if err != nil {
		s.Close()

		return nil, err
	}
	w := &Worker{
		Store: s, Node: node, StopTimeout: stopTimeout, fatal: make(chan error, 1), log: log,
		observer: &observer{environment: name, log: log},
	}
	if err := pin(ctx, s, keys, node, env.Node.Network); err != nil {
		w.Close()

		return nil, err
	}
	if w.Payer, err = ConnectPayer(name, env); err != nil {
		w.Close()

		return nil, err
	}
	for _, option := range options {
		option(w)
	}
	registry = prometheus.WrapRegistererWith(prometheus.Labels{"environment": string(name)}, registry)
	if err := w.dial(name, env.Temporal, registry); err != nil {
		w.Close()

		return nil, err
	}
	if err := workflows.Prepare(ctx, w.temporal, env.Temporal.Namespace,
		time.Duration(env.Temporal.RetentionHours)*time.Hour, log); err != nil {
		w.Close()

		return nil, err
	}
	w.starter = &workflows.Starter{Client: w.temporal, Environment: name}
	w.register(keys, sealer, hooks, env, name == payments.Production, registry)

	return w, nil
}

// dial makes the client, unless it is shared.
func (w *Worker) dial(name payments.Environment, cfg config.Temporal, registry prometheus.Registerer) error {
	if w.Temporal != nil {
		w.temporal = w.Temporal

		return nil
	}
	metrics, err := workflows.WithMetrics(prometheus.WrapRegistererWith(prometheus.Labels{"part": "worker"}, registry))
	if err != nil {
		return err
	}
	w.temporal, err = DialTemporal(name, cfg, w.log, metrics)

	return err
}

// register builds the activities and hands them to the two workers.
func (w *Worker) register(keys *lightning.KeyRing, sealer *webhooks.Sealer, hooks config.Webhooks,
	env config.Environment, production bool, registry prometheus.Registerer,
) {
	prometheus.WrapRegistererWith(prometheus.Labels{"part": "worker"}, registry).MustRegister(w.Store.PoolCollector())
	w.Store.Metrics = store.NewMetrics(registry)
	w.health = newHealth(registry, w.Node.Name())
	alerts := activities.NewAlerts(w.log, registry)
	w.settler = activities.NewSettler(w.Store, alerts, registry)
	charges := &activities.Charges{Store: w.Store, Node: w.Node, Keys: keys, Settle: w.settler, Alerts: alerts, Answers: w.Answers}
	nodes := &activities.Nodes{
		Store: w.Store, Node: w.Node, Nudger: w.starter, Alerts: alerts, Log: w.log,
		Metrics: activities.NewNodeMetrics(registry), Settle: w.settler,
	}
	w.sender = webhooks.NewSender(webhooks.Policy{AllowPrivate: hooks.AllowPrivate, Production: production}, webhooks.Options{})
	deliveries := &activities.Deliveries{
		Store: w.Store, Sender: w.sender, Sealer: sealer, Starter: w.starter, Log: w.log,
		Metrics: activities.NewDeliveryMetrics(registry),
	}
	withdrawals := &activities.Withdrawals{
		Store: w.Store, Node: w.Node, Policy: activities.PayoutPolicy(env.Payouts), Charges: charges, Alerts: alerts, Log: w.log,
	}
	sandbox := &activities.Sandbox{Store: w.Store, Payer: w.Payer, Keys: keys, Log: w.log}
	reconciliation := &activities.Reconciliation{Nodes: nodes, Policy: activities.ReconcilePolicy(env.Reconcile)}
	main := sdkworker.New(w.temporal, workflows.TaskQueuePayments, w.options())
	Register(main, charges, withdrawals, nodes, sandbox)
	RegisterReconciliation(main, reconciliation)
	hook := sdkworker.New(w.temporal, workflows.TaskQueueWebhooks, w.hookOptions())
	hook.RegisterWorkflowWithOptions(workflows.Delivery, workflow.RegisterOptions{Name: workflows.NameDelivery})
	hook.RegisterActivityWithOptions(deliveries.AttemptDelivery,
		activity.RegisterOptions{Name: workflows.ActivityAttemptDelivery})
	hook.RegisterActivityWithOptions(deliveries.CancelDelivery,
		activity.RegisterOptions{Name: workflows.ActivityCancelDelivery})
	w.workers = []sdkworker.Worker{main, hook}
}

// Registry is what workflows and activities are registered with: a worker, or
// a test environment.
type Registry interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
	RegisterActivityWithOptions(a any, options activity.RegisterOptions)
}

// Register registers everything that the payments task queue serves. Deliveries
// have moved to webhooks; some of those that began here may still run.
func Register(r Registry, charges *activities.Charges, withdrawals *activities.Withdrawals, nodes *activities.Nodes,
	sandbox *activities.Sandbox,
) {
	for name, w := range map[string]any{
		workflows.NameCharge: workflows.Charge, workflows.NameDelivery: workflows.Delivery,
		workflows.NameWithdrawal: workflows.Withdrawal, workflows.NameQuote: workflows.Quote,
		workflows.NameNodeWatcher: workflows.NodeWatcher, workflows.NameSweeper: workflows.Sweeper,
		workflows.NameSandbox: workflows.Sandbox,
	} {
		r.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{Name: name})
	}
	for name, a := range map[string]any{
		workflows.ActivityOpenCharge: charges.OpenCharge, workflows.ActivityLookAtCharge: charges.LookAtCharge,
		workflows.ActivitySettleCharge: charges.SettleCharge, workflows.ActivityExpireCharge: charges.ExpireCharge,
		workflows.ActivityCancelCharge: charges.CancelCharge, workflows.ActivityWatchNode: nodes.WatchNode,
		workflows.ActivityHoldWithdrawal: withdrawals.HoldWithdrawal, workflows.ActivityLookAtWithdrawal: withdrawals.LookAtWithdrawal,
		workflows.ActivitySendWithdrawal: withdrawals.SendWithdrawal, workflows.ActivityFollowWithdrawal: withdrawals.FollowWithdrawal,
		workflows.ActivitySettleByBook: withdrawals.SettleByBook, workflows.ActivityResolveWithdrawal: withdrawals.ResolveWithdrawal,
		workflows.ActivityEstimateFee: withdrawals.EstimateFee,
		workflows.ActivitySweepNode:   nodes.SweepNode, workflows.ActivitySweepRows: nodes.SweepRows,
		workflows.ActivityDecideSandbox: sandbox.DecideSandbox, workflows.ActivityPaySandboxCharge: sandbox.PaySandboxCharge,
	} {
		r.RegisterActivityWithOptions(a, activity.RegisterOptions{Name: name})
	}
}

// RegisterReconciliation registers what compares the books with the node.
func RegisterReconciliation(r Registry, reconciliation *activities.Reconciliation) {
	r.RegisterWorkflowWithOptions(workflows.Reconcile, workflow.RegisterOptions{Name: workflows.NameReconcile})
	for name, a := range map[string]any{
		workflows.ActivityReconcileNode: reconciliation.ReconcileNode, workflows.ActivityReconcileBooks: reconciliation.ReconcileBooks,
		workflows.ActivityFinishReconcile: reconciliation.FinishReconcile,
	} {
		r.RegisterActivityWithOptions(a, activity.RegisterOptions{Name: name})
	}
}

func (w *Worker) options() sdkworker.Options {
	return sdkworker.Options{
		MaxConcurrentWorkflowTaskPollers: pollers,
		MaxConcurrentActivityTaskPollers: pollers / 2,
		// The watcher's heartbeat must get through well within its timeout.
		MaxHeartbeatThrottleInterval: 2 * time.Second,
		WorkerStopTimeout:            w.StopTimeout,
		DisableRegistrationAliasing:  true,
		Interceptors:                 append([]interceptor.WorkerInterceptor{w.observer}, w.Interceptors...),
		// Polls that are refused for two minutes, such as with "namespace not
		// found", which Temporal also says while its own database is away,
		// make the SDK stop polling for good (internal_worker_base.go,
		// isNonRetriableError): a process that looks well and does nothing.
		OnFatalError: func(err error) {
			select {
			case w.fatal <- err:
			default:
			}
		},
	}
}

// hookOptions are those of the webhooks task queue. More activities run than
// attempts are made: those beyond only find out that their endpoint is busy, and
// the queue moves on.
func (w *Worker) hookOptions() sdkworker.Options {
	options := w.options()
	options.MaxConcurrentActivityExecutionSize = activities.DeliveriesAtOnce + lookers

	return options
}

// Run serves until ctx ends, then lets what runs end. An error says that it
// serves no more: whoever runs it starts a new one.
func (w *Worker) Run(ctx context.Context) error {
	sdkworker.SetStickyWorkflowCacheSize(stickyRuns)
	// The settler outlives the workers: what they still run may need it.
	settleCtx, stopSettler := context.WithCancel(context.WithoutCancel(ctx))
	var settler errgroup.Group
	settler.Go(func() error {
		w.settler.Run(settleCtx)

		return nil
	})
	defer func() {
		stopSettler()
		_ = settler.Wait()
	}()
	healthCtx, stopHealth := context.WithCancel(ctx)
	var health errgroup.Group
	health.Go(func() error {
		w.watchHealth(healthCtx)

		return nil
	})
	defer func() {
		stopHealth()
		_ = health.Wait()
	}()
	for i, one := range w.workers {
		if err := one.Start(); err != nil {
			for _, started := range w.workers[:i] {
				started.Stop()
			}

			return fmt.Errorf("start worker: %w", err)
		}
	}
	defer w.stopWorkers()

	return w.keepSingletons(ctx)
}

// stopWorkers has the workers poll no more and waits for what they run, at the
// same time, so that the one does not take work while the other stops.
func (w *Worker) stopWorkers() {
	w.log.Info("worker stops: it takes no more work")
	var all sync.WaitGroup
	for _, one := range w.workers {
		all.Go(one.Stop)
	}
	all.Wait()
}

// keepSingletons starts watcher, sweeper and reconciliation, again if need be, until
// ctx ends or the SDK gives up.
func (w *Worker) keepSingletons(ctx context.Context) error {
	pause := time.Duration(0)
	for {
		select {
		case <-time.After(pause):
		case err := <-w.fatal:
			return fmt.Errorf("temporal refuses to give work: %w", err)
		case <-ctx.Done():
			return nil
		}
		pause = ensureEvery
		callCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
		if err := w.starter.EnsureSingletons(callCtx, w.Node.Name()); err != nil {
			w.log.WarnContext(ctx, "watcher, sweeper or reconciliation not started, trying again", "error", err)
			pause = time.Second
		}
		cancel()
	}
}

// Ready is nil when Postgres, the node and Temporal answer.
func (w *Worker) Ready(ctx context.Context) map[string]error {
	_, err := w.temporal.CheckHealth(ctx, nil)

	return map[string]error{
		"postgres": w.Store.Pool.Ping(ctx), "node": w.Node.Ready(ctx), "temporal": err,
	}
}

// Close ends the connections.
func (w *Worker) Close() {
	if w.temporal != nil && w.Temporal == nil {
		w.temporal.Close()
	}
	if w.sender != nil {
		w.sender.Close()
	}
	if w.Payer != nil {
		w.Payer.Close()
	}
	w.Node.Close()
	w.Store.Close()
}
