package config

import (
	"fmt"
	"math"

	"github.com/lntpay/lntpay/payments"
)

// Reconcile sets how often the books are compared with themselves and with the
// node.
type Reconcile struct {
	// EveryMinutes is the pause between two reconciliations.
	EveryMinutes int `koanf:"every_minutes"`
	// FullEveryHours is how often all of the node's lists are read, not only what
	// was not final before.
	FullEveryHours int `koanf:"full_every_hours"`
	// SolvencyToleranceMsat is how much less than what is owed the node may have:
	// commitment fees are in no balance of lnd's.
	SolvencyToleranceMsat payments.Msat `koanf:"solvency_tolerance_msat"`
}

// DefaultReconcile are the values of what is not set.
func DefaultReconcile() Reconcile {
	return Reconcile{EveryMinutes: 60, FullEveryHours: 24, SolvencyToleranceMsat: 100_000 * payments.MsatPerSat}
}

func (r Reconcile) check(path string) []error {
	var errs []error
	for _, setting := range []struct {
		name                   string
		value, lowest, highest int64
	}{
		{"every_minutes", int64(r.EveryMinutes), 1, 24 * 60},
		{"full_every_hours", int64(r.FullEveryHours), 1, 30 * 24},
		{"solvency_tolerance_msat", int64(r.SolvencyToleranceMsat), 0, math.MaxInt64},
	} {
		if setting.value < setting.lowest || setting.value > setting.highest {
			errs = append(errs, fmt.Errorf("%s.%s: %d is not between %d and %d",
				path, setting.name, setting.value, setting.lowest, setting.highest))
		}
	}

	return errs
}
