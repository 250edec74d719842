package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

func withdrawalsCommand(find Find) *cobra.Command {
	c := &common{find: find}

	return c.group("withdrawals", "Pay invoices from the balance: quote, create, watch, list",
		c.createWithdrawal(), c.quoteWithdrawal(), c.getWithdrawal(), c.listWithdrawals(), c.watchWithdrawal())
}

func (c *common) createWithdrawal() *cobra.Command {
	var amount amountFlags
	var fee feeFlag
	var label labelFlags
	var wait bool
	var key keyFlag
	cmd := &cobra.Command{
		Use: "create lnbc…", Short: "Pay an invoice", Args: c.args(cobra.ExactArgs(1)),
		Long: "Pay an invoice. The Idempotency-Key makes sure that it is paid once: without --idempotency-key one is made and\n" +
			"printed on stderr before anything is sent. When no answer came (exit code 6), run the command again with that key.",
		Example: "  lntpay withdrawals create lnbc… --max-fee-sats 10 --idempotency-key payout-42 --wait",
	}
	cmd.RunE = c.run(func(ctx context.Context, s *session, args []string) error {
		params, err := withdrawalParams(args[0], &amount, &fee, &label)
		var once lntpay.WriteOption
		if err == nil {
			once, err = key.value()
		}
		if err != nil {
			return &usageError{err: err}
		}
		s.sayKey(&key)
		withdrawal, err := s.Withdrawals.Create(ctx, params, once)
		if err != nil {
			return err
		}
		if err := s.show(s.withdrawalRows(withdrawal)); err != nil || !wait {
			return err
		}

		return s.followWithdrawal(ctx, withdrawal)
	})
	amount.register(cmd, "the amount, for an invoice that names none")
	fee.register(cmd)
	label.register(cmd, "for you; the recipient does not see it")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it has succeeded or failed")
	key.register(cmd, "one that is printed first")

	return cmd
}

func withdrawalParams(
	bolt11 string, amount *amountFlags, fee *feeFlag, label *labelFlags,
) (params lntpay.WithdrawalParams, err error) {
	params.Bolt11, params.Description, params.ExternalID = withoutScheme(bolt11), label.description, label.externalID
	if params.AmountMsat, _, err = amount.value(); err != nil {
		return params, err
	}
	if params.MaxFeeMsat, err = fee.value(); err != nil {
		return params, err
	}
	params.Metadata, err = label.pairs()

	return params, err
}

// sayKey tells the user a key that was made, before it is used.
func (s *session) sayKey(key *keyFlag) {
	switch {
	case key.cmd.Flags().Changed("idempotency-key"):
	case s.asJSON:
		s.sayf(`{"idempotency_key":%q}`, key.key)
	default:
		s.sayf("Idempotency-Key: %s", key.key)
	}
}

// feeFlag is --max-fee-sats, of which 0 is not nothing.
type feeFlag struct {
	sats int64
	cmd  *cobra.Command
}

func (f *feeFlag) register(cmd *cobra.Command) {
	f.cmd = cmd
	cmd.Flags().Int64Var(&f.sats, "max-fee-sats", 0,
		"the most that routing may cost; 0 is routes without a fee only (default: the server's, 0.5 % and at least 5 sats)")
}

// value is the limit in msat, nil if there is none.
func (f *feeFlag) value() (*int64, error) {
	if !f.cmd.Flags().Changed("max-fee-sats") {
		return nil, nil //nolint:nilnil // the API tells a limit of 0 from none
	}
	if f.sats == 0 {
		return new(int64), nil
	}
	msat, err := ofSats("--max-fee-sats", f.sats)

	return &msat, err
}

func (s *session) withdrawalRows(w *lntpay.Withdrawal) rows {
	all := rows{
		{"id", w.ID},
		{"status", string(w.Status)},
		{"amount", sat(w.AmountMsat)},
		{"fee limit", sat(w.MaxFeeMsat)},
	}
	if w.Status == lntpay.WithdrawalSucceeded {
		all = append(all, [2]string{"fee", sat(w.FeeMsat)})
	}
	if w.UnderReview {
		all = append(all, [2]string{"under review", "an operator is looking at it"})
	}
	if w.Failure != nil {
		all = append(all, [2]string{"failure", failureText(w.Failure)})
	}
	if w.InFlight != nil {
		all = append(all, [2]string{"in flight", inFlightText(w.InFlight)})
	}

	return append(all, rows{
		{"description", clean(w.Description)},
		{"external id", clean(w.ExternalID)},
		{"metadata", metadataText(w.Metadata)},
		{"created", s.when(w.CreatedAt)},
		{"completed", s.when(w.CompletedAt)},
		{"recipient", w.Destination},
		{"payment hash", w.PaymentHash},
		{"preimage", w.Preimage},
		{"invoice", w.Bolt11},
	}...)
}

func failureText(failure *lntpay.WithdrawalFailure) string {
	return clean(string(failure.Code) + ": " + failure.Message)
}

