package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
)

// bills are made before any clock starts.
func (w *withdrawer) bills(ctx context.Context, count int) ([]bill, error) {
	var made []bill
	for range count {
		invoice, err := lnrpc.NewLightningClient(w.payer).AddInvoice(ctx, &lnrpc.Invoice{ValueMsat: billMsat, Expiry: 3600})
		if err != nil {
			return nil, err
		}
		made = append(made, bill{bolt11: invoice.PaymentRequest, hash: invoice.RHash})
	}

	return made, nil
}

// bareBills are paid by the node itself. A payment that no withdrawal explains
// freezes the node's payouts, as it should: these get a planted row of a node
// that is the bench's own.
func (w *withdrawer) bareBills(ctx context.Context, count int) ([]bill, error) {
	made, err := w.bills(ctx, count)
	if err != nil {
		return nil, err
	}
	run := fmt.Sprintf("bench%d", time.Now().UnixNano())
	for i, one := range made {
		if _, err := w.store.Pool.Exec(ctx, `
			INSERT INTO withdrawal (id, workspace_id, node, kind, status, payment_hash, destination, bolt11, amountless,
				amount_msat, max_fee_msat, preimage, invoice_expires_at, completed_at)
			VALUES ($1 || '_' || $2::int, $1, $1, 'lightning', 'succeeded', $3, '', $4, false, $5, 0, $3, now(), now())`,
			run, i, one.hash, one.bolt11, int64(billMsat)); err != nil {
			return nil, err
		}
	}

	return made, nil
}

// payBare pays as a withdrawal does.
func (w *withdrawer) payBare(ctx context.Context, one bill) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	policy := config.DefaultPayouts()
	stream, err := routerrpc.NewRouterClient(w.merchant).SendPaymentV2(ctx, &routerrpc.SendPaymentRequest{
		PaymentRequest: one.bolt11, FeeLimitMsat: int64(policy.DefaultMaxFeeFloorMsat), TimeoutSeconds: int32(policy.TimeoutS),
		CltvLimit: int32(policy.CLTVLimitBlocks), MaxParts: policy.MaxParts, NoInflightUpdates: true,
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

// withdrawal is what the bench needs of one.
type withdrawal struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Failure struct {
		Code string `json:"code"`
	} `json:"failure"`
}

// pay makes a withdrawal and waits for its end.
func (w *withdrawer) pay(ctx context.Context, one bill) (withdrawal, error) {
	var got withdrawal
	status, err := w.callAs(ctx, http.MethodPost, "/v1/withdrawals", payments.NewID("bench"),
		fmt.Sprintf(`{"bolt11":%q}`, one.bolt11), &got)
	if err != nil || status != http.StatusCreated {
		return got, fmt.Errorf("create a withdrawal: status %d: %w", status, err)
	}
	status, err = w.call(ctx, http.MethodGet, "/v1/withdrawals/"+got.ID+"?wait=25", "", &got)
	if err != nil || status != http.StatusOK {
		return got, fmt.Errorf("wait for %s: status %d: %w", got.ID, status, err)
	}

	return got, nil
}

// succeed pays what must succeed.
func (w *withdrawer) succeed(ctx context.Context, one bill) (id string, err error) {
	got, err := w.pay(ctx, one)
	if err == nil && got.Status != "succeeded" {
		err = fmt.Errorf("%s is %s %s", got.ID, got.Status, got.Failure.Code)
	}

	return got.ID, err
}

// failures are when the node told of failed payments.
type failures struct {
	mu sync.Mutex
	at map[string]time.Time
}

// failedAt waits until the node has told of a payment's failure.
func (f *failures) failedAt(ctx context.Context, hash []byte) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		f.mu.Lock()
		at, told := f.at[hex.EncodeToString(hash)]
		f.mu.Unlock()
		if told {
			return at, nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return at, fmt.Errorf("the node's stream does not tell of a failure: %w", ctx.Err())
		}
	}
}

// watchFailures notes the node's FAILED beside LNTPay's own subscription.
func (w *withdrawer) watchFailures(ctx context.Context) (*failures, error) {
	stream, err := routerrpc.NewRouterClient(w.merchant).TrackPayments(ctx, &routerrpc.TrackPaymentsRequest{NoInflightUpdates: true})
	if err != nil {
		return nil, err
	}
	time.Sleep(time.Second) // The stream replays nothing and does not say when it begins.
	f := &failures{at: map[string]time.Time{}}
	go func() {
		for {
			payment, err := stream.Recv()
			if err != nil {
				return
			}
			if payment.GetStatus() == lnrpc.Payment_FAILED {
				f.mu.Lock()
				f.at[payment.GetPaymentHash()] = time.Now()
				f.mu.Unlock()
			}
		}
	}()

	return f, nil
}
