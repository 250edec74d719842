package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

func chargesCommand(find Find) *cobra.Command {
	c := &common{find: find}

	return c.group("charges", "Ask for money: create charges, watch them, list them, cancel them",
		c.createCharge(), c.getCharge(), c.listCharges(), c.watchCharge(), c.cancelCharge())
}

func (c *common) createCharge() *cobra.Command {
	var amount amountFlags
	var label labelFlags
	var expiresIn time.Duration
	var wait bool
	var key keyFlag
	var code codeFlags
	cmd := &cobra.Command{
		Use: "create", Short: "Create a charge and print its invoice", Args: c.args(cobra.NoArgs),
		Example: "  lntpay charges create --sats 21 --description 'one API call' --metadata order=42 --wait",
	}
	cmd.RunE = c.run(func(ctx context.Context, s *session, _ []string) error {
		params, err := chargeParams(&amount, &label, expiresIn)
		if err == nil {
			err = code.check(s)
		}
		var once lntpay.WriteOption
		if err == nil {
			once, err = key.value()
		}
		if err != nil {
			return &usageError{err: err}
		}
		charge, err := s.Charges.Create(ctx, params, once)
		if err != nil {
			return err
		}
		if err := s.show(s.chargeRows(charge)); err != nil {
			return err
		}
		if err := s.qr(charge.Bolt11, code.always, code.never); err != nil || !wait {
			return err
		}

		return s.followCharge(ctx, charge)
	})
	amount.register(cmd, "the amount")
	label.register(cmd, "what it is for; the payer sees it")
	cmd.Flags().DurationVar(&expiresIn, "expires-in", 0, "how long it can be paid: 1m to 168h (default 1h)")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is paid, expired or canceled")
	code.register(cmd)
	key.register(cmd, "a random one")

	return cmd
}

func chargeParams(amount *amountFlags, label *labelFlags, expiresIn time.Duration) (params lntpay.ChargeParams, err error) {
	var given bool
	if params.AmountMsat, given, err = amount.value(); err != nil {
		return params, err
	}
	if !given {
		return params, errors.New("give the amount by --sats or --msat")
	}
	if expiresIn < 0 {
		return params, fmt.Errorf("--expires-in: %s is negative", expiresIn)
	}
	params.Metadata, err = label.pairs()
	params.Description, params.ExternalID, params.ExpiresIn = label.description, label.externalID, expiresIn

	return params, err
}

// codeFlags are --qr and --no-qr.
type codeFlags struct{ always, never bool }

func (f *codeFlags) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.always, "qr", false, "print the QR code of the invoice also where stdout is no terminal")
	cmd.Flags().BoolVar(&f.never, "no-qr", false, "print no QR code")
}

func (f *codeFlags) check(s *session) error {
	if f.always && (f.never || s.asJSON) {
		return errors.New("--qr goes with neither --no-qr nor --json")
	}

	return nil
}

func (s *session) chargeRows(charge *lntpay.Charge) rows {
	received := ""
	if charge.AmountPaidMsat > 0 {
		received = sat(charge.AmountPaidMsat)
	}
	all := rows{
		{"id", charge.ID},
		{"status", string(charge.Status)},
		{"amount", sat(charge.AmountMsat)},
		{"received", received},
		{"description", clean(charge.Description)},
		{"external id", clean(charge.ExternalID)},
		{"metadata", metadataText(charge.Metadata)},
		{"created", s.when(charge.CreatedAt)},
		{"expires", s.when(charge.ExpiresAt)},
		{"paid", s.when(charge.PaidAt)},
		{"invoice", charge.Bolt11},
	}
	for _, warning := range charge.Warnings {
		all = append(all, [2]string{"warning", clean(warning)})
	}

	return all
}

