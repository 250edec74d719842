package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/lntpay/lntpay/workflows"
)

// naiveQueue is the task queue of the variant, which the product does not serve.
const naiveQueue = "bench-naive"

// naiveCharge opens a charge as a first draft with Temporal does: each step a
// regular activity, the caller waits for the run's result. It is not durable as
// ours: no idempotency, no derived preimage, no frozen answer.
type naiveCharge struct {
	*bench
	node lnrpc.LightningClient
}

// naive compares that variant with the product, at the same numbers of clients.
func (b *bench) naive(ctx context.Context) error {
	conn, err := b.dev.Lnd.Merchant.Connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	n := &naiveCharge{bench: b, node: lnrpc.NewLightningClient(conn)}
	temporal, err := workflows.Dial(b.dev.TemporalAddress, b.dev.TemporalNamespace, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer temporal.Close()
	w := worker.New(temporal, naiveQueue, worker.Options{})
	w.RegisterWorkflow(n.Open)
	w.RegisterActivity(n.Insert)
	w.RegisterActivity(n.AddInvoice)
	w.RegisterActivity(n.Finish)
	if err := w.Start(); err != nil {
		return err
	}
	defer w.Stop()
	fmt.Println("| clients | naive charges/s | p50 ms | p99 ms | POST /v1/charges/s | p50 ms | p99 ms | ratio |")
	fmt.Println("|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, clients := range []int{1, 16} {
		theirs := load(ctx, clients, b.seconds, func(ctx context.Context) outcome { return n.post(ctx, temporal) })
		ours := load(ctx, clients, b.seconds, func(ctx context.Context) outcome {
			_, got := b.post(ctx)

			return got
		})
		fmt.Printf("| %d | %.0f | %.1f | %.1f | %.0f | %.1f | %.1f | %.1f |\n", clients, theirs.rate(), theirs.percentile(50),
			theirs.percentile(99), ours.rate(), ours.percentile(50), ours.percentile(99), ours.rate()/theirs.rate())
	}
	fmt.Println()

	return nil
}

func (n *naiveCharge) post(ctx context.Context, temporal client.Client) outcome {
	run, err := temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "bench-naive/" + rand.Text(), TaskQueue: naiveQueue}, n.Open)
	if err != nil {
		return failed
	}
	ctx, cancel := context.WithTimeout(ctx, lifeWithin)
	defer cancel()
	if run.Get(ctx, nil) != nil {
		return failed
	}

	return done
}

// Open is the workflow.
func (n *naiveCharge) Open(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second})
	id := workflow.GetInfo(ctx).WorkflowExecution.ID
	if err := workflow.ExecuteActivity(ctx, n.Insert, id).Get(ctx, nil); err != nil {
		return err
	}
	var bolt11 string
	if err := workflow.ExecuteActivity(ctx, n.AddInvoice).Get(ctx, &bolt11); err != nil {
		return err
	}

	return workflow.ExecuteActivity(ctx, n.Finish, id, bolt11).Get(ctx, nil)
}

// Insert writes the row, as a claim that nobody made.
func (n *naiveCharge) Insert(ctx context.Context, id string) error {
	_, err := n.store.Pool.Exec(ctx, `INSERT INTO claim (resource_id, workspace_id, path, body_sha256, request, request_id)
		VALUES ($1::text, 'bench', '/naive', sha256(convert_to($1::text, 'UTF8')), '{}', $1::text)`, id)

	return err
}

// AddInvoice makes the invoice.
func (n *naiveCharge) AddInvoice(ctx context.Context) (string, error) {
	invoice, err := n.node.AddInvoice(ctx, &lnrpc.Invoice{ValueMsat: 10_000, Expiry: 3600})

	return invoice.GetPaymentRequest(), err
}

// Finish writes the invoice.
func (n *naiveCharge) Finish(ctx context.Context, id, bolt11 string) error {
	_, err := n.store.Pool.Exec(ctx, `UPDATE claim SET answer = convert_to($2::text, 'UTF8'), answer_status = 201, answered_at = now()
		WHERE resource_id = $1::text`, id, bolt11)

	return err
}
