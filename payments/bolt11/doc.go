// Package bolt11 reads Lightning invoices and refuses those that a node would
// refuse to pay, before anything is written or locked for them. It does no I/O
// and knows no time.
package bolt11
