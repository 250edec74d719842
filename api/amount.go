package api

import (
	"encoding/json"
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
		return f.readAmount(msat, rawMsat, 1, limit)
	case hasSats:
		return f.readAmount(sats, rawSats, payments.MsatPerSat, limit)
	}
	f.fail(msat, "amount_msat or amount_sats is required")

	return 0
}

func (f *fields) readAmount(name string, raw json.RawMessage, unit, limit payments.Msat) payments.Msat {
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
	if err != nil || value <= 0 || value > int64(limit/unit) {
		f.outOfRange = append(f.outOfRange, payments.FieldError{
			Field: name, Message: "must be between 1 and " + strconv.FormatInt(int64(limit/unit), 10),
		})

		return 0
	}

	return payments.Msat(value) * unit
}
