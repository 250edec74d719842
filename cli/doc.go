// Package cli is the command line for people who use the API: charges,
// withdrawals, the balance, events and webhooks, each noun in a file of its own.
//
// It is an HTTP client on the Go SDK and nothing else: no settings of the
// server, no database, no node. Output is tables for people and, with --json,
// the API's objects as they came, one a line. How a command ended is in its
// exit code (exit.go).
package cli