func inFlightText(in *lntpay.InFlight) string {
	text := fmt.Sprintf("since %s, %d HTLC attempts", at(in.Since), in.HTLCAttempts)
	if in.HTLCExpiryHeight > 0 {
		text += ", over by block " + strconv.FormatInt(in.HTLCExpiryHeight, 10)
	}

	return text
}

// followWithdrawal waits until a withdrawal is over, which can take days.
func (s *session) followWithdrawal(ctx context.Context, w *lntpay.Withdrawal) error {
	var err error
	if w.Over() {
		err = s.result(withdrawalLine(w))
	} else {
		ctx = follow(ctx, s, string(w.Status), withdrawalLine)
		w, err = s.Withdrawals.Wait(ctx, w.ID)
	}
	if err != nil {
		return err
	}
	if w.Status != lntpay.WithdrawalSucceeded {
		return &endedError{fmt.Sprintf("the withdrawal %s has %s", w.ID, w.Status)}
	}

	return nil
}

// withdrawalLine is what became of a withdrawal.
func withdrawalLine(w *lntpay.Withdrawal) string {
	switch {
	case w.Status == lntpay.WithdrawalSucceeded:
		return fmt.Sprintf("succeeded: %s paid, fee %s, preimage %s", sat(w.AmountMsat), sat(w.FeeMsat), w.Preimage)
	case w.Failure != nil:
		return "failed: " + failureText(w.Failure)
	case w.InFlight != nil:
		return "in_flight: " + inFlightText(w.InFlight)
	}

	return string(w.Status)
}

func (c *common) quoteWithdrawal() *cobra.Command {
	var amount amountFlags
	cmd := &cobra.Command{
		Use: "quote lnbc…", Short: "Say what paying an invoice would cost; nothing is locked or sent", Args: c.args(cobra.ExactArgs(1)),
	}
	cmd.RunE = c.run(func(ctx context.Context, s *session, args []string) error {
		msat, _, err := amount.value()
		if err != nil {
			return &usageError{err: err}
		}
		quote, err := s.Withdrawals.Quote(ctx, lntpay.QuoteParams{Bolt11: withoutScheme(args[0]), AmountMsat: msat})
		if err != nil {
			return err
		}

		return s.show(quoteRows(quote))
	})
	amount.register(cmd, "the amount, for an invoice that names none")

	return cmd
}

func quoteRows(quote *lntpay.Quote) rows {
	fee := "unknown: the node finds no route"
	if quote.EstimatedFeeMsat != nil {
		fee = sat(*quote.EstimatedFeeMsat)
	}
	sufficient := "yes"
	if !quote.Sufficient {
		sufficient = "no"
	}

	return rows{
		{"amount", sat(quote.AmountMsat)},
		{"estimated fee", fee},
		{"fee limit", sat(quote.MaxFeeMsat)},
		{"to be locked", sat(quote.TotalLockedMsat)},
		{"available", sat(quote.AvailableMsat)},
		{"sufficient", sufficient},
		{"at most", sat(quote.MaxWithdrawableMsat)},
	}
}

func (c *common) getWithdrawal() *cobra.Command {
	return &cobra.Command{
		Use: "get wd_…", Short: "Print a withdrawal", Args: c.id(),
		RunE: c.run(func(ctx context.Context, s *session, args []string) error {
			withdrawal, err := s.Withdrawals.Get(ctx, args[0])
			if err != nil {
				return err
			}

			return s.show(s.withdrawalRows(withdrawal))
		}),
	}
}

func (c *common) watchWithdrawal() *cobra.Command {
	return &cobra.Command{
		Use: "watch wd_…", Short: "Print a withdrawal and follow it until it has succeeded or failed",
		Args: c.id(),
		RunE: c.run(func(ctx context.Context, s *session, args []string) error {
			withdrawal, err := s.Withdrawals.Get(ctx, args[0])
			if err != nil {
				return err
			}
			if err := s.show(s.withdrawalRows(withdrawal)); err != nil {
				return err
			}

			return s.followWithdrawal(ctx, withdrawal)
		}),
	}
}

func (c *common) listWithdrawals() *cobra.Command {
	var f filterFlags
	cmd := &cobra.Command{Use: "list", Short: "List withdrawals", Args: c.args(cobra.NoArgs)}
	cmd.RunE = c.run(func(ctx context.Context, s *session, _ []string) error {
		limit, page, err := f.size()
		filter := lntpay.WithdrawalFilter{Status: lntpay.WithdrawalStatus(f.status), ExternalID: f.externalID, PageSize: page}
		if err == nil {
			filter.CreatedAfter, filter.CreatedBefore, err = f.times(s.now())
		}
		if err != nil {
			return &usageError{err: err}
		}
		columns := []string{"ID", "STATUS", "AMOUNT", "FEE", "CREATED", "EXTERNAL ID", "DESCRIPTION"}

		return list(s, s.Withdrawals.List(ctx, filter), limit, columns, func(w *lntpay.Withdrawal) []string {
			return []string{
				w.ID, string(w.Status), sat(w.AmountMsat), sat(w.FeeMsat), s.ago(w.CreatedAt),
				short(w.ExternalID), short(w.Description),
			}
		})
	})
	f.register(cmd, "pending, in_flight, succeeded or failed")

	return cmd
}
