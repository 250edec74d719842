package load

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
)

// Payer pays charges from the stack's other node.
type Payer struct {
	router    routerrpc.RouterClient
	lightning lnrpc.LightningClient
}

// NewPayer dials it.
func NewPayer(t *testing.T, s Target) *Payer {
	t.Helper()
	conn, err := s.Payer()
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })

	return &Payer{router: routerrpc.NewRouterClient(conn), lightning: lnrpc.NewLightningClient(conn)}
}

// Pay pays until the node says SUCCEEDED, and returns when it said so. While
// the merchant's node is away payments fail, and are tried again. The error has
// what the last attempts came to.
func (p *Payer) Pay(ctx context.Context, charge ChargeObject) (time.Time, error) {
	for attempts, last := 1, "nothing"; ; attempts++ {
		began := time.Now()
		payment, err := p.Attempt(ctx, charge)
		switch {
		case err == nil && payment.Status == lnrpc.Payment_SUCCEEDED:
			return time.Now(), nil
		case err == nil:
			last = fmt.Sprintf("%s %s", payment.Status, payment.FailureReason)
			p.forget(ctx, payment)
		case ctx.Err() == nil:
			last = err.Error()
		default:
			return time.Time{}, fmt.Errorf("%s: attempt %d was under way for %s; the one before said %s", charge.ID, attempts,
				time.Since(began).Round(time.Millisecond), last)
		}
		select {
		case <-time.After(2 * RepeatPause):
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%s: %d attempts, the last said %s", charge.ID, attempts, last)
		}
	}
}

// forget has the payer's node forget what it thinks of its peer. After a failure
// at the merchant's, such as of an HTLC that lnd cannot read any more after a kill
// (InvalidOnionVersion), it finds no route to it for minutes, whoever is to be
// paid there; a public network has other nodes.
func (p *Payer) forget(ctx context.Context, failed *lnrpc.Payment) {
	if failed.FailureReason == lnrpc.PaymentFailureReason_FAILURE_REASON_NO_ROUTE {
		_, _ = p.router.ResetMissionControl(ctx, &routerrpc.ResetMissionControlRequest{})
	}
}

// Attempt sends a payment, or follows the one that an earlier call sent.
func (p *Payer) Attempt(ctx context.Context, charge ChargeObject) (*lnrpc.Payment, error) {
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

// Settled asks a node what was paid to it, in millisatoshi by payment hash.
func Settled(t *testing.T, node Connect) map[string]int64 {
	t.Helper()
	conn, err := node()
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
