package load

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

const (
	// creditedWithin bounds the wait for credits, longer than what is
	// promised, so that a broken promise is reported with its figure.
	creditedWithin = 90 * time.Second
	// DeliveredWithin is for an attempt that died with its worker: a minute
	// until its row is overdue, one more until it counts as forgotten, and
	// one until the sweeper comes by.
	DeliveredWithin = 3 * time.Minute
	// CreditWithin is what the product promises: what the node settled is
	// credited this soon after the recovery.
	CreditWithin = 15 * time.Second
	// Poll is between two looks at what must come true.
	Poll = 25 * time.Millisecond
)

type transferObject struct {
	Kind       string
	Ref        string
	AmountMsat int64 `json:"amount_msat"`
	Sequence   int64
	CreatedAt  time.Time `json:"created_at"`
}

// Event is a row: what was to be delivered, and when it came to be.
type Event struct {
	ID         string
	Type       string
	Sequence   int64
	ResourceID string
	CreatedAt  time.Time
}

// Events reads all events of the workspace, in their order.
func Events(t *testing.T, s Target) []Event {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.DatabaseURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), `SELECT id, type, sequence, resource_id, created_at
		FROM event WHERE workspace_id = $1 ORDER BY sequence`, s.WorkspaceID)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Event])
	require.NoError(t, err)

	return list
}

// Check compares the workspace with the merchant's node after outages, and how
// long credits took with what is promised.
func (w *Workspace) Check(t *testing.T, s Target, what string, outages []Outage) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checkDelays(t, what, w.checkBooks(t, s), outages)
}

// CheckBooks compares the workspace with the merchant's node, where Postgres'
// clock and ours were not the same and times cannot be compared.
func (w *Workspace) CheckBooks(t *testing.T, s Target) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checkBooks(t, s)
	w.checked = time.Now()
}

func (w *Workspace) checkBooks(t *testing.T, s Target) map[string]transferObject {
	t.Helper()
	require.Empty(t, w.Wrong)
	onNode := Settled(t, s.Merchant)
	due := int64(0)
	for _, charge := range w.byKey {
		due += onNode[charge.PaymentHash]
	}
	w.AwaitBalance(t, due)
	w.checkCharges(t, onNode)
	transfers := w.checkTransfers(t, onNode)
	w.checkEvents(t, s)

	return transfers
}

// AwaitBalance waits until the balance is what the node received.
func (w *Workspace) AwaitBalance(t *testing.T, due int64) {
	t.Helper()
	balance := int64(-1)
	deadline := time.Now().Add(creditedWithin)
	for balance != due && time.Now().Before(deadline) {
		balance = Get[struct {
			AvailableMsat int64 `json:"available_msat"`
		}](t, &w.Client, "/v1/balance").AvailableMsat
		Pause(t, 4*Poll, nil)
	}
	require.Equal(t, due, balance, "the balance is not what the node received")
}

// checkCharges: each key has one charge, the one it was answered with, and
// what the node settled is paid.
func (w *Workspace) checkCharges(t *testing.T, onNode map[string]int64) {
	t.Helper()
	charges := All[ChargeObject](t, &w.Client, "/v1/charges")
	require.Len(t, charges, len(w.byKey), "charges and keys")
	for _, charge := range charges {
		require.Equal(t, w.byKey[charge.ExternalID].ID, charge.ID, "two charges for one key")
		amount, paid := onNode[charge.PaymentHash]
		if _, seen := w.paidAt[charge.ID]; seen {
			require.True(t, paid, "the payer paid %s, the node does not know", charge.ID)
		}
		switch {
		case paid:
			require.Equal(t, "paid", charge.Status, charge.ID)
			require.Equal(t, amount, charge.AmountPaidMsat, charge.ID)
		case !w.mayExpire[charge.ID]:
			require.Equal(t, "pending", charge.Status, charge.ID)
		default:
			require.Contains(t, []string{"pending", "expired"}, charge.Status, charge.ID)
		}
	}
}

