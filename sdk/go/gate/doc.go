// Package gate opens an http.Handler to whoever has paid for it over Lightning,
// by L402 (https://github.com/lightninglabs/L402).
//
//	paid, err := gate.New(gate.Config{
//		Charges: client.Charges, Key: key, Price: gate.Fixed(21 * lntpay.Sat),
//	})
//	http.Handle("/report", paid.Handler(report))
//
// A request without a token is answered 402 with an invoice and a macaroon. The
// payer learns the invoice's preimage, and the request with macaroon and preimage
// reaches the handler. That is judged here, without a call to LNTPay: only a new
// invoice needs one. docs/l402.md has the answers, the caveats and what to mind.
//
// The tokens themselves are package l402's. Package gingate, a module of its
// own, is this gate for Gin.
package gate
