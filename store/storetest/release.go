package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Release is what a later version must be able to take over: the data that it
// left, and the statements that its processes still run while they are replaced
// one by one.
//
//	<dir>/<migration>/<table>.copy       a line of columns, then COPY's text
//	<dir>/<migration>/statements.json
type Release struct {
	// Version is the last migration that the release has.
	Version int64
	dir     string
}

// Statement is one query of a release, and what Postgres said of it.
type Statement struct {
	Name    string   `json:"name"`
	SQL     string   `json:"sql"`
	Params  []uint32 `json:"params"`
	Columns []Column `json:"columns"`
}

// Column is a column of a statement's result; Type is the OID of a built-in
// type.
type Column struct {
	Name string `json:"name"`
	Type uint32 `json:"type"`
}

const (
	statementsFile = "statements.json"
	copySuffix     = ".copy"
)

// Releases are those that were recorded in dir, the oldest first.
func Releases(dir string) ([]Release, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var releases []Release
	for _, entry := range entries {
		version, err := strconv.ParseInt(entry.Name(), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is not the number of a migration: %w", entry.Name(), err)
		}
		releases = append(releases, Release{Version: version, dir: filepath.Join(dir, entry.Name())})
	}

	return releases, nil
}

// Record writes what the database holds, and the statements of the generated
// code in sources, as the release of its migration.
func Record(ctx context.Context, dsn, dir string, sources ...string) (Release, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return Release{}, err
	}
	defer conn.Close(ctx)
	var r Release
	if err := conn.QueryRow(ctx, `SELECT max(version_id) FROM goose_db_version WHERE is_applied`).Scan(&r.Version); err != nil {
		return r, err
	}
	r.dir = filepath.Join(dir, fmt.Sprintf("%05d", r.Version))
	if err := os.RemoveAll(r.dir); err != nil {
		return r, err
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil { //nolint:gosec // It is committed.
		return r, err
	}
	if err := r.recordData(ctx, conn); err != nil {
		return r, err
	}

	return r, r.recordStatements(ctx, conn, sources)
}

func (r Release) recordData(ctx context.Context, conn *pgx.Conn) error {
	tables, err := Tables(ctx, conn)
	if err != nil {
		return err
	}
	for table, columns := range tables {
		list := quoted(columns)
		content := bytes.NewBufferString(list + "\n")
		if _, err := conn.PgConn().CopyTo(ctx, content,
			fmt.Sprintf("COPY (SELECT %s FROM %s ORDER BY 1, 2) TO STDOUT", list, table)); err != nil {
			return fmt.Errorf("read %s: %w", table, err)
		}
		if err := os.WriteFile(filepath.Join(r.dir, table+copySuffix), content.Bytes(), 0o600); err != nil {
			return err
		}
	}

	return nil
}

// Tables are ours, with their columns in order; the environment's mark and the
// list of migrations are the migrations' own.
func Tables(ctx context.Context, conn *pgx.Conn) (map[string][]string, error) {
	rows, err := conn.Query(ctx, `
		SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
			AND c.relname NOT IN ('goose_db_version', 'environment')
		ORDER BY c.relname, a.attnum`)
	if err != nil {
		return nil, err
	}
	tables := map[string][]string{}
	var table, column string
	_, err = pgx.ForEachRow(rows, []any{&table, &column}, func() error {
		tables[table] = append(tables[table], column)

		return nil
	})

	return tables, err
}

func quoted(columns []string) string {
	all := make([]string, len(columns))
	for i, column := range columns {
		all[i] = pgx.Identifier{column}.Sanitize()
	}

	return strings.Join(all, ", ")
}

func (r Release) recordStatements(ctx context.Context, conn *pgx.Conn, sources []string) error {
	var all []Statement
	for _, source := range sources {
		found, err := statements(source)
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	for i := range all {
		described, err := Describe(ctx, conn, all[i])
		if err != nil {
			return err
		}
		all[i] = described
	}
	content, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}

	return os.WriteFile(filepath.Join(r.dir, statementsFile), append(content, '\n'), 0o600)
}

// Statements are those of the packages that sqlc wrote.
func Statements(dirs ...string) (all []Statement, err error) {
	for _, dir := range dirs {
		found, err := statements(dir)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}

	return all, nil
}

// statements finds the constants that sqlc writes: each is a query.
func statements(dir string) ([]Statement, error) {
	var found []Statement
	paths, err := filepath.Glob(filepath.Join(dir, "*.sql.go"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			literal, ok := spec.Values[0].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if sql, err := strconv.Unquote(literal.Value); err == nil && strings.HasPrefix(sql, "-- name:") {
				found = append(found, Statement{Name: spec.Names[0].Name, SQL: sql})
			}

			return true
		})
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s holds no statements", dir)
	}

	return found, nil
}

// Describe asks the database what it makes of a statement.
func Describe(ctx context.Context, conn *pgx.Conn, s Statement) (Statement, error) {
	described, err := conn.PgConn().Prepare(ctx, "", s.SQL, nil)
	if err != nil {
		return s, fmt.Errorf("%s: %w", s.Name, err)
	}
	s.Params, s.Columns = slices.Clone(described.ParamOIDs), nil
	for _, field := range described.Fields {
		s.Columns = append(s.Columns, Column{Name: field.Name, Type: field.DataTypeOID})
	}

	return s, nil
}

// Statements are the queries that the release runs.
func (r Release) Statements() ([]Statement, error) {
	content, err := os.ReadFile(filepath.Join(r.dir, statementsFile))
	if err != nil {
		return nil, err
	}
	var all []Statement

	return all, json.Unmarshal(content, &all)
}

// Load fills a database that has the release's schema and no rows. It is the
// superuser's: triggers and foreign keys are not asked, since what is loaded was
// written under them.
func (r Release) Load(ctx context.Context, conn *pgx.Conn) error {
	paths, err := fs.Glob(os.DirFS(r.dir), "*"+copySuffix)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return errors.New("the release has no data")
	}
	if _, err := conn.Exec(ctx, "SET session_replication_role = replica"); err != nil {
		return err
	}
	for _, path := range paths {
		content, err := os.ReadFile(filepath.Join(r.dir, path))
		if err != nil {
			return err
		}
		columns, data, _ := bytes.Cut(content, []byte("\n"))
		table := strings.TrimSuffix(path, copySuffix)
		if _, err := conn.PgConn().CopyFrom(ctx, bytes.NewReader(data),
			fmt.Sprintf("COPY %s (%s) FROM STDIN", table, columns)); err != nil {
			return fmt.Errorf("load %s: %w", table, err)
		}
	}
	if _, err := conn.Exec(ctx, "RESET session_replication_role"); err != nil {
		return err
	}

	return advanceIdentities(ctx, conn)
}

// advanceIdentities lets numbered tables go on after the rows that were loaded.
func advanceIdentities(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `
		SELECT format('SELECT setval(pg_get_serial_sequence(%1$L, %2$L), coalesce(max(%2$I), 0) + 1, false) FROM %1$I',
			c.relname, a.attname)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'public'::regnamespace AND a.attidentity <> '' AND c.relname <> 'goose_db_version'`)
	if err != nil {
		return err
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}

	return nil
}
