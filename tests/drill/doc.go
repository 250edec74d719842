// Package drill rehearses what docs/backup.md says: Postgres is restored to an
// older state while the node, which nobody can take back, has gone on. What has
// a row heals by itself, and the rest by an operator's commands; afterwards the
// books agree with the node.
package drill
