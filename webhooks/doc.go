// Package webhooks makes one delivery attempt and everything it needs: which
// targets are allowed, how a request is signed, how secrets rest in the
// database, when the next attempt is due. It holds no SQL and no Temporal code:
// what is delivered, when and how often is the business of packages activities
// and workflows.
//
// A target is chosen by a stranger, so it is checked twice: CheckURL judges the
// text when an endpoint is made, and the Sender judges the address that it
// really dials, which no DNS answer given in between can evade. A connection is
// kept for the endpoint that it was made for and serves no other.
package webhooks
