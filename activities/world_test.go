package activities_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/store/storetest"
	"github.com/lntpay/lntpay/workflows"
)

const amount payments.Msat = 21_000

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

func quietSuite() *testsuite.WorkflowTestSuite {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(quietLog()))

	return &suite
}

// world is a real Postgres and a scripted node with the real activities on
// them, and one workspace.
type world struct {
	*activities.Charges
	payouts   *activities.Withdrawals
	nodes     *activities.Nodes
	node      *lightningtest.Node
	nudger    *nudges
	registry  *prometheus.Registry
	workspace string
}

// nudges remembers whom it was asked to nudge.
type nudges struct {
	mu      sync.Mutex
	charges map[string]int
	started []string
	// withdrawals are those that were nudged, in order.
	withdrawals []string
	// fail is how many nudges are lost before one gets through.
	fail int
	// failDeliver is the same of the starts of deliveries.
	failDeliver int
	// arrived gets each nudge that got through.
	arrived chan string
}

func (n *nudges) NudgeCharge(_ context.Context, ref workflows.ChargeRef) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail > 0 {
		n.fail--

		return lightningtest.ErrLost
	}
	n.charges[ref.ID]++
	n.arrived <- ref.ID

	return nil
}

func (n *nudges) NudgeWithdrawal(_ context.Context, ref workflows.WithdrawalRef) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.withdrawals = append(n.withdrawals, ref.ID)

	return nil
}

func (n *nudges) Deliver(_ context.Context, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failDeliver > 0 {
		n.failDeliver--

		return lightningtest.ErrLost
	}
	n.started = append(n.started, id)

	return nil
}

func (n *nudges) of(id string) int {
	n.mu.Lock()
	defer n.mu.Unlock()

	return n.charges[id]
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := storetest.New(t)
	node := lightningtest.New("merchant")
	require.NoError(t, s.PinNode(t.Context(), db.PinNodeParams{Name: node.Name(), Pubkey: node.Pubkey(), Network: "regtest"}))
	keys, err := lightning.NewKeyRing([32]byte{1})
	require.NoError(t, err)
	registry := prometheus.NewRegistry()
	alerts := activities.NewAlerts(quietLog(), registry)
	w := &world{
		node: node, registry: registry, workspace: storetest.Workspace(t, s),
		nudger: &nudges{charges: map[string]int{}, arrived: make(chan string, 10_000)},
	}
	w.Charges = &activities.Charges{
		Store: s, Node: node, Keys: keys, Alerts: alerts, Settle: activities.NewSettler(s, alerts, registry),
	}
	w.nodes = &activities.Nodes{
		Store: s, Node: node, Nudger: w.nudger, Alerts: alerts, Log: quietLog(), Metrics: activities.NewNodeMetrics(registry),
	}
	w.payouts = &activities.Withdrawals{
		Store: s, Node: node, Charges: w.Charges, Alerts: alerts, Log: quietLog(),
		Policy: activities.PayoutPolicy{CLTVLimitBlocks: 1008, TimeoutS: 60, MaxParts: 16},
	}
	runSettler(t, w.Settle)

	return w
}

func runSettler(t *testing.T, settler *activities.Settler) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		settler.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// claim writes the claim of a POST as the API does and returns the id that it
// chose, with the moment by which the opening must start.
func (w *world) claim(t *testing.T, prefix string, request any) (id string, startBy time.Time) {
	t.Helper()
	body, err := json.Marshal(request)
	require.NoError(t, err)
	id = payments.NewID(prefix)
	sum := sha256.Sum256(body)
	claimed, err := w.Store.InsertClaim(t.Context(), db.InsertClaimParams{
		ResourceID: id, WorkspaceID: w.workspace, Path: "/test", Key: &id,
		BodySha256: sum[:], Request: body, RequestID: "req_" + id, Unhurried: true,
	})
	require.NoError(t, err)

	return id, claimed.StartBy
}

