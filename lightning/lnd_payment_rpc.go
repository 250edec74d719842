package lightning

import (
	"encoding/hex"
	"fmt"

	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/lntpay/lntpay/payments"
)

// paymentFromRPC converts a payment. What this version does not know is an
// error, and no error quotes a value: one of them is the preimage.
func paymentFromRPC(rpc *lnrpc.Payment) (Payment, error) {
	state, known := map[lnrpc.Payment_PaymentStatus]PaymentState{
		lnrpc.Payment_INITIATED: PaymentInFlight, lnrpc.Payment_IN_FLIGHT: PaymentInFlight,
		lnrpc.Payment_SUCCEEDED: PaymentSucceeded, lnrpc.Payment_FAILED: PaymentFailed,
	}[rpc.GetStatus()]
	if !known {
		return Payment{}, fmt.Errorf("%w: payment status %d", errMalformed, rpc.GetStatus())
	}
	hash, err := decode32(rpc.GetPaymentHash())
	if err != nil {
		return Payment{}, fmt.Errorf("%w: payment hash", err)
	}
	if rpc.ValueMsat < 0 || rpc.FeeMsat < 0 {
		return Payment{}, fmt.Errorf("%w: negative amount", errMalformed)
	}
	payment := Payment{
		PaymentHash: hash, State: state, Index: rpc.PaymentIndex, CreatedNS: rpc.CreationTimeNs,
		ValueMsat: payments.Msat(rpc.ValueMsat), FeeMsat: payments.Msat(rpc.FeeMsat),
	}
	switch state {
	case PaymentSucceeded:
		if payment.Preimage, err = decode32(rpc.PaymentPreimage); err != nil {
			return Payment{}, fmt.Errorf("%w: preimage", err)
		}
	case PaymentFailed:
		if payment.Reason, err = reasonFromRPC(rpc.FailureReason); err != nil {
			return Payment{}, err
		}
	case PaymentInFlight:
	}

	return payment, payment.count(rpc.Htlcs)
}

// count reads the attempts. lnd deletes those that failed once a payment has
// ended, unless keep-failed-payment-attempts is set
// (routing/payment_lifecycle.go).
func (p *Payment) count(htlcs []*lnrpc.HTLCAttempt) error {
	p.Attempts = len(htlcs)
	for _, htlc := range htlcs {
		switch htlc.GetStatus() {
		case lnrpc.HTLCAttempt_IN_FLIGHT:
			p.Pending++
			p.ExpiryHeight = max(p.ExpiryHeight, htlc.GetRoute().GetTotalTimeLock())
		case lnrpc.HTLCAttempt_SUCCEEDED:
			p.Settled++
		case lnrpc.HTLCAttempt_FAILED:
		default:
			return fmt.Errorf("%w: HTLC status %d", errMalformed, htlc.GetStatus())
		}
	}

	return nil
}

// reasonFromRPC is why a payment failed; a failed one always says it
// (payments/db/payment_status.go, decidePaymentStatus).
func reasonFromRPC(rpc lnrpc.PaymentFailureReason) (FailureReason, error) {
	reason, known := map[lnrpc.PaymentFailureReason]FailureReason{
		lnrpc.PaymentFailureReason_FAILURE_REASON_TIMEOUT:                   ReasonTimeout,
		lnrpc.PaymentFailureReason_FAILURE_REASON_NO_ROUTE:                  ReasonNoRoute,
		lnrpc.PaymentFailureReason_FAILURE_REASON_ERROR:                     ReasonError,
		lnrpc.PaymentFailureReason_FAILURE_REASON_INCORRECT_PAYMENT_DETAILS: ReasonIncorrectDetails,
		lnrpc.PaymentFailureReason_FAILURE_REASON_INSUFFICIENT_BALANCE:      ReasonInsufficientBalance,
		lnrpc.PaymentFailureReason_FAILURE_REASON_CANCELED:                  ReasonCanceled,
	}[rpc]
	if !known {
		return "", fmt.Errorf("%w: failure reason %d", errMalformed, rpc)
	}

	return reason, nil
}

// decode32 reads 32 bytes of hex.
func decode32(text string) ([32]byte, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 32 {
		return [32]byte{}, fmt.Errorf("%w: not 32 bytes of hex", errMalformed)
	}

	return [32]byte(raw), nil
}

// paymentsFromList converts a page, or nothing of it.
func paymentsFromList(list []*lnrpc.Payment) ([]Payment, error) {
	converted := make([]Payment, 0, len(list))
	for _, rpc := range list {
		payment, err := paymentFromRPC(rpc)
		if err != nil {
			return nil, err
		}
		converted = append(converted, payment)
	}

	return converted, nil
}
