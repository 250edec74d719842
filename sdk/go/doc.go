// Package lntpay is the Go client of LNTPay: charges, withdrawals, the ledger,
// API keys, webhook endpoints and events. It needs nothing but the standard
// library.
//
//	client, err := lntpay.New(lntpay.Options{}) // LNTPAY_API_KEY, LNTPAY_BASE_URL
//	charge, err := client.Charges.Create(ctx, lntpay.ChargeParams{AmountMsat: 21 * lntpay.Sat})
//	charge, err = client.Charges.Wait(ctx, charge.ID)
//
// Amounts are integer millisatoshi, in fields that end in Msat; multiply by
// [Sat] to write satoshi.
//
// # Errors
//
// What the API refuses is an [*Error]. Compare by code:
//
//	switch {
//	case errors.Is(err, lntpay.ErrInsufficientBalance):
//	case errors.Is(err, lntpay.ErrDuplicatePayment):
//	}
//
// A new code may appear at any time; it compares equal to [Code] of its text.
//
// # Retries
//
// A call that gets no answer, 429 or 503 is repeated, with backoff and jitter
// and not before Retry-After says. Nothing else is repeated. [Options] has the
// limits. Each POST carries an Idempotency-Key, the same in every repeat, so that
// a charge is made and an invoice is paid once, whatever becomes of the answers.
// A change or a deletion that comes twice does no more than once.
//
// A POST whose every answer was lost ends in an [*UnknownOutcomeError], which has
// the key: repeat the call with it within a day, from wherever you like, and the
// API answers what it did or does it now. Give a key of your own by
// [WithIdempotencyKey] to be able to do so after a crash. An invoice is not paid
// twice after that day either.
//
// # Lists and events
//
// Lists are iterators that fetch page after page. [Events.Stream] follows events
// as they happen, across broken connections. Webhooks are checked by [Verify].
package lntpay
