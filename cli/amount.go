package cli

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

// amountFlags are --sats and --msat, of which one counts.
type amountFlags struct {
	sats, msat int64
	cmd        *cobra.Command
}

// register adds the flags; what says what the amount is.
func (a *amountFlags) register(cmd *cobra.Command, what string) {
	a.cmd = cmd
	cmd.Flags().Int64Var(&a.sats, "sats", 0, what+", in sats")
	cmd.Flags().Int64Var(&a.msat, "msat", 0, what+", in msat (a thousandth of a sat)")
}

// value is the amount in msat; given tells whether there is one.
func (a *amountFlags) value() (msat int64, given bool, err error) {
	sats, exact := a.cmd.Flags().Changed("sats"), a.cmd.Flags().Changed("msat")
	switch {
	case sats && exact:
		return 0, false, errors.New("give one of --sats and --msat")
	case sats:
		msat, err = ofSats("--sats", a.sats)
	case exact:
		msat, err = a.msat, positive("--msat", a.msat)
	}

	return msat, sats || exact, err
}

// ofSats is sats in msat.
func ofSats(flag string, sats int64) (int64, error) {
	if err := positive(flag, sats); err != nil {
		return 0, err
	}
	if sats > math.MaxInt64/lntpay.Sat {
		return 0, fmt.Errorf("%s: %d is more than there is", flag, sats)
	}

	return sats * lntpay.Sat, nil
}

func positive(flag string, n int64) error {
	if n <= 0 {
		return fmt.Errorf("%s: %d is not positive", flag, n)
	}

	return nil
}

// sat writes an amount in sats, exactly: 21 sat, 21.5 sat, 0.001 sat.
func sat(msat int64) string {
	sign := ""
	if msat < 0 {
		sign, msat = "-", -msat
	}
	text := sign + strconv.FormatInt(msat/lntpay.Sat, 10)
	if rest := msat % lntpay.Sat; rest != 0 {
		text += "." + strings.TrimRight(fmt.Sprintf("%03d", rest), "0")
	}

	return text + " sat"
}
