package lightning

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/lntpay/lntpay/payments"
)

// How the payer pays.
const (
	// payerFeeFloorMsat and payerFeeShare bound a payment's routing fee: the
	// larger of the two, generous because the money is worth nothing.
	payerFeeFloorMsat = 100 * payments.MsatPerSat
	payerFeeShare     = 10
	payerMaxParts     = 16
	// payerTimeout is how long lnd makes new attempts.
	payerTimeout = 20 * time.Second
	// payerRedial is the longest pause between two tries to connect; gRPC's own
	// is two minutes.
	payerRedial = 3 * time.Second
)

// payerName names the node in errors.
const payerName = "payer"

// lndPayer is the Payer on a real lnd.
type lndPayer struct {
	network   string
	conn      *grpc.ClientConn
	lightning lnrpc.LightningClient
	invoices  invoicesrpc.InvoicesClient
	router    routerrpc.RouterClient
}

var _ Payer = (*lndPayer)(nil)

// NewPayer makes a payer. It reads the files but does not connect: gRPC does at
// the first call, and again after a loss, so that a payer node that is away
// keeps nothing else from running.
func NewPayer(cfg PayerConfig) (Payer, error) {
	if !TestNetwork(cfg.Network) {
		return nil, fmt.Errorf("%w: %s", ErrNotTestNetwork, cfg.Network)
	}
	cert, err := credentials.NewClientTLSFromFile(cfg.TLSCertFile, "")
	if err != nil {
		return nil, fmt.Errorf("lightning: payer's tls_cert_file: %w", err)
	}
	macaroon, err := readMacaroon(cfg.MacaroonFile)
	if err != nil {
		return nil, err
	}
	backedOff := backoff.DefaultConfig
	backedOff.MaxDelay = payerRedial
	conn, err := grpc.NewClient("passthrough:///"+cfg.Address, grpc.WithTransportCredentials(cert),
		grpc.WithPerRPCCredentials(macaroonCredentials(macaroon)), grpc.WithContextDialer(dialer(func() {})),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backedOff, MinConnectTimeout: dialTimeout}))
	if err != nil {
		return nil, fmt.Errorf("lightning: payer at %s: %w", cfg.Address, err)
	}

	return &lndPayer{
		network: cfg.Network, conn: conn, lightning: lnrpc.NewLightningClient(conn),
		invoices: invoicesrpc.NewInvoicesClient(conn), router: routerrpc.NewRouterClient(conn),
	}, nil
}

