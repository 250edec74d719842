package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
)

const (
	// plantedNode is no node of any worker's: neither watcher nor sweeper cares.
	plantedNode = "planted"
	plantedMsat = 10_000
	// plantedOver is the time over which closed charges were made.
	plantedOver = 90 * 24 * time.Hour
	// openFor is that of those that are open; their expiry is a week.
	openFor = 6 * 24 * time.Hour
	// plantedBatch is how many are copied at a time.
	plantedBatch = 20_000
	// Of the closed charges most are paid, some expired, few canceled.
	expiredOfThousand  = 190
	canceledOfThousand = 1
)

// planter writes charges with all that real ones leave behind: claims with
// frozen answers, receipts, transfers, events, the balance and the sequences.
type planter struct {
	*side

	conn *pgx.Conn
	now  time.Time
	// What the ledger and the events have come to.
	transfers, events, available int64
	rows                         map[string][][]any
}

// columns are those that are written, by table, in the order of writing.
var columns = []struct {
	table string
	names []string
}{
	{"claim", []string{"resource_id", "workspace_id", "path", "body_sha256", "request", "request_id", "answer_status", "answer", "created_at", "answered_at"}},
	{"charge", []string{
		"id", "workspace_id", "node", "key_id", "payment_hash", "status", "amount_msat", "amount_paid_msat", "description", "external_id", "expires_in_s",
		"bolt11", "add_index", "created_at", "expires_at", "paid_at", "closed_at", "next_check_at",
	}},
	{"receipt", []string{"node", "payment_hash", "amt_paid_msat", "settle_index", "settled_at", "recorded_at", "charge_id", "state"}},
	{"transfer", []string{
		"workspace_id", "sequence", "id", "kind", "ref", "debit_account", "credit_account", "amount_msat", "available_after_msat", "locked_after_msat", "created_at",
	}},
	{"event", []string{"workspace_id", "sequence", "id", "type", "resource_id", "payload", "created_at"}},
}

// plant fills the side's workspace, which has nothing yet, with so many charges.
func (s *side) plant(ctx context.Context, open, closed int) error {
	dsn, err := s.dev.AdminURL(s.name)
	if err != nil {
		return err
	}
	p := &planter{side: s, now: time.Now().UTC(), rows: map[string][][]any{}}
	if p.conn, err = pgx.Connect(ctx, dsn); err != nil {
		return err
	}
	defer p.conn.Close(ctx)
	// The triggers that count each charge are left out; finish counts all.
	if _, err := p.conn.Exec(ctx, `SET session_replication_role = replica`); err != nil {
		return err
	}
	for i := range closed {
		// Even milliseconds are of closed charges, odd ones of open: ids are
		// made of the time.
		age := plantedOver - plantedOver/time.Duration(closed+1)*time.Duration(i)
		if err := p.add(ctx, p.status(i), i, p.now.Add(-age).Truncate(2*time.Millisecond)); err != nil {
			return err
		}
	}
	for i := range open {
		age := openFor - openFor/time.Duration(open+1)*time.Duration(i)
		if err := p.add(ctx, payments.ChargePending, closed+i, p.now.Add(-age).Truncate(2*time.Millisecond).Add(time.Millisecond)); err != nil {
			return err
		}
	}
	if err := p.flush(ctx); err != nil {
		return err
	}

	return p.finish(ctx)
}

func (p *planter) status(i int) payments.ChargeStatus {
	switch n := i % 1000; {
	case n < canceledOfThousand:
		return payments.ChargeCanceled
	case n < canceledOfThousand+expiredOfThousand:
		return payments.ChargeExpired
	}

	return payments.ChargePaid
}

// add writes one charge that was made then.
func (p *planter) add(ctx context.Context, status payments.ChargeStatus, n int, created time.Time) error {
	hash := sha256.Sum256(fmt.Appendf(nil, "%s/%d", p.name, n))
	external := fmt.Sprintf("order-%d", n)
	description := "one API call"
	charge := payments.Charge{
		ID: payments.FirstID(payments.PrefixCharge, created), WorkspaceID: p.workspace, Environment: payments.Sandbox,
		Status: payments.ChargePending, AmountMsat: plantedMsat, Description: &description, ExternalID: &external,
		// As long as a real one's.
		Bolt11:      "lnbcrt100n1" + fmt.Sprintf("%0300d", n),
		PaymentHash: hash[:], CreatedAt: created, ExpiresAt: created.Add(7 * 24 * time.Hour),
	}
	answer, err := json.Marshal(charge)
	if err != nil {
		return err
	}
	request, err := json.Marshal(payments.ChargeRequest{
		AmountMsat: plantedMsat, Description: &description, ExternalID: &external, ExpiresInS: 604_800, Metadata: map[string]string{},
	})
	if err != nil {
		return err
	}
	p.row("claim", charge.ID, p.workspace, "/v1/charges", hash[:], request, payments.NewID("req"), 201, answer, created, created)
	charge.Status = status
	if err := p.close(&charge, n); err != nil {
		return err
	}
	if len(p.rows["claim"]) < plantedBatch {
		return nil
	}

	return p.flush(ctx)
}

