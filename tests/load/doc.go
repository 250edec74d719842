// Package load puts a stack under load and checks afterwards what became of it:
// clients that repeat with the same Idempotency-Key what was not answered, a
// payer, a receiver of webhooks, and the comparison of the workspace with the
// merchant's node. tests/faults and tests/compose break the stack meanwhile.
package load
