package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
)

const (
	// lifeClients each lead one charge after another through its whole life.
	lifeClients = 16
	// lifeWithin bounds one life.
	lifeWithin = 30 * time.Second
)

// lives leads charges through their lives: created, paid by the payer's node,
// credited, told to an endpoint.
type lives struct {
	*bench
	payer routerrpc.RouterClient
	clock *clockwork
}

// lifecycle compares whole lives with what the pair of nodes pays alone, and
// measures the way from the node's SETTLED to the webhook at half that load.
func (b *bench) lifecycle(ctx context.Context) error {
	w, err := b.withdrawer()
	if err != nil {
		return err
	}
	defer w.close()
	l := &lives{
		bench: b, payer: routerrpc.NewRouterClient(w.payer),
		clock: &clockwork{settled: map[string]time.Time{}, received: map[string]time.Time{}, arrived: map[string]chan struct{}{}},
	}
	stop, url, err := receive(l.clock)
	if err != nil {
		return err
	}
	defer stop()
	remove, err := b.endpoint(ctx, url, "charge.paid")
	if err != nil {
		return err
	}
	defer remove()
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	if err := b.watch(watching, l.clock); err != nil {
		return err
	}

	return l.measure(ctx, w)
}

func (l *lives) measure(ctx context.Context, w *withdrawer) error {
	if err := w.fund(ctx); err != nil {
		return err
	}
	bills, err := w.bareBills(ctx, lifeClients*int(l.seconds/time.Second)*16)
	if err != nil {
		return err
	}
	next := make(chan bill, len(bills))
	for _, one := range bills {
		next <- one
	}
	bare := load(ctx, lifeClients, l.seconds, func(ctx context.Context) outcome {
		select {
		case one := <-next:
			if w.payBare(ctx, one) == nil {
				return done
			}
		default:
		}

		return failed
	})
	before := l.usage()
	full := load(ctx, lifeClients, l.seconds, l.live)
	took := l.usage().minus(before)
	before = l.usage()
	half := l.paced(ctx, full.rate()/2)
	tookHalf := l.usage().minus(before)
	fmt.Println("| clients | node pair: payments/s | lives/s | p50 ms | p99 ms | not in time | ratio |")
	fmt.Println("|--:|--:|--:|--:|--:|--:|--:|")
	fmt.Printf("| %d | %.1f | %.1f | %.1f | %.1f | %d | %.2f |\n\n", lifeClients, bare.rate(), full.rate(),
		full.percentile(50), full.percentile(99), full.failed+full.refused, full.rate()/bare.rate())
	took.print("a whole life, payment included", full.ok)
	tookHalf.print("a whole life at half of that load", half.ok)
	fmt.Printf("node SETTLED → webhook received, %d charges at %.1f a second, half of that load: p50 %.1f ms, p99 %.1f ms\n\n",
		len(half.latencies), full.rate()/2, half.percentile(50), half.percentile(99))
	if bare.failed > 0 || half.failed > 0 {
		return fmt.Errorf("%d bare payments and %d paced lives failed", bare.failed, half.failed)
	}

	return nil
}

// live leads one charge from its POST to its webhook.
func (l *lives) live(ctx context.Context) outcome {
	if _, err := l.lead(ctx); err != nil {
		return failed
	}

	return done
}

// lead is live; it gives how long the webhook came after the node's SETTLED.
func (l *lives) lead(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, lifeWithin)
	defer cancel()
	var made charge
	status, err := l.call(ctx, http.MethodPost, "/v1/charges", `{"amount_sats":10}`, &made)
	if err != nil || status != http.StatusCreated {
		return 0, fmt.Errorf("create: status %d: %w", status, err)
	}
	arrived := l.clock.expect(made.PaymentHash)
	if err := pay(ctx, l.payer, made.Bolt11); err != nil {
		return 0, err
	}
	select {
	case <-arrived:
		return l.clock.delay(made.PaymentHash), nil
	case <-ctx.Done():
		return 0, errors.New("the webhook did not come")
	}
}

// paced begins so many lives a second, whatever becomes of those before.
func (l *lives) paced(ctx context.Context, perSecond float64) *result {
	var (
		all   result
		mu    sync.Mutex
		group sync.WaitGroup
	)
	began := time.Now()
	for n := 0; time.Since(began) < l.seconds && ctx.Err() == nil; n++ {
		due := began.Add(time.Duration(float64(n) / perSecond * float64(time.Second)))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
		}
		group.Go(func() {
			delay, err := l.lead(ctx)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				all.failed++

				return
			}
			all.ok++
			all.latencies = append(all.latencies, delay)
		})
	}
	group.Wait()
	all.elapsed = time.Since(began)

	return &all
}
