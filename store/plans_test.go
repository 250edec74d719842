package store_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/store/storetest"
)

// growing are the tables that get rows with each payment, for ever.
var growing = []string{"charge", "claim", "receipt", "transfer", "event", "delivery", "delivery_attempt", "withdrawal", "send", "balance", "event_sequence"}

// wholeTables are the statements that are meant to read all of a table, and why.
var wholeTables = map[string]string{
	"checkCharges":       "reconciliation: the whole books are its subject",
	"checkEvents":        "reconciliation: the whole books are its subject",
	"checkLocks":         "reconciliation: the whole books are its subject",
	"checkLosses":        "reconciliation: the whole books are its subject",
	"checkReceipts":      "reconciliation: the whole books are its subject",
	"checkWithdrawals":   "reconciliation: the whole books are its subject",
	"liabilities":        "reconciliation: the whole books are its subject",
	"uncredited":         "reconciliation: the whole books are its subject",
	"lowestAddIndex":     "reconciliation: the whole books are its subject",
	"booksTotal":         "reconciliation: the whole books are its subject",
	"checkBalances":      "reconciliation: the whole books are its subject",
	"checkTransfers":     "reconciliation: the whole books are its subject",
	"unsealedWorkspaces": "the seal of a minute: whose version is past its blocks",
	"countUnsealed":      "the same, counted",
}

// node is one of a plan as EXPLAIN (FORMAT JSON) prints it.
type planNode struct {
	NodeType  string     `json:"Node Type"`
	Relation  string     `json:"Relation Name"`
	Index     string     `json:"Index Name"`
	IndexCond string     `json:"Index Cond"`
	Plans     []planNode `json:"Plans"`
}

// A statement finds the rows it needs by an index, whatever the planner thinks
// of the sizes: settling once read all balances, and putting a second receipt
// into suspense all receipts.
func TestNoStatementReadsAGrowingTable(t *testing.T) {
	t.Parallel()
	statements, err := storetest.Statements("db", "../ledger/ledgerdb")
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), storetest.NewDatabase(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	_, err = conn.Exec(t.Context(), "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
	require.NoError(t, err)
	partial := partialIndexes(t, conn)
	found := map[string]bool{}
	for i, statement := range statements {
		reads := plan(t, conn, fmt.Sprintf("s%d", i), statement.SQL).readsWhole(partial)
		if len(reads) == 0 {
			continue
		}
		found[statement.Name] = true
		assert.Contains(t, wholeTables, statement.Name, "it reads all of %s", strings.Join(reads, ", "))
	}
	for name := range wholeTables {
		require.True(t, found[name], "%s reads no whole table any more", name)
	}
}

// partialIndexes are small, however their table grows: reading one whole is fine.
func partialIndexes(t *testing.T, conn *pgx.Conn) map[string]bool {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT indexrelid::regclass::text FROM pg_index WHERE indpred IS NOT NULL")
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	partial := map[string]bool{}
	for _, name := range names {
		partial[name] = true
	}

	return partial
}

// plan explains a statement for parameters that nobody knows yet.
func plan(t *testing.T, conn *pgx.Conn, name, sql string) planNode {
	t.Helper()
	prepared, err := conn.Prepare(t.Context(), name, sql)
	require.NoError(t, err, sql)
	nulls := ""
	if n := len(prepared.ParamOIDs); n > 0 {
		nulls = "(" + strings.TrimSuffix(strings.Repeat("NULL,", n), ",") + ")"
	}
	rows, err := conn.Query(t.Context(), "EXPLAIN (FORMAT JSON) EXECUTE "+name+nulls, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err, sql)
	text, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
	require.NoError(t, err, sql)
	var plans []struct{ Plan planNode }
	require.NoError(t, json.Unmarshal([]byte(text), &plans))

	return plans[0].Plan
}

// readsWhole names the growing tables that a plan reads from end to end.
func (n planNode) readsWhole(partial map[string]bool) (tables []string) {
	for _, table := range growing {
		scanned := n.NodeType == "Seq Scan" || strings.HasPrefix(n.NodeType, "Index") && n.IndexCond == "" && !partial[n.Index]
		if n.Relation == table && scanned {
			tables = append(tables, table)
		}
	}
	for _, child := range n.Plans {
		tables = append(tables, child.readsWhole(partial)...)
	}

	return tables
}
