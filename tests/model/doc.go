// Package model is a simulator in the spirit of TigerBeetle's: one seed decides
// all that happens to the real ledger, on a real Postgres, and to the real
// activities: what the node and the outside world do, which call fails and how,
// where each process dies, what runs twice or at the same time, and how time
// goes by. After every commit the invariants of the books are checked, and in
// the end that everything has come to one. docs/simulator.md says how to use it,
// and what it cannot see.
//
// Tasks (an activity's run, a client's POST, a batch of the watcher) each have a
// goroutine, of which one moves at a time: it stops before each statement,
// commit and call of the node, and the seed chooses who goes on, and whether
// what he is about to do happens, fails, happens without an answer, or is the
// last thing that his process does. So a seed replays exactly.
package model