// order claims a charge over the usual amount.
func (w *world) order(t *testing.T) workflows.OpenCharge {
	t.Helper()
	id, startBy := w.claim(t, payments.PrefixCharge, payments.ChargeRequest{AmountMsat: amount, ExpiresInS: 3600})

	return workflows.OpenCharge{ChargeID: id, StartBy: startBy}
}

// opened is a charge that was just opened.
func (w *world) opened(t *testing.T) string {
	t.Helper()
	in := w.order(t)
	state, err := w.OpenCharge(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, payments.ChargePending, state.Status)

	return in.ChargeID
}

// halfOpened is the order of a charge that has its row and its invoice on the
// node, and whose opening does not know of the latter.
func (w *world) halfOpened(t *testing.T) workflows.OpenCharge {
	t.Helper()
	in := w.order(t)
	w.node.Inject(lightningtest.AddInvoice, lightningtest.FailAfter)
	_, err := w.OpenCharge(t.Context(), in)
	require.ErrorIs(t, err, lightningtest.ErrLost)

	return in
}

// cancelOrder is a cancel that a client asks for.
func (w *world) cancelOrder(t *testing.T, chargeID string) workflows.CancelCharge {
	t.Helper()
	id, startBy := w.claim(t, "cnl", map[string]string{"charge_id": chargeID})

	return workflows.CancelCharge{ChargeID: chargeID, ClaimID: id, StartBy: startBy}
}

func (w *world) row(t *testing.T, id string) db.Charge {
	t.Helper()
	row, err := w.Store.GetCharge(t.Context(), id)
	require.NoError(t, err)

	return row
}

func (w *world) status(t *testing.T, id string) payments.ChargeStatus {
	t.Helper()

	return payments.ChargeStatus(w.row(t, id).Status)
}

func (w *world) hash(t *testing.T, id string) lightning.Hash {
	t.Helper()

	return lightning.Hash(w.row(t, id).PaymentHash)
}

// pay has the node settle the invoice; 0 is the invoice's own amount. Nobody
// has heard of it yet.
func (w *world) pay(t *testing.T, id string, paid payments.Msat) lightning.Invoice {
	t.Helper()
	invoice, err := w.node.Settle(w.hash(t, id), paid)
	require.NoError(t, err)

	return invoice
}

// receive writes the receipt of a settled invoice as the watcher does.
func (w *world) receive(t *testing.T, invoices ...lightning.Invoice) {
	t.Helper()
	require.NoError(t, w.record(t.Context(), invoices...))
}

func (w *world) record(ctx context.Context, invoices ...lightning.Invoice) error {
	settled := make([]store.Settlement, len(invoices))
	for i, invoice := range invoices {
		settled[i] = store.Settlement{
			PaymentHash: invoice.PaymentHash, AmtPaidMsat: invoice.AmtPaidMsat,
			SettleIndex: invoice.SettleIndex, AddIndex: invoice.AddIndex, SettledAt: invoice.SettledAt,
		}
	}
	_, err := w.Store.WriteReceipts(ctx, w.node.Name(), time.Time{}, settled)

	return err
}

// paid is a charge that was paid and credited.
func (w *world) paid(t *testing.T) string {
	t.Helper()
	id := w.opened(t)
	w.receive(t, w.pay(t, id, 0))
	state, err := w.SettleCharge(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, payments.ChargePaid, state.Status)

	return id
}

// makeDue takes a charge past its expiry.
func (w *world) makeDue(t *testing.T, id string) {
	t.Helper()
	w.exec(t, "UPDATE charge SET expires_at = now() - interval '1 second' WHERE id = $1", id)
}

func (w *world) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := w.Store.Pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// number reads one number.
func (w *world) number(t *testing.T, sql string, args ...any) int64 {
	t.Helper()
	var n int64
	require.NoError(t, w.Store.Pool.QueryRow(t.Context(), sql, args...).Scan(&n))

	return n
}

