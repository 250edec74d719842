// Package ledger is the double entry: immutable transfers, and one balance row
// per workspace that is only ever moved by them. It books sets of entries in
// one statement, so that the settlements of a hot workspace share a lock and a
// commit; interactive row-by-row booking measured 30 times slower.
//
// It knows no Temporal, no HTTP and no lnd. Its callers give it the transaction
// in which they changed the row (a charge, a withdrawal) that the money is for:
// lock that row first and post last, since the balance row is the hot one.
package ledger
