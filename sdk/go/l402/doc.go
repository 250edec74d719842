// Package l402 mints and verifies L402 tokens: macaroons that are worth
// something once the invoice beside them is paid.
//
// The wire is that of https://github.com/lightninglabs/L402
// (protocol-specification.md, macaroon-spec.md): an answer 402 carries a
// macaroon and an invoice, whoever pays learns the preimage, and
//
//	Authorization: L402 <base64 macaroon>:<hex preimage>
//
// is the proof. A [Key] mints and verifies without asking anybody: the
// macaroon names the payment hash, so the preimage proves the payment. A holder
// may narrow a token by adding caveats ([Macaroon.Attenuate]) and can take none
// away.
//
// Most users want package gate, which does all of this around an http.Handler.
package l402
