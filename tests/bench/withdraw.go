package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"google.golang.org/grpc"
)

const (
	// withdrawBlocks blocks of withdrawBlock payments each, the node's and ours
	// in turn, so that the machine's moods meet both.
	withdrawBlocks = 3
	withdrawBlock  = 20
	// withdrawClients pay at once, withdrawMany in a block.
	withdrawClients = 8
	withdrawMany    = 80
	// refusedBills is how many payments their payee refuses.
	refusedBills = 20
	// billMsat is what each payment pays; fundingSats covers all of them.
	billMsat    = 10_000
	fundingSats = 1_000_000
)

// bill is an invoice of the payer's node.
type bill struct {
	bolt11 string
	hash   []byte
}

// withdrawer measures withdrawals beside bare payments of the same node.
type withdrawer struct {
	*bench
	merchant, payer *grpc.ClientConn
}

// withdrawer connects to both nodes; close it.
func (b *bench) withdrawer() (*withdrawer, error) {
	merchant, err := b.dev.Lnd.Merchant.Connect()
	if err != nil {
		return nil, err
	}
	payer, err := b.dev.Lnd.Payer.Connect()
	if err != nil {
		_ = merchant.Close()

		return nil, err
	}

	return &withdrawer{bench: b, merchant: merchant, payer: payer}, nil
}

func (w *withdrawer) close() {
	_ = w.merchant.Close()
	_ = w.payer.Close()
}

// withdraw compares withdrawals with the merchant's node paying by itself.
func (b *bench) withdraw(ctx context.Context) error {
	w, err := b.withdrawer()
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.fund(ctx); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{w.oneByOne, w.atOnce, w.refused} {
		if err := part(ctx); err != nil {
			return err
		}
	}

	return nil
}

// fund has the workspace paid what it withdraws.
func (w *withdrawer) fund(ctx context.Context) error {
	var made charge
	status, err := w.call(ctx, http.MethodPost, "/v1/charges", fmt.Sprintf(`{"amount_sats":%d}`, fundingSats), &made)
	if err != nil || status != http.StatusCreated {
		return fmt.Errorf("create the funding charge: status %d: %w", status, err)
	}
	if err := pay(ctx, routerrpc.NewRouterClient(w.payer), made.Bolt11); err != nil {
		return err
	}
	status, err = w.call(ctx, http.MethodGet, "/v1/charges/"+made.ID+"?wait=30", "", nil)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("wait for the funding charge: status %d: %w", status, err)
	}

	return nil
}

// oneByOne measures what we add to a payment over one hop, and its transitions.
func (w *withdrawer) oneByOne(ctx context.Context) error {
	var bare, ours result
	var last string
	for range withdrawBlocks {
		own, err := w.bareBills(ctx, withdrawBlock)
		if err != nil {
			return err
		}
		bills, err := w.bills(ctx, withdrawBlock)
		if err != nil {
			return err
		}
		for _, one := range own {
			began := time.Now()
			if err := w.payBare(ctx, one); err != nil {
				return err
			}
			bare.latencies = append(bare.latencies, time.Since(began))
		}
		for _, one := range bills {
			began := time.Now()
			if last, err = w.succeed(ctx, one); err != nil {
				return err
			}
			ours.latencies = append(ours.latencies, time.Since(began))
		}
	}
	transitions, err := w.transitions(ctx, "withdrawal/"+last)
	if err != nil {
		return err
	}
	delivered, err := w.deliveredTransitions(ctx)
	if err != nil {
		return err
	}
	fmt.Println("| one after the other | p50 ms | p99 ms |")
	fmt.Println("|---|--:|--:|")
	fmt.Printf("| the node's SendPaymentV2 → SUCCEEDED | %.1f | %.1f |\n", bare.percentile(50), bare.percentile(99))
	fmt.Printf("| POST /v1/withdrawals → succeeded by ?wait= | %.1f | %.1f |\n", ours.percentile(50), ours.percentile(99))
	fmt.Printf("| added | %.1f | |\n\n", ours.percentile(50)-bare.percentile(50))
	fmt.Printf("ratio of the medians %.2f; %d payments each\n\n", ours.percentile(50)/bare.percentile(50), len(ours.latencies))
	fmt.Printf("a withdrawal over one hop: %d state transitions, %d with one healthy endpoint\n\n", transitions, delivered)

	return nil
}

