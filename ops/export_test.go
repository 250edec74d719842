package ops_test

import (
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ops"
)

// charge writes a paid charge with a text that a client chose.
func (b *bundle) charge(id, description string) {
	b.t.Helper()
	_, err := b.Pool.Exec(b.t.Context(), `INSERT INTO charge (id, workspace_id, node, key_id, payment_hash, status, amount_msat,
			amount_paid_msat, description, metadata, expires_in_s, bolt11, created_at, expires_at, paid_at, closed_at)
		VALUES ($1::text, $2, $3, 'k', sha256($1::text::bytea), 'paid', 21000, 21000, $4, '{"order": 7}', 60, 'lnbcrt1x',
			'2026-11-01 10:00:00.5Z', '2026-11-01 10:01Z', '2026-11-01 10:00:30Z', '2026-11-01 10:00:30Z')`, id, b.workspace, node, description)
	require.NoError(b.t, err)
}

// csvOf reads an export back, each row by the names of its columns.
func csvOf(t *testing.T, out string) []map[string]string {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	require.NoError(t, err)
	rows := []map[string]string{}
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, column := range records[0] {
			row[column] = record[i]
		}
		rows = append(rows, row)
	}

	return rows
}

func TestExportCharges(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.charge("ch_1", `=HYPERLINK("http://evil","x")`)
	b.charge("ch_2", "two\nlines, \"quoted\" <&>")
	b.charge("ch_3", "plain")
	out, err := b.run("export", "charges")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(out, "id,workspace_id,node,status,amount_msat,amount_paid_msat,payment_hash,"), out)
	require.Equal(t, 4, strings.Count(out, "\r\n"), "RFC 4180: one after each row and none inside fields")
	rows := csvOf(t, out)
	require.Len(t, rows, 3)
	require.Equal(t, `'=HYPERLINK("http://evil","x")`, rows[0]["description"])
	require.Equal(t, "two\nlines, \"quoted\" <&>", rows[1]["description"])
	require.Equal(t, "21000", rows[2]["amount_msat"])
	require.Equal(t, "2026-11-01T10:00:00.500000Z", rows[2]["created_at"])
	require.Equal(t, `{"order": 7}`, rows[2]["metadata"])
	require.Empty(t, rows[2]["external_id"])

	out, err = b.run("export", "charges", "--format", "jsonl")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	require.Len(t, lines, 3)
	var row map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &row))
	require.Equal(t, `=HYPERLINK("http://evil","x")`, row["description"], "only CSV is read by spreadsheets")
	require.Nil(t, row["external_id"])
	require.Equal(t, map[string]any{"order": 7.0}, row["metadata"])
	require.InEpsilon(t, 21000.0, row["amount_msat"], 0)

	for line, want := range map[string]int{
		"--workspace " + b.workspace: 3, "--workspace " + someWorkspace: 0, "--from 2026-11-01": 3, "--from 2026-11-02": 0,
		"--to 2026-11-01": 0, "--to 2026-11-01T10:00:01Z": 3,
	} {
		out, err := b.run(append([]string{"export", "charges"}, strings.Fields(line)...)...)
		require.NoError(t, err)
		require.Len(t, csvOf(t, out), want, line)
	}
}

// The proof of a payment is the client's: it is in no export.
func TestExportsHoldNoPreimages(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	id := b.withdrawal()
	preimage := strings.Repeat("c0ffee00", 8)
	secret, err := hex.DecodeString(preimage)
	require.NoError(t, err)
	_, err = b.Pool.Exec(t.Context(), `UPDATE withdrawal SET status = 'succeeded', preimage = $1, completed_at = now(), next_check_at = NULL
		WHERE id = $2`, secret, id)
	require.NoError(t, err)
	row, err := b.GetWithdrawal(t.Context(), id)
	require.NoError(t, err)
	payload, err := json.Marshal(map[string]any{"data": b.Withdrawal(row)})
	require.NoError(t, err)
	require.Contains(t, string(payload), preimage)
	_, err = b.Pool.Exec(t.Context(), `INSERT INTO event (workspace_id, sequence, id, type, resource_id, payload)
		VALUES ($1, 1, 'evt_1', 'withdrawal.succeeded', $2, $3)`, b.workspace, id, payload)
	require.NoError(t, err)
	b.received(node, 3)
	for _, format := range []string{"csv", "jsonl"} {
		for _, what := range []string{"charges", "withdrawals", "transfers", "events", "receipts", "audit", "blocks", "heads"} {
			out, err := b.run("export", what, "--format", format)
			require.NoError(t, err, what)
			require.NotContains(t, out, preimage, what)
		}
	}
	out, err := b.run("export", "withdrawals")
	require.NoError(t, err)
	require.Equal(t, "succeeded", csvOf(t, out)[0]["status"])
	out, err = b.run("export", "events", "--format", "jsonl")
	require.NoError(t, err)
	require.Contains(t, out, `"preimage":null`)
	out, err = b.run("export", "receipts")
	require.NoError(t, err)
	require.Equal(t, "suspense", csvOf(t, out)[0]["state"])
	require.Empty(t, csvOf(t, out)[0]["workspace_id"])
}

// 100,000 rows take seconds, of one instant, in a file that is whole.
func TestExportOfManyRows(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	const n = 100_000
	_, err := b.Pool.Exec(t.Context(), `INSERT INTO transfer SELECT $1, i, 'txf_' || i, 'charge_settled', 'ch_' || i, 10, 1, 5, 5 * i, 0
		FROM generate_series(1, $2::bigint) i`, b.workspace, n)
	require.NoError(t, err)
	for _, format := range []string{"csv", "jsonl"} {
		file := filepath.Join(t.TempDir(), "transfers")
		began := time.Now()
		out, err := b.run("export", "transfers", "--format", format, "--out", file, "--json")
		require.NoError(t, err)
		t.Logf("%d rows in %s as %s", n, time.Since(began), format)
		var done ops.Exported
		require.NoError(t, json.Unmarshal([]byte(out), &done))
		require.EqualValues(t, n, done.Rows)
		written, err := os.ReadFile(file)
		require.NoError(t, err)
		if format == "csv" {
			rows := csvOf(t, string(written))
			require.Len(t, rows, n)
			require.Equal(t, "100000", rows[n-1]["sequence"])
		} else {
			require.Equal(t, n, strings.Count(string(written), "\n"))
		}
		_, err = b.run("export", "transfers", "--out", file)
		require.ErrorContains(t, err, "is there already")
		left, err := os.ReadDir(filepath.Dir(file))
		require.NoError(t, err)
		require.Len(t, left, 1)
	}
}
