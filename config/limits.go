package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// maxLimit is the most that a limit on requests may be: 0 is none at all, and
// more is a mistake.
const maxLimit = 1_000_000_000

// namedLimits are limits by the names of their settings within the environment.
func namedLimits(l *Limits) map[string]*int {
	return map[string]*int{
		"key_per_second": &l.KeyPerSecond, "key_burst": &l.KeyBurst,
		"workspace_per_second": &l.WorkspacePerSecond, "workspace_burst": &l.WorkspaceBurst,
		"withdrawals_per_second": &l.WithdrawalsPerSecond, "withdrawals_burst": &l.WithdrawalsBurst,
		"key_waits": &l.KeyWaits, "workspace_waits": &l.WorkspaceWaits, "open_charges": &l.OpenCharges,
	}
}

// With are the limits of a workspace that has some of its own, by the names of
// settings within the environment (store.LimitNames); those of payouts are not
// looked at.
func (l Limits) With(overrides map[string]int64) Limits {
	for name, limit := range namedLimits(&l) {
		if value, ok := overrides["limits."+name]; ok {
			*limit = int(value)
		}
	}

	return l
}

// LimitDefaults are the limits that hold for workspaces without their own, by
// the names that overrides have.
func (e Environment) LimitDefaults() map[string]int64 {
	defaults := map[string]int64{
		"payouts.max_amount_msat":      int64(e.Payouts.MaxAmountMsat),
		"payouts.workspace_daily_msat": int64(e.Payouts.WorkspaceDailyMsat),
		"payouts.workspace_open":       int64(e.Payouts.WorkspaceOpen),
		"payouts.workspace_open_msat":  int64(e.Payouts.WorkspaceOpenMsat),
	}
	for name, limit := range namedLimits(&e.Limits) {
		defaults["limits."+name] = int64(*limit)
	}

	return defaults
}

// check refuses limits below zero, which would be none.
func (l Limits) check(path string) []error {
	var errs []error
	for name, limit := range namedLimits(&l) {
		if *limit < 0 || *limit > maxLimit {
			errs = append(errs, fmt.Errorf("%s.%s: %d is not within 0 and %d", path, name, *limit, maxLimit))
		}
	}

	return errs
}

// Proxies are the trusted proxies, parsed.
func (a API) Proxies() ([]netip.Prefix, error) {
	proxies := make([]netip.Prefix, 0, len(a.TrustedProxies))
	for _, text := range a.TrustedProxies {
		text = strings.TrimSpace(text)
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			address, addressErr := netip.ParseAddr(text)
			if addressErr != nil {
				return nil, fmt.Errorf("api.trusted_proxies: %q is no address and no range of addresses", text)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		proxies = append(proxies, prefix)
	}

	return proxies, nil
}
