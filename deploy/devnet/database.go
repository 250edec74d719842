package devnet

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// database is what the product needs in a Postgres: roles with passwords and
// its database.
type database struct {
	// admin is the DSN of a role that may create roles and databases.
	admin string
	// ours says that we started the server. In another's, nothing that
	// exists already is changed.
	ours bool
}

// The roles and the database of the sandbox.
const (
	ownerRole    = "lntpay_owner"
	runtimeRole  = "lntpay_app"
	temporalRole = "lntpay_temporal"
	sandboxDB    = "lntpay_sandbox"
)

// prepare creates the roles, with the given passwords, and the database.
func (d database) prepare(ctx context.Context, passwords map[string]string) error {
	conn, err := pgx.Connect(ctx, d.admin)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, role := range []string{ownerRole, runtimeRole, temporalRole} {
		if err := d.role(ctx, conn, role, passwords[role]); err != nil {
			return err
		}
	}
	missing, err := missingDatabases(ctx, d.admin, map[string]string{sandboxDB: ""})
	if err != nil || !missing[sandboxDB] {
		return err
	}
	// A role may give a database only to a role it belongs to.
	if _, err := conn.Exec(ctx, "GRANT "+ownerRole+" TO CURRENT_USER"); err != nil {
		return fmt.Errorf("become a member of %s: %w", ownerRole, err)
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+sandboxDB+" OWNER "+ownerRole); err != nil {
		return fmt.Errorf("create the database %s: %w", sandboxDB, err)
	}

	return nil
}

// role creates a role, or finds that it exists with our password.
func (d database) role(ctx context.Context, conn *pgx.Conn, role, password string) error {
	if d.opens(ctx, conn, role, password) {
		return nil
	}
	var exists bool
	err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role).Scan(&exists)
	if err != nil {
		return fmt.Errorf("look for the role %s: %w", role, err)
	}
	verb := "CREATE"
	switch {
	case exists && !d.ours:
		return fmt.Errorf("the Postgres given by --database-url already has a role %s with another password: "+
			"use another server, or drop that role and the databases it owns", role)
	case exists:
		verb = "ALTER"
	}
	// Utility statements take no parameters; passwords are ours, in hex.
	statement := fmt.Sprintf("%s ROLE %s LOGIN PASSWORD '%s'", verb, role, password)
	if role == temporalRole {
		statement += " CREATEDB"
	}
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("create the role %s: %w", role, err)
	}

	return nil
}

// opens reports whether a role exists with this password.
func (d database) opens(ctx context.Context, conn *pgx.Conn, role, password string) bool {
	config := conn.Config().Copy()
	config.User, config.Password = role, password
	config.Fallbacks = nil
	as, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false
	}
	_ = as.Close(ctx)

	return true
}

// dsn is a role's DSN for a database of the same server.
func (d database) dsn(role, password, name string) (string, error) {
	config, err := parsePostgres(d.admin)
	if err != nil {
		return "", err
	}

	return postgresDSN(fmt.Sprintf("%s:%d", config.Host, config.Port), role, password, name), nil
}

// missingDatabases says which of the named databases a server lacks.
func missingDatabases(ctx context.Context, dsn string, names map[string]string) (map[string]bool, error) {
	missing := map[string]bool{}
	for name := range names {
		missing[name] = true
	}
	config, err := parsePostgres(dsn)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, "SELECT datname FROM pg_database")
	if err != nil {
		return nil, fmt.Errorf("list the databases: %w", err)
	}
	have, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the databases: %w", err)
	}
	for _, name := range have {
		delete(missing, name)
	}

	return missing, nil
}
