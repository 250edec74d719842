// Package workflows holds the deterministic code that drives payments: what
// happens next, never how. No I/O, no clock, no randomness, no map order; the
// side effects are activities, named here and implemented in package
// activities.
//
// Starter is the one place that talks to the Temporal client: every workflow
// of ours is started and nudged through it, under the same policies.
package workflows