// deliveredTransitions counts those of a withdrawal whose event an endpoint
// takes.
func (w *withdrawer) deliveredTransitions(ctx context.Context) (int64, error) {
	stop, url, err := receive(&clockwork{settled: map[string]time.Time{}, received: map[string]time.Time{}})
	if err != nil {
		return 0, err
	}
	defer stop()
	remove, err := w.endpoint(ctx, url, "withdrawal.succeeded")
	if err != nil {
		return 0, err
	}
	defer remove()
	bills, err := w.bills(ctx, 1)
	if err != nil {
		return 0, err
	}
	id, err := w.succeed(ctx, bills[0])
	if err != nil {
		return 0, err
	}

	return w.transitions(ctx, "withdrawal/"+id)
}

// atOnce compares the rates of eight payers, in blocks too.
func (w *withdrawer) atOnce(ctx context.Context) error {
	var bare, ours time.Duration
	for range withdrawBlocks {
		own, err := w.bareBills(ctx, withdrawMany)
		if err != nil {
			return err
		}
		bills, err := w.bills(ctx, withdrawMany)
		if err != nil {
			return err
		}
		took, err := together(own, func(one bill) error { return w.payBare(ctx, one) })
		if err != nil {
			return err
		}
		bare += took
		took, err = together(bills, func(one bill) error {
			_, err := w.succeed(ctx, one)

			return err
		})
		if err != nil {
			return err
		}
		ours += took
	}
	paid := float64(withdrawBlocks * withdrawMany)
	fmt.Println("| clients | SendPaymentV2/s | withdrawals/s | ratio |")
	fmt.Println("|--:|--:|--:|--:|")
	fmt.Printf("| %d | %.1f | %.1f | %.2f |\n\n", withdrawClients,
		paid/bare.Seconds(), paid/ours.Seconds(), bare.Seconds()/ours.Seconds())

	return nil
}

// together has the bills paid by withdrawClients at once, and gives the time.
func together(bills []bill, pay func(bill) error) (time.Duration, error) {
	queue := make(chan bill, len(bills))
	for _, one := range bills {
		queue <- one
	}
	close(queue)
	errs := make([]error, withdrawClients)
	var group sync.WaitGroup
	began := time.Now()
	for i := range withdrawClients {
		group.Go(func() {
			for one := range queue {
				if errs[i] = pay(one); errs[i] != nil {
					return
				}
			}
		})
	}
	group.Wait()

	return time.Since(began), errors.Join(errs...)
}

// refused measures from the node's FAILED to the API's failed with the funds
// released.
func (w *withdrawer) refused(ctx context.Context) error {
	bills, err := w.bills(ctx, refusedBills)
	if err != nil {
		return err
	}
	for _, one := range bills {
		if _, err := invoicesrpc.NewInvoicesClient(w.payer).CancelInvoice(ctx,
			&invoicesrpc.CancelInvoiceMsg{PaymentHash: one.hash}); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failures, err := w.watchFailures(ctx)
	if err != nil {
		return err
	}
	// A payment of the stack's user may be held all the while.
	before, err := w.locked(ctx)
	if err != nil {
		return err
	}
	var delays result
	for _, one := range bills {
		got, err := w.pay(ctx, one)
		if err != nil {
			return err
		}
		at := time.Now()
		if got.Status != "failed" || got.Failure.Code != "rejected_by_recipient" {
			return fmt.Errorf("a refused bill: %s is %s, %s", got.ID, got.Status, got.Failure.Code)
		}
		locked, err := w.locked(ctx)
		if err != nil {
			return err
		}
		if locked != before {
			return fmt.Errorf("%d msat are locked after %s, %d before", locked, got.ID, before)
		}
		failed, err := failures.failedAt(ctx, one.hash)
		if err != nil {
			return err
		}
		delays.latencies = append(delays.latencies, at.Sub(failed))
	}
	fmt.Printf("node FAILED → failed in the API with the funds released, %d invoices that their payee refuses: p50 %.1f ms, max %.1f ms\n\n",
		refusedBills, delays.percentile(50), delays.percentile(100))

	return nil
}

// locked is what is locked of the workspace's balance, in msat.
func (w *withdrawer) locked(ctx context.Context) (int64, error) {
	var balance struct {
		LockedMsat int64 `json:"locked_msat"`
	}
	_, err := w.call(ctx, http.MethodGet, "/v1/balance", "", &balance)

	return balance.LockedMsat, err
}