// close writes the charge as it is now, and what its end has left.
func (p *planter) close(charge *payments.Charge, n int) error {
	closed := charge.CreatedAt.Add(20 * time.Second)
	var paidAt, closedAt, next *time.Time
	switch charge.Status {
	case payments.ChargePaid:
		charge.AmountPaidMsat, charge.PaidAt, paidAt, closedAt = plantedMsat, &closed, &closed, &closed
		p.row("receipt", plantedNode, charge.PaymentHash, plantedMsat, n+1, closed, closed, charge.ID, "credited")
		p.transfers++
		p.available += plantedMsat
		p.row("transfer", p.workspace, p.transfers, payments.FirstID(payments.PrefixTransfer, closed), string(ledger.KindChargeSettled), charge.ID,
			int16(ledger.LightningClearing), int16(ledger.Available), plantedMsat, p.available, 0, closed)
	case payments.ChargeExpired, payments.ChargeCanceled:
		closedAt = &closed
	case payments.ChargeCreating, payments.ChargePending:
		next = &charge.ExpiresAt
	}
	p.row("charge", charge.ID, p.workspace, plantedNode, "bench", charge.PaymentHash, string(charge.Status), plantedMsat, int64(charge.AmountPaidMsat),
		charge.Description, charge.ExternalID, 604_800, charge.Bolt11, n+1, charge.CreatedAt, charge.ExpiresAt, paidAt, closedAt, next)
	if closedAt == nil {
		return nil
	}
	p.events++
	event := payments.Event{
		ID: payments.FirstID(payments.PrefixEvent, closed), WorkspaceID: p.workspace, Environment: payments.Sandbox,
		Type: payments.EventType("charge." + string(charge.Status)), Sequence: p.events, CreatedAt: closed, Object: *charge,
	}
	payload, err := json.Marshal(event)
	if err != nil {
		return err
	}
	p.row("event", p.workspace, event.Sequence, event.ID, string(event.Type), charge.ID, payload, closed)

	return nil
}

func (p *planter) row(table string, values ...any) { p.rows[table] = append(p.rows[table], values) }

// flush copies what has come together.
func (p *planter) flush(ctx context.Context) error {
	for _, of := range columns {
		_, err := p.conn.CopyFrom(ctx, pgx.Identifier{of.table}, of.names, pgx.CopyFromRows(p.rows[of.table]))
		if err != nil {
			return fmt.Errorf("plant into %s: %w", of.table, err)
		}
		p.rows[of.table] = p.rows[of.table][:0]
	}

	return nil
}

// finish makes balance and sequences true, seals the transfers as the sweeper
// would, and brings the planner's statistics up to date as autovacuum would.
func (p *planter) finish(ctx context.Context) error {
	if _, err := p.conn.Exec(ctx, `INSERT INTO balance (workspace_id, available_msat, version) VALUES ($1, $2, $3)
		ON CONFLICT (workspace_id) DO UPDATE SET available_msat = $2, version = $3`, p.workspace, p.available, p.transfers); err != nil {
		return err
	}
	if _, err := p.conn.Exec(ctx, `INSERT INTO event_sequence (workspace_id, last) VALUES ($1, $2)
		ON CONFLICT (workspace_id) DO UPDATE SET last = $2`, p.workspace, p.events); err != nil {
		return err
	}
	if _, err := p.conn.Exec(ctx, `INSERT INTO charge_usage_hour
		SELECT workspace_id, date_trunc('hour', created_at, 'UTC'), 0, count(*), count(*) FILTER (WHERE status = 'paid'),
			count(*) FILTER (WHERE status = 'expired'), count(*) FILTER (WHERE status = 'canceled'), sum(amount_msat), sum(amount_paid_msat)
		FROM charge GROUP BY 1, 2`); err != nil {
		return err
	}
	for more := true; more; {
		err := pgx.BeginFunc(ctx, p.conn, func(tx pgx.Tx) error {
			sealed, err := ledger.Seal(ctx, tx)
			more = sealed.More
			if len(sealed.Breaks) > 0 {
				err = errors.Join(err, fmt.Errorf("the planted transfers have gaps: %v", sealed.Breaks))
			}

			return err
		})
		if err != nil {
			return err
		}
	}
	if err := ledger.Verify(ctx, p.conn, p.workspace); err != nil {
		return err
	}
	_, err := p.conn.Exec(ctx, "VACUUM (ANALYZE)")

	return err
}
