package regtest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
)

// payFeeLimit is far above what a direct channel costs, which is nothing.
const payFeeLimit = 1_000_000

// Pay pays an invoice from the payer and gives back the preimage. With an
// amount of 0 the invoice's own is paid; another amount is sent whatever the
// invoice asks for, as a wallet that overpays would.
func (n *Net) Pay(ctx context.Context, bolt11 string, amount payments.Msat) (lightning.Preimage, error) {
	request, err := n.paymentRequest(ctx, bolt11, amount)
	if err != nil {
		return lightning.Preimage{}, err
	}
	stream, err := n.Payer.Router.SendPaymentV2(ctx, request)
	if err != nil {
		return lightning.Preimage{}, fmt.Errorf("pay: %w", err)
	}
	// NoInflightUpdates leaves only the final update.
	payment, err := stream.Recv()
	if err != nil {
		return lightning.Preimage{}, fmt.Errorf("pay: %w", err)
	}
	if payment.Status != lnrpc.Payment_SUCCEEDED {
		return lightning.Preimage{}, fmt.Errorf("pay: %s, %s", payment.Status, payment.FailureReason)
	}
	preimage, err := hex.DecodeString(payment.PaymentPreimage)
	if err != nil || len(preimage) != len(lightning.Preimage{}) {
		return lightning.Preimage{}, errors.New("pay: the preimage is malformed")
	}

	return lightning.Preimage(preimage), nil
}

// paymentRequest pays the bolt11, or, since lnd refuses another amount for
// it, the same destination, hash and payment address.
func (n *Net) paymentRequest(
	ctx context.Context, bolt11 string, amount payments.Msat,
) (*routerrpc.SendPaymentRequest, error) {
	request := &routerrpc.SendPaymentRequest{
		FeeLimitMsat: payFeeLimit, TimeoutSeconds: 30, NoInflightUpdates: true,
	}
	if amount == 0 {
		request.PaymentRequest = bolt11

		return request, nil
	}
	decoded, err := n.Payer.Lightning.DecodePayReq(ctx, &lnrpc.PayReqString{PayReq: bolt11})
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if request.Dest, err = hex.DecodeString(decoded.Destination); err != nil {
		return nil, err
	}
	if request.PaymentHash, err = hex.DecodeString(decoded.PaymentHash); err != nil {
		return nil, err
	}
	request.PaymentAddr = decoded.PaymentAddr
	request.AmtMsat = int64(amount)
	request.FinalCltvDelta = int32(decoded.CltvExpiry)
	for bit := range decoded.Features {
		request.DestFeatures = append(request.DestFeatures, lnrpc.FeatureBit(bit))
	}

	return request, nil
}

// AddInvoice makes an invoice on the payer, for withdrawals.
func (n *Net) AddInvoice(ctx context.Context, amount payments.Msat, expiry time.Duration) (string, error) {
	answer, err := n.Payer.Lightning.AddInvoice(ctx, &lnrpc.Invoice{
		ValueMsat: int64(amount), Expiry: int64(expiry / time.Second),
	})
	if err != nil {
		return "", fmt.Errorf("add invoice: %w", err)
	}

	return answer.PaymentRequest, nil
}

// AddHoldInvoice makes an invoice on the payer, for withdrawals, whose payment
// stays out until SettleHoldInvoice or CancelHoldInvoice.
func (n *Net) AddHoldInvoice(
	ctx context.Context, hash lightning.Hash, amount payments.Msat, expiry time.Duration,
) (string, error) {
	answer, err := n.Payer.Invoices.AddHoldInvoice(ctx, &invoicesrpc.AddHoldInvoiceRequest{
		Hash: hash[:], ValueMsat: int64(amount), Expiry: int64(expiry / time.Second),
	})
	if err != nil {
		return "", fmt.Errorf("add hold invoice: %w", err)
	}

	return answer.PaymentRequest, nil
}

// holdTimeout is how long a payment may take to arrive.
const holdTimeout = 30 * time.Second

