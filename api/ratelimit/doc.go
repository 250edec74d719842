// Package ratelimit keeps rates that any number of processes share: token
// buckets in Postgres (store/queries/limits.sql), of which each process takes
// tokens in small blocks, so that most requests cost no SQL.
//
// A token is taken out of the shared bucket before it is used. So all processes
// together let through, in any time, no more than
//
//	burst + per_second × time + Block for each process
//
// the last for tokens that a process had taken and not used when the time began.
// Tokens that a process holds do not age, and are lost with it.
//
// It is our own because there is no kept library for buckets in Postgres: those
// that share rates want Redis, which nothing else here needs, and
// golang.org/x/time/rate knows one process only.
package ratelimit