// breakTable makes every write of a kind (INSERT or UPDATE) to a table fail
// where condition holds, until heal.
func (w *world) breakTable(t *testing.T, table, kind, condition string) (heal func()) {
	t.Helper()
	w.exec(t, `CREATE OR REPLACE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN RAISE EXCEPTION 'injected fault'; END $$`)
	w.exec(t, fmt.Sprintf(`CREATE TRIGGER broken BEFORE %s ON %s FOR EACH ROW WHEN (%s) EXECUTE FUNCTION broken()`,
		kind, table, condition))

	return func() {
		t.Helper()
		w.exec(t, "DROP TRIGGER broken ON "+table)
	}
}

// answer is what is frozen in a claim; status 0 when nothing is.
func (w *world) answer(t *testing.T, claimID string) (status int32, body []byte) {
	t.Helper()
	row, err := w.Store.ReadAnswer(t.Context(), claimID)
	require.NoError(t, err)
	if row.AnswerStatus == nil {
		return 0, nil
	}

	return *row.AnswerStatus, row.Answer
}

// created asserts that the frozen answer is the 201 of a pending charge and
// returns it.
func (w *world) created(t *testing.T, id string) []byte {
	t.Helper()
	status, body := w.answer(t, id)
	require.EqualValues(t, 201, status)
	var charge struct {
		ID             string  `json:"id"`
		Status         string  `json:"status"`
		Bolt11         string  `json:"bolt11"`
		AmountPaidMsat int64   `json:"amount_paid_msat"`
		PaidAt         *string `json:"paid_at"`
	}
	require.NoError(t, json.Unmarshal(body, &charge))
	require.Equal(t, id, charge.ID)
	require.Equal(t, "pending", charge.Status, "as it was at creation")
	require.Equal(t, *w.row(t, id).Bolt11, charge.Bolt11)
	require.Zero(t, charge.AmountPaidMsat)
	require.Nil(t, charge.PaidAt)

	return body
}

// events are the types of a resource's events in order.
func (w *world) events(t *testing.T, id string) []string {
	t.Helper()
	rows, err := w.Store.Pool.Query(t.Context(), "SELECT type FROM event WHERE resource_id = $1 ORDER BY sequence", id)
	require.NoError(t, err)
	defer rows.Close()
	types := []string{}
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		types = append(types, name)
	}
	require.NoError(t, rows.Err())

	return types
}

// alerts is how often an alert was raised.
func (w *world) alerts(t *testing.T, name string) int {
	t.Helper()

	return w.metric(t, "lntpay_alerts_total", name)
}

// metric is the value of a counter or gauge with the given label value; "" for one
// without labels.
func (w *world) metric(t *testing.T, family, label string) int {
	t.Helper()
	families, err := w.registry.Gather()
	require.NoError(t, err)
	for _, one := range families {
		if one.GetName() != family {
			continue
		}
		for _, metric := range one.GetMetric() {
			if label == "" || metric.GetLabel()[0].GetValue() == label {
				return int(metric.GetCounter().GetValue() + metric.GetGauge().GetValue())
			}
		}
	}

	return 0
}

// receiptState is the state of a charge's receipt, "" without one.
func (w *world) receiptState(t *testing.T, hash lightning.Hash) string {
	t.Helper()
	var state string
	_ = w.Store.Pool.QueryRow(t.Context(), "SELECT state FROM receipt WHERE payment_hash = $1", hash[:]).Scan(&state)

	return state
}

// invoices is how many invoices the node has.
func (w *world) invoices(t *testing.T) int {
	t.Helper()
	n := 0
	require.NoError(t, w.node.ListInvoices(t.Context(), 0, 1000, func(page []lightning.Invoice) error {
		n += len(page)

		return nil
	}))

	return n
}

// atOnce runs fn n times at the same time and returns the errors that are not
// nil.
func atOnce(n int, fn func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = fn(i)
		})
	}
	close(start)
	wg.Wait()
	failed := errs[:0]
	for _, err := range errs {
		if err != nil {
			failed = append(failed, err)
		}
	}

	return failed
}

// sameBytes asserts that two frozen bodies are the same bytes.
func sameBytes(t *testing.T, want, got []byte) {
	t.Helper()
	require.True(t, bytes.Equal(want, got), "want %s, got %s", want, got)
}
