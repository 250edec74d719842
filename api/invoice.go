package api

import (
	"errors"
	"fmt"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/payments/bolt11"
)

// invoiceFields are what a withdrawal and a quote have in common.
type invoiceFields struct {
	bolt11 string
	amount payments.Msat
	// given: the request names the amount.
	given bool
}

func (f *fields) invoice() invoiceFields {
	var read invoiceFields
	before := len(f.errors)
	text := f.text("bolt11")
	if text != nil {
		read.bolt11 = *text
	} else if len(f.errors) == before {
		f.fail("bolt11", "is required")
	}
	read.amount, read.given = f.optionalAmount("amount", 1)

	return read
}

// payment is an invoice and what would be paid for it.
type payment struct {
	bolt11.Invoice
	amount payments.Msat
}

// read decodes the invoice for the environment's network and settles the
// amount. It judges the form only: no time, no state.
func (in invoiceFields) read(network string, cltvLimit uint32) (payment, error) {
	invoice, err := bolt11.Decode(in.bolt11, network)
	if err != nil {
		return payment{}, refuseInvoice(err)
	}
	paid := payment{Invoice: invoice, amount: invoice.AmountMsat}
	switch {
	case !invoice.FitsCLTVLimit(cltvLimit):
		return payment{}, errInvoiceInvalid
	case in.given && invoice.AmountMsat > 0:
		return payment{}, payments.NewProblem(payments.CodeAmountNotAllowed,
			"The invoice names its amount. Leave amount_msat and amount_sats out.")
	case in.given:
		paid.amount = in.amount
	case invoice.AmountMsat == 0:
		return payment{}, payments.NewProblem(payments.CodeAmountRequired,
			"The invoice names no amount. Give amount_msat or amount_sats.")
	}

	return paid, nil
}

var errInvoiceInvalid = payments.NewProblem(payments.CodeInvoiceInvalid, "This invoice cannot be paid from here.",
	payments.FieldError{Field: "bolt11", Message: "is not an invoice that can be paid"})

// refuseInvoice tells the client which of the rules it was, in words of ours.
func refuseInvoice(err error) error {
	switch {
	case errors.Is(err, bolt11.ErrWrongNetwork):
		return payments.NewProblem(payments.CodeInvoiceWrongNetwork, "The invoice is of another Bitcoin network.",
			payments.FieldError{Field: "bolt11", Message: "is of another network than this environment"})
	case errors.Is(err, bolt11.ErrAmountOutOfRange):
		return payments.NewProblem(payments.CodeAmountOutOfRange, "The invoice asks for more than can exist.",
			payments.FieldError{Field: "bolt11", Message: "names an amount that is out of range"})
	case errors.Is(err, bolt11.ErrExpired):
		return payments.NewProblem(payments.CodeInvoiceExpired, "The invoice has expired or has less than 10 seconds to live.")
	case errors.Is(err, bolt11.ErrInvalid):
		return errInvoiceInvalid
	}

	// The worker's settings passed a network that no invoice can be of.
	return fmt.Errorf("%w: %w", errBug, err)
}
