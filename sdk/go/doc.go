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
// and not before Retry-After says. Each write carries an Idempotency-Key, the
// same in every repeat, so that a charge is made and an invoice is paid once,
// whatever becomes of the answers. Nothing else is repeated. [Options] has the
// limits.
//
// A write whose every answer was lost ends in an [*UnknownOutcomeError], which
// has the key: repeat the call with it, when you like and from where you like,
// and the API answers what it did or does it now. Give a key of your own by
// [WithIdempotencyKey] to be able to do so after a crash.
//
// # Lists and events
//
// Lists are iterators that fetch page after page. [Events.Stream] follows events
// as they happen, across broken connections. Webhooks are checked by [Verify].
package lntpay
