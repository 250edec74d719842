package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"golang.org/x/sync/errgroup"
)

// paidCharges is how many charges the settle part pays.
const paidCharges = 60

// clockwork holds when the node settled a hash and when its webhook came.
type clockwork struct {
	mu       sync.Mutex
	settled  map[string]time.Time
	received map[string]time.Time
	// arrived are closed when the webhook of a hash has come; nil when nobody
	// asks.
	arrived map[string]chan struct{}
}

// expect gives a channel that is closed when the webhook of the hash has come.
func (c *clockwork) expect(hash string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	arrived := make(chan struct{})
	c.arrived[hash] = arrived

	return arrived
}

// delay is how long the webhook of the hash came after the node's SETTLED.
func (c *clockwork) delay(hash string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.received[hash].Sub(c.settled[hash])
}

func (c *clockwork) note(at map[string]time.Time, hash string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := at[hash]; !known {
		at[hash] = time.Now()
	}
}

// tell wakes who expects the webhook.
func (c *clockwork) tell(hash string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if arrived, ok := c.arrived[hash]; ok {
		close(arrived)
		delete(c.arrived, hash)
	}
}

// settle measures from the node's own SETTLED event to the webhook's arrival,
// one charge at a time, and counts the state transitions of such a charge.
func (b *bench) settle(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	charges, credit, err := b.paidOneByOne(ctx, &clockwork{settled: map[string]time.Time{}, received: map[string]time.Time{}})
	if err != nil {
		return err
	}
	transitions, err := b.transitions(ctx, "charge/"+charges[0].ID)
	if err != nil {
		return err
	}
	fmt.Printf("node SETTLED → webhook received, %d charges one after the other: p50 %.1f ms, p99 %.1f ms\n\n",
		len(charges), credit.percentile(50), credit.percentile(99))
	fmt.Printf("a paid charge with one healthy endpoint: %d state transitions\n\n", transitions)

	return nil
}

// paidOneByOne pays charges, and gives their delays once all webhooks have come.
// It watches the node until ctx ends.
func (b *bench) paidOneByOne(ctx context.Context, clock *clockwork) ([]charge, *result, error) {
	stopReceiver, url, err := receive(clock)
	if err != nil {
		return nil, nil, err
	}
	defer stopReceiver()
	remove, err := b.endpoint(ctx, url, "charge.paid")
	if err != nil {
		return nil, nil, err
	}
	defer remove()
	if err := b.watch(ctx, clock); err != nil {
		return nil, nil, err
	}
	charges, err := b.payAll(ctx)
	if err != nil {
		return nil, nil, err
	}
	credit, err := clock.delays(ctx, charges)

	return charges, credit, err
}

// endpoint has events of that type delivered to url until it is removed.
func (b *bench) endpoint(ctx context.Context, url, eventType string) (remove func(), err error) {
	var endpoint struct{ ID string }
	status, err := b.call(ctx, http.MethodPost, "/v1/webhooks/endpoints",
		fmt.Sprintf(`{"url":%q,"events":[%q]}`, url, eventType), &endpoint)
	if err != nil || status != http.StatusCreated {
		return nil, fmt.Errorf("create endpoint: status %d: %w", status, err)
	}

	return func() {
		_, _ = b.call(context.WithoutCancel(ctx), http.MethodDelete, "/v1/webhooks/endpoints/"+endpoint.ID, "", nil)
	}, nil
}

// receive serves a webhook receiver on loopback.
func receive(clock *clockwork) (stop func(), url string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var event struct {
			Data struct {
				Object charge `json:"object"`
			} `json:"data"`
		}
		if json.NewDecoder(r.Body).Decode(&event) == nil {
			clock.note(clock.received, event.Data.Object.PaymentHash)
			clock.tell(event.Data.Object.PaymentHash)
		}
	})}
	go func() { _ = server.Serve(listener) }()

	return func() { _ = server.Close() }, "http://" + listener.Addr().String() + "/", nil
}

// watch notes the node's SETTLED events beside LNTPay's own subscription.
func (b *bench) watch(ctx context.Context, clock *clockwork) error {
	conn, err := b.dev.Lnd.Merchant.Connect()
	if err != nil {
		return err
	}
	stream, err := lnrpc.NewLightningClient(conn).SubscribeInvoices(ctx, &lnrpc.InvoiceSubscription{})
	if err != nil {
		return err
	}
	go func() {
		defer conn.Close()
		for {
			invoice, err := stream.Recv()
			if err != nil {
				return
			}
			if invoice.GetState() == lnrpc.Invoice_SETTLED {
				clock.note(clock.settled, hex.EncodeToString(invoice.GetRHash()))
			}
		}
	}()

	return nil
}

// payAll creates and pays charges one after the other from the payer's node.
func (b *bench) payAll(ctx context.Context) ([]charge, error) {
	conn, err := b.dev.Lnd.Payer.Connect()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	router := routerrpc.NewRouterClient(conn)
	var charges []charge
	for range paidCharges {
		made, got := b.post(ctx)
		if got != done {
			return nil, errors.New("a charge was not created")
		}
		if err := pay(ctx, router, made.Bolt11); err != nil {
			return nil, err
		}
		charges = append(charges, made)
	}

	return charges, nil
}

func pay(ctx context.Context, router routerrpc.RouterClient, bolt11 string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	stream, err := router.SendPaymentV2(ctx, &routerrpc.SendPaymentRequest{
		PaymentRequest: bolt11, TimeoutSeconds: 20, FeeLimitMsat: 10_000, NoInflightUpdates: true,
	})
	if err != nil {
		return err
	}
	payment, err := stream.Recv()
	if err != nil {
		return err
	}
	if payment.GetStatus() != lnrpc.Payment_SUCCEEDED {
		return fmt.Errorf("payment %s: %s", payment.GetStatus(), payment.GetFailureReason())
	}

	return nil
}

// delays waits until every webhook has come and gives the delays.
func (c *clockwork) delays(ctx context.Context, charges []charge) (*result, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var group errgroup.Group
	all := &result{}
	for _, one := range charges {
		group.Go(func() error {
			for {
				c.mu.Lock()
				settled, received := c.settled[one.PaymentHash], c.received[one.PaymentHash]
				if !settled.IsZero() && !received.IsZero() {
					all.latencies = append(all.latencies, received.Sub(settled))
					c.mu.Unlock()

					return nil
				}
				c.mu.Unlock()
				select {
				case <-time.After(20 * time.Millisecond):
				case <-ctx.Done():
					return fmt.Errorf("webhook of %s did not come: %w", one.ID, ctx.Err())
				}
			}
		})
	}

	return all, group.Wait()
}

// transitions counts the state transitions of a workflow once it has closed.
func (b *bench) transitions(ctx context.Context, workflowID string) (int64, error) {
	for {
		run, err := b.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
		if err != nil {
			return 0, err
		}
		if info := run.GetWorkflowExecutionInfo(); info.GetCloseTime() != nil {
			return info.GetStateTransitionCount(), nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
