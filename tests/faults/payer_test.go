package faults_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lntpay/lntpay/deploy/devnet"
)

// payer pays charges from the stack's other node.
type payer struct{ router routerrpc.RouterClient }

func newPayer(t *testing.T, s *stack) *payer {
	t.Helper()
	conn, err := s.dev.Lnd.Payer.Connect()
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })

	return &payer{router: routerrpc.NewRouterClient(conn)}
}

// pay pays until the node says SUCCEEDED, and returns when it said so. While
// the merchant's node is away payments fail, and are tried again.
func (p *payer) pay(ctx context.Context, charge chargeObject) (time.Time, error) {
	for {
		payment, err := p.attempt(ctx, charge)
		if err == nil && payment.Status == lnrpc.Payment_SUCCEEDED {
			return time.Now(), nil
		}
		select {
		case <-time.After(2 * repeatPause):
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%s was never paid; last: %s, %v", charge.ID, payment.GetFailureReason(), err)
		}
	}
}

// attempt sends a payment, or follows the one that an earlier call sent.
func (p *payer) attempt(ctx context.Context, charge chargeObject) (*lnrpc.Payment, error) {
	stream, err := p.router.SendPaymentV2(ctx, &routerrpc.SendPaymentRequest{
		PaymentRequest: charge.Bolt11, TimeoutSeconds: 20, FeeLimitMsat: 10_000, NoInflightUpdates: true,
	})
	if err != nil {
		return nil, err
	}
	payment, err := stream.Recv()
	if status.Code(err) != codes.AlreadyExists {
		return payment, err
	}
	hash, err := hex.DecodeString(charge.PaymentHash)
	if err != nil {
		return nil, err
	}
	track, err := p.router.TrackPaymentV2(ctx, &routerrpc.TrackPaymentRequest{PaymentHash: hash, NoInflightUpdates: true})
	if err != nil {
		return nil, err
	}

	return track.Recv()
}

// settled asks a node what was paid to it, in millisatoshi by payment hash.
func settled(t *testing.T, node *devnet.Lnd) map[string]int64 {
	t.Helper()
	conn, err := node.Connect()
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	amounts := map[string]int64{}
	for offset := uint64(0); ; {
		list, err := lnrpc.NewLightningClient(conn).ListInvoices(t.Context(),
			&lnrpc.ListInvoiceRequest{IndexOffset: offset, NumMaxInvoices: 500})
		require.NoError(t, err)
		for _, invoice := range list.Invoices {
			if invoice.State == lnrpc.Invoice_SETTLED {
				amounts[hex.EncodeToString(invoice.RHash)] = invoice.AmtPaidMsat
			}
		}
		if len(list.Invoices) == 0 {
			return amounts
		}
		offset = list.LastIndexOffset
	}
}