// checkTransfers: one credit for each settled charge, of the node's amount,
// and no gap between the sequence numbers.
func (w *Workspace) checkTransfers(t *testing.T, onNode map[string]int64) map[string]transferObject {
	t.Helper()
	list := All[transferObject](t, &w.Client, "/v1/ledger/transfers")
	slices.Reverse(list)
	byCharge := map[string]transferObject{}
	for i, transfer := range list {
		require.EqualValues(t, i+1, transfer.Sequence)
		require.Equal(t, "charge_settled", transfer.Kind)
		require.NotContains(t, byCharge, transfer.Ref, "credited twice")
		byCharge[transfer.Ref] = transfer
	}
	credited := 0
	for _, charge := range w.byKey {
		if amount, paid := onNode[charge.PaymentHash]; paid {
			credited++
			require.Equal(t, amount, byCharge[charge.ID].AmountMsat, charge.ID)
		}
	}
	require.Len(t, byCharge, credited, "credits without a payment")

	return byCharge
}

// checkEvents: one event for each paid charge, and at most one for each that may
// expire; no gap between the numbers.
func (w *Workspace) checkEvents(t *testing.T, s Target) {
	t.Helper()
	told := map[string]bool{}
	for i, event := range Events(t, s) {
		require.EqualValues(t, i+1, event.Sequence)
		if event.Type != "charge.expired" || !w.mayExpire[event.ResourceID] {
			require.Equal(t, "charge.paid", event.Type)
		}
		require.False(t, told[event.ResourceID], "two events of %s", event.ResourceID)
		told[event.ResourceID] = true
	}
	for id := range w.paidAt {
		require.True(t, told[id], "no event of %s", id)
	}
}

// checkDelays: what the node settled was credited in time, counted from the
// end of the last outage that held it up.
func (w *Workspace) checkDelays(t *testing.T, what string, transfers map[string]transferObject, outages []Outage) {
	t.Helper()
	began := w.checked
	w.checked = time.Now()
	worst, worstAfter, held, count := time.Duration(0), time.Duration(0), 0, 0
	for id, paidAt := range w.paidAt {
		if paidAt.Before(began) {
			continue
		}
		count++
		from, credited := paidAt, transfers[id].CreatedAt
		for _, o := range outages {
			if from.Before(o.To) && credited.After(o.From) {
				from = o.To
			}
		}
		worst = max(worst, credited.Sub(paidAt))
		if from != paidAt && credited.After(from) {
			held++
			worstAfter = max(worstAfter, credited.Sub(from))
		}
		require.LessOrEqual(t, credited.Sub(from), CreditWithin, "%s waited for its credit", id)
	}
	t.Logf("%s: %d charges paid; all credited %s after the recovery (%d were open then); the longest wait from payment to credit was %s",
		what, count, worstAfter.Round(time.Millisecond), held, worst.Round(time.Millisecond))
}

// CheckDeliveries checks that every event of a paid charge arrived, signed.
func (w *Workspace) CheckDeliveries(t *testing.T, s Target) {
	events := Events(t, s)
	var missing []string
	require.Eventually(t, func() bool {
		first, _, _ := w.receiver.arrived()
		missing = missing[:0]
		for _, event := range events {
			if _, ok := first[event.ID]; !ok {
				missing = append(missing, event.ID)
			}
		}

		return len(missing) == 0
	}, DeliveredWithin, 4*Poll, "events that never arrived: %s", &Lazy{Texts: &missing})
	first, count, forged := w.receiver.arrived()
	require.Zero(t, forged, "deliveries with a wrong signature")
	var delays []time.Duration
	for _, event := range events {
		delays = append(delays, first[event.ID].Sub(event.CreatedAt))
	}
	slices.Sort(delays)
	require.NotEmpty(t, delays)
	t.Logf("%d events came in %d deliveries; half within %s, 99 %% within %s, the last after %s", len(events), count,
		delays[len(delays)/2].Round(time.Millisecond), delays[len(delays)*99/100].Round(time.Millisecond),
		delays[len(delays)-1].Round(time.Millisecond))
	require.Len(t, slices.Collect(maps.Keys(first)), len(events), "events that the API does not know")
}
