package payments

import "math"

// Msat is an amount in millisatoshi, the only unit inside the system.
type Msat int64

// MsatPerSat is the number of millisatoshi in a satoshi.
const MsatPerSat Msat = 1000

// MaxMsat is the most that can ever exist: 21 million bitcoin.
const MaxMsat Msat = 21_000_000 * 100_000_000 * MsatPerSat

// FromSats converts satoshis; ok is false when the result leaves int64.
func FromSats(sats int64) (amount Msat, ok bool) {
	if sats > math.MaxInt64/int64(MsatPerSat) || sats < math.MinInt64/int64(MsatPerSat) {
		return 0, false
	}

	return Msat(sats) * MsatPerSat, true
}