// WaitHeld waits until the whole payment of a hold invoice has arrived at the
// payer. The merchant calls it in flight from before it has left.
func (n *Net) WaitHeld(ctx context.Context, hash lightning.Hash) error {
	ctx, cancel := context.WithTimeout(ctx, holdTimeout)
	defer cancel()

	return until(ctx, func() error {
		invoice, err := n.Payer.Lightning.LookupInvoice(ctx, &lnrpc.PaymentHash{RHash: hash[:]})
		if err == nil && invoice.State != lnrpc.Invoice_ACCEPTED {
			err = fmt.Errorf("the invoice is %s", invoice.State)
		}

		return err
	})
}

// DropInvoice cancels an invoice of the payer and deletes it: its hash is one
// that the payer does not know.
func (n *Net) DropInvoice(ctx context.Context, hash lightning.Hash) error {
	if err := n.CancelHoldInvoice(ctx, hash); err != nil {
		return fmt.Errorf("cancel invoice: %w", err)
	}
	_, err := n.Payer.Lightning.DeleteCanceledInvoice(ctx, &lnrpc.DelCanceledInvoiceReq{
		InvoiceHash: hash.String(),
	})

	return err
}

// MerchantPayments are all payments that the merchant knows of, failed and
// unfinished ones too.
func (n *Net) MerchantPayments(ctx context.Context) (all []*lnrpc.Payment, err error) {
	const size = 500
	for after := uint64(0); ; {
		answer, err := n.Merchant.Lightning.ListPayments(ctx, &lnrpc.ListPaymentsRequest{
			IncludeIncomplete: true, IndexOffset: after, MaxPayments: size,
		})
		if err != nil {
			return nil, fmt.Errorf("list payments: %w", err)
		}
		all = append(all, answer.Payments...)
		if len(answer.Payments) < size {
			return all, nil
		}
		after = answer.LastIndexOffset
	}
}

// SettleHoldInvoice takes the payment of a hold invoice, once it has arrived.
func (n *Net) SettleHoldInvoice(ctx context.Context, preimage lightning.Preimage) error {
	ctx, cancel := context.WithTimeout(ctx, holdTimeout)
	defer cancel()

	return until(ctx, func() error {
		_, err := n.Payer.Invoices.SettleInvoice(ctx, &invoicesrpc.SettleInvoiceMsg{Preimage: preimage[:]})

		return err
	})
}

// CancelHoldInvoice sends the payment of a hold invoice back.
func (n *Net) CancelHoldInvoice(ctx context.Context, hash lightning.Hash) error {
	_, err := n.Payer.Invoices.CancelInvoice(ctx, &invoicesrpc.CancelInvoiceMsg{PaymentHash: hash[:]})

	return err
}

// StopMerchant ends the merchant's lnd in order, and waits.
func (n *Net) StopMerchant(ctx context.Context) error { return n.Merchant.stop(ctx) }

// KillMerchant ends the merchant's lnd at once, as a crash does.
func (n *Net) KillMerchant(ctx context.Context) error { return n.Merchant.kill(ctx) }

// StartMerchant starts it again at the same address, and waits until it is
// synced and its channels are active.
func (n *Net) StartMerchant(ctx context.Context) error {
	if err := n.Merchant.start(ctx); err != nil {
		return err
	}
	height, err := n.height(ctx)
	if err != nil {
		return err
	}
	if err := n.Merchant.synced(ctx, height); err != nil {
		return err
	}
	// lnd's own backoff to a lost peer would take longer.
	if err := n.connectPeers(ctx); err != nil {
		return err
	}

	return n.WaitChannels(ctx)
}

// RestartMerchant stops and starts it.
func (n *Net) RestartMerchant(ctx context.Context) error {
	if err := n.StopMerchant(ctx); err != nil {
		return err
	}

	return n.StartMerchant(ctx)
}

// PauseMerchant freezes the merchant's lnd: its kernel still acknowledges what
// it is sent, but nothing answers, as on a half-open connection.
func (n *Net) PauseMerchant(ctx context.Context) error { return n.Merchant.pause(ctx) }

// ResumeMerchant ends the pause and waits until the channels are active.
func (n *Net) ResumeMerchant(ctx context.Context) error {
	if err := n.Merchant.resume(ctx); err != nil {
		return err
	}
	if err := n.connectPeers(ctx); err != nil {
		return err
	}

	return n.WaitChannels(ctx)
}
