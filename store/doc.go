// Package store keeps everything that is not the ledger: migrations, queries
// (sqlc, in store/queries, generated into store/db) and one transaction helper.
// It decides nothing; what may happen when is decided by its callers inside
// the transactions that it gives them.
package store
