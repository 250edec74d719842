package tools

import "slices"

// Name names a tool.
type Name string

// The tools.
const (
	Btcd            Name = "btcd"
	Lnd             Name = "lnd"
	TemporalServer  Name = "temporal-server"
	TemporalSQLTool Name = "temporal-sql-tool"
	TemporalUI      Name = "temporal-ui"
	Caddy           Name = "caddy"
	Sqlc            Name = "sqlc"
	GolangciLint    Name = "golangci-lint"
	Workflowcheck   Name = "workflowcheck"
)

// Stack are the tools that the development stack runs.
func Stack() []Name {
	return []Name{Btcd, Lnd, TemporalServer, TemporalSQLTool, TemporalUI}
}

// All are all tools, in the order in which they are best built.
func All() []Name { return append(Stack(), Sqlc, GolangciLint, Workflowcheck, Caddy) }

// Valid reports whether n is a tool.
func (n Name) Valid() bool { return slices.Contains(All(), n) }

// recipe says how a tool is built.
type recipe struct {
	// module is the folder beside this file that holds its go.mod.
	module string
	// pkg is the main package.
	pkg string
	// tags are build tags. They are part of the build cache's key: change
	// one and everybody builds for minutes.
	tags string
	// cgo is needed by sqlc, whose Postgres parser is C.
	cgo bool
	// patches change its source; see btcdPatches.
	patches []patch
	// cold is how long a build from an empty cache takes on two cores.
	cold string
}

// lndTags: the sub-servers that the product calls, and SQLite as an
// alternative database of lnd.
const lndTags = "autopilotrpc invoicesrpc routerrpc signrpc walletrpc chainrpc peersrpc kvdb_sqlite"

func recipes() map[Name]recipe {
	return map[Name]recipe{
		Btcd: {module: "btcd", pkg: "github.com/btcsuite/btcd", patches: btcdPatches(), cold: "30 s"},
		Lnd: {
			module: "lnd", pkg: "github.com/lightningnetwork/lnd/cmd/lnd", tags: lndTags, cold: "5 min 40 s",
		},
		TemporalServer:  {module: "temporal", pkg: "go.temporal.io/server/cmd/server", cold: "5 min 10 s"},
		TemporalSQLTool: {module: "temporal", pkg: "go.temporal.io/server/cmd/tools/sql", cold: "seconds after the server"},
		TemporalUI:      {module: "ui", pkg: "github.com/temporalio/ui-server/v2/cmd/server", cold: "15 s"},
		// The proxy of docker-compose.yml; the development stack has none.
		Caddy: {module: "caddy", pkg: "github.com/caddyserver/caddy/v2/cmd/caddy", cold: "1 min"},
		Sqlc:  {module: "sqlc", pkg: "github.com/sqlc-dev/sqlc/cmd/sqlc", cgo: true, cold: "3 min"},
		GolangciLint: {
			module: "lint", pkg: "github.com/golangci/golangci-lint/v2/cmd/golangci-lint", cold: "3 min",
		},
		Workflowcheck: {module: "lint", pkg: "go.temporal.io/sdk/contrib/tools/workflowcheck", cold: "20 s"},
	}
}
