// Package lightningtest has a scripted lightning.Node in memory, for tests of
// what happens when a node fails, and the conformance suite that keeps it
// honest: the suite runs against it and against a real lnd on regtest.
//
// What is not here: a real network (tests/regtest).
package lightningtest
