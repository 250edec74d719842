// Package tools builds the programs that the development stack, the tests and
// the Makefile run, from pinned versions: Build gives the path of each.
//
// The versions are those of the Go modules beside this file (btcd, lnd,
// temporal, ui, caddy, sqlc, lint). They are modules of their own because their
// requirements and replace lines contradict each other's and the product's. A
// binary is kept in the user's cache under a hash of all that decides it, so a
// changed go.mod builds anew and an unchanged one costs milliseconds. No image
// registry and no release download is needed, only the Go module proxy.
package tools
