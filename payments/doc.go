// Package payments is the domain in pure Go: charges, events, amounts, ids,
// statuses and their legal transitions, and the public JSON shape of each
// object. It imports nothing of ours and does no I/O; the ledger, the store,
// the workflows and the API all speak its types.
package payments
