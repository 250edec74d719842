// Package lightning is the vault's door: the Node interface that the rest of
// the system sees, and its lnd implementation. lndclient connects and
// authenticates; the calls that move money use the raw gRPC stubs, because
// lndclient drops fields and merges errors that must stay apart.
//
// Payer is a sandbox's second node, with as much of lnd as playing the world
// outside takes.
//
// Connect gives a Node on a real lnd. A KeyRing derives the preimages of
// charges, so that AddInvoice can be repeated. Package lightningtest has a
// Node in memory, and the conformance suite that both of them pass.
//
// No SQL and no Temporal here. No text from lnd leaves this package as an
// answer: callers get the sentinel errors below or an error that means
// "unknown".
package lightning
