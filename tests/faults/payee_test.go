package faults_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/load"
)

// invoiceSeconds is longer than any test, also one whose clocks jump by an hour.
const invoiceSeconds = 6 * 3600

// payee makes invoices on the stack's other node, for withdrawals.
type payee struct {
	lightning lnrpc.LightningClient
	invoices  invoicesrpc.InvoicesClient
}

func newPayee(t *testing.T, s *stack) *payee {
	t.Helper()
	conn, err := s.dev.Lnd.Payer.Connect()
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })

	return &payee{lightning: lnrpc.NewLightningClient(conn), invoices: invoicesrpc.NewInvoicesClient(conn)}
}

// invoice asks for so much, or for 0 leaves the amount to whoever pays.
func (p *payee) invoice(ctx context.Context, msat int64) (bolt11 string, hash []byte, err error) {
	made, err := p.lightning.AddInvoice(ctx, &lnrpc.Invoice{ValueMsat: msat, Expiry: invoiceSeconds})

	return made.GetPaymentRequest(), made.GetRHash(), err
}

// canceled is an invoice that the payee refuses to be paid for.
func (p *payee) canceled(ctx context.Context, msat int64) (bolt11 string, err error) {
	bolt11, hash, err := p.invoice(ctx, msat)
	if err != nil {
		return "", err
	}
	_, err = p.invoices.CancelInvoice(ctx, &invoicesrpc.CancelInvoiceMsg{PaymentHash: hash})

	return bolt11, err
}

// held is an invoice whose payment waits for its payee.
func (p *payee) held(ctx context.Context, msat int64) (bolt11 string, preimage [32]byte, err error) {
	_, _ = rand.Read(preimage[:])
	hash := sha256.Sum256(preimage[:])
	made, err := p.invoices.AddHoldInvoice(ctx, &invoicesrpc.AddHoldInvoiceRequest{
		Hash: hash[:], ValueMsat: msat, Expiry: invoiceSeconds,
	})

	return made.GetPaymentRequest(), preimage, err
}

// decide takes a held payment or sends it back, some time after it has come.
// One that never comes is left to the context.
func (p *payee) decide(ctx context.Context, preimage [32]byte, after time.Duration, take bool) error {
	hash := sha256.Sum256(preimage[:])
	for {
		invoice, err := p.lightning.LookupInvoice(ctx, &lnrpc.PaymentHash{RHash: hash[:]})
		if err != nil {
			return err
		}
		if invoice.State == lnrpc.Invoice_ACCEPTED {
			break
		}
		if !sleep(ctx, 4*load.Poll) {
			return nil
		}
	}
	if !sleep(ctx, after) {
		return nil
	}
	var err error
	if take {
		_, err = p.invoices.SettleInvoice(ctx, &invoicesrpc.SettleInvoiceMsg{Preimage: preimage[:]})
	} else {
		_, err = p.invoices.CancelInvoice(ctx, &invoicesrpc.CancelInvoiceMsg{PaymentHash: hash[:]})
	}

	return err
}

// nowhere is an invoice of a node that nobody has a channel with.
func nowhere(msat int64) (string, error) {
	key, err := btcec.NewPrivateKey()
	if err != nil {
		return "", err
	}
	var hash [32]byte
	_, _ = rand.Read(hash[:])
	made, err := zpay32.NewInvoice(&chaincfg.RegressionNetParams, hash, time.Now(),
		zpay32.Description("nowhere"), zpay32.PaymentAddr(hash), zpay32.Amount(lnwire.MilliSatoshi(msat)),
		zpay32.CLTVExpiry(80), zpay32.Expiry(invoiceSeconds*time.Second), zpay32.Features(lnwire.NewFeatureVector(
			lnwire.NewRawFeatureVector(lnwire.TLVOnionPayloadRequired, lnwire.PaymentAddrRequired), lnwire.Features)))
	if err != nil {
		return "", err
	}

	return made.Encode(zpay32.MessageSigner{SignCompact: func(message []byte) ([]byte, error) {
		return ecdsa.SignCompact(key, chainhash.HashB(message), true), nil
	}})
}

// sleep is false when the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