// followCharge waits until a charge is over, which is no success unless it is
// paid.
func (s *session) followCharge(ctx context.Context, charge *lntpay.Charge) error {
	var err error
	if charge.Status != lntpay.ChargePending {
		err = s.result(chargeLine(charge))
	} else {
		ctx = follow(ctx, s, string(charge.Status), chargeLine)
		charge, err = s.Charges.Wait(ctx, charge.ID)
	}
	if err != nil {
		return err
	}
	if charge.Status != lntpay.ChargePaid {
		return &endedError{fmt.Sprintf("the charge %s is %s", charge.ID, charge.Status)}
	}

	return nil
}

// chargeLine is what became of a charge.
func chargeLine(charge *lntpay.Charge) string {
	if charge.Status == lntpay.ChargePaid {
		return fmt.Sprintf("paid: %s received at %s", sat(charge.AmountPaidMsat), at(charge.PaidAt))
	}

	return string(charge.Status)
}

func (c *common) getCharge() *cobra.Command {
	var code codeFlags
	cmd := &cobra.Command{Use: "get ch_…", Short: "Print a charge", Args: c.id()}
	cmd.RunE = c.run(func(ctx context.Context, s *session, args []string) error {
		if err := code.check(s); err != nil {
			return &usageError{err: err}
		}
		charge, err := s.Charges.Get(ctx, args[0])
		if err != nil {
			return err
		}
		if err := s.show(s.chargeRows(charge)); err != nil {
			return err
		}

		// A code that nobody can pay is in the way.
		return s.qr(charge.Bolt11, code.always, code.never || charge.Status != lntpay.ChargePending)
	})
	code.register(cmd)

	return cmd
}

func (c *common) watchCharge() *cobra.Command {
	return &cobra.Command{
		Use: "watch ch_…", Short: "Print a charge and follow it until it is paid, expired or canceled",
		Args: c.id(),
		RunE: c.run(func(ctx context.Context, s *session, args []string) error {
			charge, err := s.Charges.Get(ctx, args[0])
			if err != nil {
				return err
			}
			if err := s.show(s.chargeRows(charge)); err != nil {
				return err
			}

			return s.followCharge(ctx, charge)
		}),
	}
}

func (c *common) cancelCharge() *cobra.Command {
	var key keyFlag
	cmd := &cobra.Command{Use: "cancel ch_…", Short: "Cancel a charge, so that it can no longer be paid", Args: c.id()}
	cmd.RunE = c.run(func(ctx context.Context, s *session, args []string) error {
		once, err := key.value()
		if err != nil {
			return &usageError{err: err}
		}
		charge, err := s.Charges.Cancel(ctx, args[0], once)
		if err != nil {
			return err
		}

		return s.show(s.chargeRows(charge))
	})
	key.register(cmd, "a random one")

	return cmd
}

func (c *common) listCharges() *cobra.Command {
	var f filterFlags
	cmd := &cobra.Command{Use: "list", Short: "List charges", Args: c.args(cobra.NoArgs)}
	cmd.RunE = c.run(func(ctx context.Context, s *session, _ []string) error {
		limit, page, err := f.size()
		filter := lntpay.ChargeFilter{Status: lntpay.ChargeStatus(f.status), ExternalID: f.externalID, PageSize: page}
		if err == nil {
			filter.CreatedAfter, filter.CreatedBefore, err = f.times(s.now())
		}
		if err != nil {
			return &usageError{err: err}
		}
		columns := []string{"ID", "STATUS", "AMOUNT", "CREATED", "EXPIRES", "EXTERNAL ID", "DESCRIPTION"}

		return list(s, s.Charges.List(ctx, filter), limit, columns, func(charge *lntpay.Charge) []string {
			return []string{
				charge.ID, string(charge.Status), sat(charge.AmountMsat), s.ago(charge.CreatedAt), s.ago(charge.ExpiresAt),
				short(charge.ExternalID), short(charge.Description),
			}
		})
	})
	f.register(cmd, "pending, paid, expired or canceled")

	return cmd
}
