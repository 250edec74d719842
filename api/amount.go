package api

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/lntpay/lntpay/payments"
)

// amount reads the one of amount_msat and amount_sats that is given. What is
// no integer is 400; an integer that is no allowed amount is 422.
func (f *fields) amount(limit payments.Msat) payments.Msat {
	const msat, sats = "amount_msat", "amount_sats"
	f.known[msat], f.known[sats] = true, true
	rawMsat, hasMsat := f.raw[msat]
	rawSats, hasSats := f.raw[sats]
	switch {
	case hasMsat && hasSats:
		f.fail(msat, "give either amount_msat or amount_sats, not both")

		return 0
	case hasMsat:
		return f.readAmount(msat, rawMsat, 1, 1, limit)
	case hasSats:
		return f.readAmount(sats, rawSats, payments.MsatPerSat, 1, limit)
	}
	f.fail(msat, "amount_msat or amount_sats is required")

	return 0
}

// optionalAmount reads the one of name_msat and name_sats that is given, if one
// is; a null counts as absent.
func (f *fields) optionalAmount(name string, low payments.Msat) (amount payments.Msat, given bool) {
	msat, sats := name+"_msat", name+"_sats"
	rawMsat, hasMsat := f.get(msat)
	rawSats, hasSats := f.get(sats)
	switch {
	case hasMsat && hasSats:
		f.fail(msat, "give either %s or %s, not both", msat, sats)
	case hasMsat:
		return f.readAmount(msat, rawMsat, 1, low, payments.MaxMsat), true
	case hasSats:
		return f.readAmount(sats, rawSats, payments.MsatPerSat, low, payments.MaxMsat), true
	}

	return 0, false
}

// readAmount reads an integer number of units between low and the limit.
func (f *fields) readAmount(name string, raw json.RawMessage, unit, low, limit payments.Msat) payments.Msat {
	if !wholeNumber.Match(raw) {
		if looksLikeNumber(raw) {
			f.fail(name, "must be an integer, not a float")
		} else {
			f.fail(name, "must be an integer")
		}

		return 0
	}
	// An error is an integer beyond int64: out of range like any other.
	value, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || value < int64(low) || value > int64(limit/unit) {
		f.outOfRange = append(f.outOfRange, payments.FieldError{
			Field: name, Message: fmt.Sprintf("must be between %d and %d", low, limit/unit),
		})

		return 0
	}

	return payments.Msat(value) * unit
}
