package store

import (
	"errors"

	"github.com/jackc/pgx/v5"
)

// errNotADSN stands for pgx's error, which quotes the text: it can mask a
// password only as far as it can tell where that is, and one with a slash, not
// percent-encoded, is what makes a URL unreadable.
var errNotADSN = errors.New("not a URL or DSN that Postgres' driver can read, or a file that it names (sslrootcert, sslcert, " +
	"sslkey) is missing; in a URL, percent-encode what is special in a password")

// ParseDSN reads a DSN without connecting. No error quotes any of it.
func ParseDSN(dsn string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errNotADSN
	}

	return cfg, nil
}
