// Package devnet is a whole LNTPay stack on one machine, without containers:
// Postgres, Temporal and its UI, btcd on regtest, two lnd nodes with balanced
// channels, the API and the worker, each a process of its own that is
// restarted when it dies. It is what `lntpay dev` runs (Command).
//
// Its parts serve tests too: StartPostgres, StartTemporal, StartBtcd, StartLnd
// and OpenChannels start one component in a folder, wait until it is ready and
// give back a way to stop it.
//
// What is not here: the pinned versions of the programs (package tools) and
// anything that a production deployment uses.
package devnet