// macaroonCredentials send a macaroon, in hex, with every call.
type macaroonCredentials string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (m macaroonCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"macaroon": string(m)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (m macaroonCredentials) RequireTransportSecurity() bool { return true }

// Close implements Payer.
func (p *lndPayer) Close() { _ = p.conn.Close() }

// onTestNetwork asks the node where it is, each time: another one may have come
// behind the address.
func (p *lndPayer) onTestNetwork(ctx context.Context) error {
	info, err := p.lightning.GetInfo(ctx, &lnrpc.GetInfoRequest{})
	if err != nil {
		return payerUnknown("GetInfo", err)
	}
	if len(info.GetChains()) != 1 || info.Chains[0].GetNetwork() != p.network {
		return fmt.Errorf("%w: it says %v, configured is %s", ErrNotTestNetwork, info.GetChains(), p.network)
	}

	return nil
}

// unary runs one call under its own deadline.
func (p *lndPayer) unary(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := p.onTestNetwork(ctx); err != nil {
		return err
	}

	return do(ctx)
}

func payerUnknown(call string, err error) error {
	return &callError{node: payerName, call: call, err: err}
}

// Ready implements Payer.
func (p *lndPayer) Ready(ctx context.Context) error {
	return p.unary(ctx, func(context.Context) error { return nil })
}

// AddInvoice implements Payer.
func (p *lndPayer) AddInvoice(ctx context.Context, invoice PayerInvoice) (bolt11 string, err error) {
	err = p.unary(ctx, func(ctx context.Context) error {
		if invoice.Hold {
			bolt11, err = p.addHold(ctx, invoice)
		} else {
			bolt11, err = p.addPlain(ctx, invoice)
		}
		switch {
		case saysAny(err, textDuplicate):
			return ErrInvoiceExists
		case err != nil:
			return payerUnknown("AddInvoice", err)
		}

		return nil
	})

	return bolt11, err
}

func (p *lndPayer) addPlain(ctx context.Context, invoice PayerInvoice) (string, error) {
	answer, err := p.lightning.AddInvoice(ctx, &lnrpc.Invoice{
		RPreimage: invoice.Preimage[:], ValueMsat: int64(invoice.AmountMsat), Expiry: int64(invoice.Expiry / time.Second),
	})

	return answer.GetPaymentRequest(), err
}

func (p *lndPayer) addHold(ctx context.Context, invoice PayerInvoice) (string, error) {
	hash := invoice.Preimage.Hash()
	answer, err := p.invoices.AddHoldInvoice(ctx, &invoicesrpc.AddHoldInvoiceRequest{
		Hash: hash[:], ValueMsat: int64(invoice.AmountMsat), Expiry: int64(invoice.Expiry / time.Second),
	})

	return answer.GetPaymentRequest(), err
}

// LookupInvoice implements Payer.
func (p *lndPayer) LookupInvoice(ctx context.Context, hash Hash) (found Invoice, err error) {
	err = p.unary(ctx, func(ctx context.Context) error {
		answer, err := p.lightning.LookupInvoice(ctx, &lnrpc.PaymentHash{RHash: hash[:]})
		switch {
		case status.Code(err) == codes.NotFound && saysAny(err, textNotFound, textNoInvoices):
			return ErrInvoiceNotFound
		case err != nil:
			return payerUnknown("LookupInvoice", err)
		}
		var ok bool
		if found, ok = fromRPC(answer); !ok || found.PaymentHash != hash {
			return payerUnknown("LookupInvoice", errMalformed)
		}

		return nil
	})

	return found, err
}

// SettleInvoice implements Payer.
func (p *lndPayer) SettleInvoice(ctx context.Context, preimage Preimage) error {
	return p.unary(ctx, func(ctx context.Context) error {
		if _, err := p.invoices.SettleInvoice(ctx, &invoicesrpc.SettleInvoiceMsg{Preimage: preimage[:]}); err != nil {
			return payerUnknown("SettleInvoice", err)
		}

		return nil
	})
}

// CancelInvoice implements Payer; see lnd.CancelInvoice.
func (p *lndPayer) CancelInvoice(ctx context.Context, hash Hash) error {
	return p.unary(ctx, func(ctx context.Context) error {
		_, err := p.invoices.CancelInvoice(ctx, &invoicesrpc.CancelInvoiceMsg{PaymentHash: hash[:]})
		switch {
		case err == nil, saysAny(err, textAlreadyCanceled):
			return nil
		case saysAny(err, textAlreadySettled):
			return ErrInvoiceSettled
		case saysAny(err, textNotFound, textNoInvoices):
			return ErrInvoiceNotFound
		}

		return payerUnknown("CancelInvoice", err)
	})
}

// Pay implements Payer. The context's deadline is its only one.
func (p *lndPayer) Pay(ctx context.Context, bolt11 string, amount payments.Msat) (Payment, error) {
	if err := p.onTestNetwork(ctx); err != nil {
		return Payment{}, err
	}
	request, err := p.payRequest(ctx, bolt11, amount)
	if err != nil {
		return Payment{}, err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	stream, err := p.router.SendPaymentV2(ctx, request)
	var update *lnrpc.Payment
	if err == nil {
		// NoInflightUpdates leaves only the final update.
		update, err = stream.Recv()
	}
	switch {
	case status.Code(err) == codes.AlreadyExists:
		return Payment{}, ErrPaymentExists
	case refused(err):
		return Payment{}, fmt.Errorf("%w: %s", ErrPaymentRefused, status.Convert(err).Message())
	case errors.Is(err, io.EOF):
		return Payment{}, payerUnknown("SendPaymentV2", errStreamEnded)
	case err != nil:
		return Payment{}, payerUnknown("SendPaymentV2", err)
	}
	payment, err := paymentFromRPC(update)
	if err != nil {
		return Payment{}, payerUnknown("SendPaymentV2", err)
	}

	return payment, nil
}

// payRequest pays the bolt11, or by hand what it names: lnd refuses an amount
// beside a payment request that has one (routerrpc/router_backend.go,
// extractIntentFromSendRequest), while the recipient takes any total at or
// above the invoice's value.
func (p *lndPayer) payRequest(ctx context.Context, bolt11 string, amount payments.Msat) (*routerrpc.SendPaymentRequest, error) {
	decoded, err := p.lightning.DecodePayReq(ctx, &lnrpc.PayReqString{PayReq: bolt11})
	if err != nil {
		return nil, payerUnknown("DecodePayReq", err)
	}
	total := max(amount, payments.Msat(decoded.NumMsat))
	request := &routerrpc.SendPaymentRequest{
		FeeLimitMsat:   int64(max(payerFeeFloorMsat, total/payerFeeShare)),
		TimeoutSeconds: int32(payerTimeout / time.Second), MaxParts: payerMaxParts, NoInflightUpdates: true,
	}
	if amount == 0 || amount == payments.Msat(decoded.NumMsat) {
		request.PaymentRequest = bolt11

		return request, nil
	}
	if request.Dest, err = hex.DecodeString(decoded.Destination); err != nil {
		return nil, payerUnknown("DecodePayReq", errMalformed)
	}
	hash, err := ParseHash(decoded.PaymentHash)
	if err != nil {
		return nil, payerUnknown("DecodePayReq", errMalformed)
	}
	request.PaymentHash, request.PaymentAddr, request.AmtMsat = hash[:], decoded.PaymentAddr, int64(amount)
	request.FinalCltvDelta, request.RouteHints = int32(decoded.CltvExpiry), decoded.RouteHints
	for bit := range decoded.Features {
		request.DestFeatures = append(request.DestFeatures, lnrpc.FeatureBit(bit))
	}

	return request, nil
}
