package devnet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/spf13/cobra"
)

// payTimeout bounds a payment's search for a route.
const payTimeout = 60 * time.Second

// payCommand is `lntpay dev pay`: the payer node pays an invoice.
func payCommand(o *Options) *cobra.Command {
	var sats int64
	pay := &cobra.Command{
		Use:   "pay <bolt11>",
		Short: "Pay an invoice from the stack's payer node",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			running, err := FindRunning(o.StateDir)
			if err != nil {
				return err
			}
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			payment, err := running.Lnd.Payer.Pay(ctx, strings.TrimPrefix(args[0], "lightning:"), sats)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "paid %d msat (fee %d msat), preimage %s\n",
				payment.ValueMsat, payment.FeeMsat, payment.PaymentPreimage)

			return err
		},
	}
	pay.Flags().Int64Var(&sats, "sats", 0, "the amount, for an invoice that names none")

	return pay
}

// Pay pays an invoice and waits for the end of it. sats is for an invoice
// without an amount.
func (n *Lnd) Pay(ctx context.Context, bolt11 string, sats int64) (*lnrpc.Payment, error) {
	ctx, cancel := context.WithTimeout(ctx, payTimeout+24*time.Hour) // a hold invoice is held as long as its owner likes
	defer cancel()
	conn, err := n.Connect()
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	stream, err := routerrpc.NewRouterClient(conn).SendPaymentV2(ctx, &routerrpc.SendPaymentRequest{
		PaymentRequest: bolt11, Amt: sats, TimeoutSeconds: int32(payTimeout.Seconds()),
		FeeLimitSat: 1_000, NoInflightUpdates: true,
	})
	if err != nil {
		return nil, fmt.Errorf("send the payment: %w", err)
	}
	payment, err := stream.Recv()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the node ended the payment's stream without an answer")
	case err != nil:
		return nil, fmt.Errorf("pay: %w", err)
	case payment.Status != lnrpc.Payment_SUCCEEDED:
		return nil, fmt.Errorf("the payment failed: %s", payment.FailureReason)
	}

	return payment, nil
}

// invoiceCommand is `lntpay dev invoice`: an invoice of the payer node, for
// withdrawals to pay.
func invoiceCommand(o *Options) *cobra.Command {
	var (
		sats int64
		hold bool
	)
	invoice := &cobra.Command{
		Use:   "invoice --sats N [--hold]",
		Short: "Make an invoice on the stack's payer node",
		Long: "Make an invoice on the stack's payer node and print it. With --hold the node keeps a payment pending\n" +
			"until it is settled with the preimage, which is printed on stderr.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			running, err := FindRunning(o.StateDir)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 15*time.Second)
			defer cancel()
			bolt11, preimage, err := running.Lnd.Payer.Invoice(ctx, sats, hold)
			if err != nil {
				return err
			}
			if hold {
				hash := sha256.Sum256(preimage)
				_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "held until settled: preimage %x, payment hash %x\n", preimage, hash)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), bolt11)

			return err
		},
	}
	invoice.Flags().Int64Var(&sats, "sats", 0, "the amount; 0 lets the payer choose")
	invoice.Flags().BoolVar(&hold, "hold", false, "keep a payment pending until it is settled by hand")
	invoice.AddCommand(settleCommand(o), cancelCommand(o))

	return invoice
}

// Invoice makes an invoice, or one that holds its payment, whose preimage is
// then given back.
func (n *Lnd) Invoice(ctx context.Context, sats int64, hold bool) (bolt11 string, preimage []byte, err error) {
	conn, err := n.Connect()
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = conn.Close() }()
	if !hold {
		made, err := lnrpc.NewLightningClient(conn).AddInvoice(ctx, &lnrpc.Invoice{Value: sats, Memo: "lntpay dev"})
		if err != nil {
			return "", nil, fmt.Errorf("make an invoice: %w", err)
		}

		return made.PaymentRequest, nil, nil
	}
	preimage = make([]byte, 32)
	_, _ = rand.Read(preimage) // never fails, crypto/rand
	hash := sha256.Sum256(preimage)
	made, err := invoicesrpc.NewInvoicesClient(conn).AddHoldInvoice(ctx, &invoicesrpc.AddHoldInvoiceRequest{
		Hash: hash[:], Value: sats, Memo: "lntpay dev, held",
	})
	if err != nil {
		return "", nil, fmt.Errorf("make a hold invoice: %w", err)
	}

	return made.PaymentRequest, preimage, nil
}

// settleCommand is `lntpay dev invoice settle`: it takes a held payment.
func settleCommand(o *Options) *cobra.Command {
	return heldCommand(o, "settle <preimage>", "Take the payment that a hold invoice holds",
		func(ctx context.Context, invoices invoicesrpc.InvoicesClient, preimage []byte) error {
			_, err := invoices.SettleInvoice(ctx, &invoicesrpc.SettleInvoiceMsg{Preimage: preimage})

			return err
		})
}

// cancelCommand is `lntpay dev invoice cancel`: it returns a held payment.
func cancelCommand(o *Options) *cobra.Command {
	return heldCommand(o, "cancel <payment hash>", "Return the payment that a hold invoice holds",
		func(ctx context.Context, invoices invoicesrpc.InvoicesClient, hash []byte) error {
			_, err := invoices.CancelInvoice(ctx, &invoicesrpc.CancelInvoiceMsg{PaymentHash: hash})

			return err
		})
}

func heldCommand(o *Options, use, short string, act func(context.Context, invoicesrpc.InvoicesClient, []byte) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := hex.DecodeString(args[0])
			if err != nil || len(value) != 32 {
				return fmt.Errorf("%q is not 32 bytes in hex", args[0])
			}
			running, err := FindRunning(o.StateDir)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 15*time.Second)
			defer cancel()
			conn, err := running.Lnd.Payer.Connect()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()

			return act(ctx, invoicesrpc.NewInvoicesClient(conn), value)
		},
	}
}

// mineCommand is `lntpay dev mine`: it mines blocks.
func mineCommand(o *Options) *cobra.Command {
	return &cobra.Command{
		Use:   "mine [N]",
		Short: "Mine blocks on the stack's chain",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := 1
			if len(args) == 1 {
				var err error
				if n, err = strconv.Atoi(args[0]); err != nil {
					return fmt.Errorf("%q is not a number of blocks", args[0])
				}
			}
			running, err := FindRunning(o.StateDir)
			if err != nil {
				return err
			}
			chain := running.chain()
			if _, err := chain.Mine(cmd.Context(), n); err != nil {
				return err
			}
			height, err := chain.Height(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "height", height)

			return err
		},
	}
}
