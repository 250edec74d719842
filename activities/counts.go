package activities

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// countsFresh is for how long a count is told: the sweeper counts once a
// minute, now on one worker, then on another, and what a worker counted before
// it lost the sweeper must not stand beside the truth for ever.
const countsFresh = 150 * time.Second

// ageNames and ageBoundsS are the ages, in words and in seconds, that what is
// open is counted by; seven days are the longest life of an invoice.
var (
	ageNames   = []string{"1m", "5m", "10m", "1h", "6h", "1d", "3d", "7d"}
	ageBoundsS = []float64{60, 300, 600, 3600, 21600, 86400, 259200, 604800}
)

// counts is a collector of what the sweeper counted last: whole counts take the
// place of whole counts, and none is told once it is old.
type counts struct {
	mu      sync.Mutex
	at      time.Time
	metrics []prometheus.Metric

	charges, chargesOlder, chargesOldest, chargesOverdue                  *prometheus.Desc
	withdrawals, withdrawalsOlder, withdrawalsOldest, review, locked      *prometheus.Desc
	strays, soonestExpiry, mostAttempts                                   *prometheus.Desc
	deliveries, deliveriesOldest, endpoints, endpointsFailing             *prometheus.Desc
	uncredited, uncreditedOldest, settleIndex, settleLag, regressed, when *prometheus.Desc
}

func newCounts() *counts {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("lntpay_"+name, help+" Counted once a minute.", labels, nil)
	}

	return &counts{
		charges: desc("charges_open", "Charges that are not closed, by status.", "status"),
		chargesOlder: desc("charges_pending_older",
			"Pending charges that are older than so much; those of 1h are among those of 10m.", "than"),
		chargesOldest:  desc("charges_pending_oldest_seconds", "Age of the oldest pending charge."),
		chargesOverdue: desc("charges_overdue", "Charges that expired more than two minutes ago and are not closed."),
		withdrawals:    desc("withdrawals_open", "Withdrawals that are not over, by status.", "status"),
		withdrawalsOlder: desc("withdrawals_open_older",
			"Withdrawals that are not over and whose first send, or making, is longer ago than so much, by status; "+
				"those of 1h are among those of 10m.",
			"status", "than"),
		withdrawalsOldest: desc("withdrawals_oldest_seconds",
			"Age of the oldest withdrawal that is not over, by status: since its first send, or since it was made.", "status"),
		review: desc("withdrawals_under_review", "Withdrawals that wait for an operator."),
		locked: desc("withdrawals_locked_msat", "Millisatoshis, amount and fee limit, of the withdrawals that are not over."),
		strays: desc("stray_payments", "Payments of the node that no live withdrawal explains and nobody has booked.", "node"),
		soonestExpiry: desc("withdrawals_soonest_htlc_expiry_height",
			"The lowest block height at which a payment in flight ends at the latest, by node; absent while no HTLC is known.", "node"),
		mostAttempts: desc("withdrawals_most_htlc_attempts",
			"HTLC attempts of the payment in flight that has most of them, by node.", "node"),
		deliveries:       desc("deliveries_open", "Deliveries that are not over: failing after a failed attempt, else pending.", "state"),
		deliveriesOldest: desc("deliveries_oldest_seconds", "Age of the oldest delivery that is not over, by state.", "state"),
		endpoints:        desc("webhook_endpoints", "Webhook endpoints by status.", "status"),
		endpointsFailing: desc("webhook_endpoints_failing", "Webhook endpoints whose last attempt failed."),
		uncredited:       desc("receipts_uncredited", "Receipts whose charge is not credited yet."),
		uncreditedOldest: desc("receipts_uncredited_oldest_seconds", "Age of the oldest receipt whose charge is not credited."),
		settleIndex: desc("node_settle_index",
			"Settle index of the newest settled invoice: as the node says, in the receipts, and of the cursor, which lags by ten minutes.",
			"node", "seen"),
		settleLag: desc("node_settle_index_lag", "Settle indexes by which the receipts are behind the node.", "node"),
		regressed: desc("node_regressed", "1 while the node counts as gone back in time.", "node"),
		when:      desc("counted_timestamp_seconds", "When the sweeper last counted, by this worker's clock."),
	}
}

// Describe implements prometheus.Collector.
func (c *counts) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.charges, c.chargesOlder, c.chargesOldest, c.chargesOverdue, c.withdrawals, c.withdrawalsOlder, c.withdrawalsOldest, c.review,
		c.locked, c.strays, c.soonestExpiry, c.mostAttempts, c.deliveries, c.deliveriesOldest, c.endpoints, c.endpointsFailing,
		c.uncredited, c.uncreditedOldest, c.settleIndex, c.settleLag, c.regressed, c.when,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *counts) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) > countsFresh {
		return
	}
	for _, metric := range c.metrics {
		out <- metric
	}
}

// tally is a count that is being made.
type tally struct {
	counts  *counts
	metrics []prometheus.Metric
}

func (t *tally) set(d *prometheus.Desc, value float64, labels ...string) {
	t.metrics = append(t.metrics, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...))
}

// publish makes the count the one that is told.
func (t *tally) publish() {
	now := time.Now()
	t.set(t.counts.when, float64(now.UnixMilli())/1000)
	t.counts.mu.Lock()
	defer t.counts.mu.Unlock()
	t.counts.at, t.counts.metrics = now, t.metrics
}

// ages are a number and how many of it have an age of at least each bound.
type ages struct {
	count  int64
	oldest float64
	older  [8]int64
}

// add takes what has reached so many of the bounds, from the youngest on.
func (a *ages) add(reached int, count int64, oldest float64) {
	a.count += count
	a.oldest = max(a.oldest, oldest)
	for i := range reached {
		a.older[i] += count
	}
}

func (t *tally) setOlder(d *prometheus.Desc, a ages, labels ...string) {
	for i, name := range ageNames {
		t.set(d, float64(a.older[i]), append(labels, name)...)
	}
}

// count counts what is open. A part that cannot be read leaves out its metrics,
// not the others.
func (a *Nodes) count(ctx context.Context) error {
	t := &tally{counts: a.Metrics.counts}
	err := errors.Join(a.countCharges(ctx, t), a.countWithdrawals(ctx, t), a.countInFlight(ctx, t), a.countReceipts(ctx, t),
		a.countDeliveries(ctx, t))
	t.publish()

	return err
}

func (a *Nodes) countCharges(ctx context.Context, t *tally) error {
	// The oldest first, as ids ascend.
	now, bounds := time.Now(), make([]string, len(ageBoundsS))
	for i, age := range ageBoundsS {
		bounds[len(bounds)-1-i] = payments.FirstID(payments.PrefixCharge, now.Add(-time.Duration(age)*time.Second))
	}
	rows, err := a.Store.CountPendingCharges(ctx, bounds)
	if err != nil {
		return fmt.Errorf("count pending charges: %w", err)
	}
	others, err := a.Store.CountOtherCharges(ctx)
	if err != nil {
		return fmt.Errorf("count charges: %w", err)
	}
	var pending ages
	for _, row := range rows {
		pending.add(len(bounds)-int(row.Bucket), row.Charges, row.OldestS)
	}
	t.set(t.counts.charges, float64(pending.count), "pending")
	t.set(t.counts.charges, float64(others.Creating), "creating")
	t.set(t.counts.chargesOldest, pending.oldest)
	t.setOlder(t.counts.chargesOlder, pending)
	t.set(t.counts.chargesOverdue, float64(others.Overdue))

	return nil
}

func (a *Nodes) countWithdrawals(ctx context.Context, t *tally) error {
	rows, err := a.Store.CountOpenWithdrawals(ctx, ageBoundsS)
	if err != nil {
		return fmt.Errorf("count open withdrawals: %w", err)
	}
	byStatus := map[string]ages{"held": {}, "sending": {}, "following": {}}
	review, locked := int64(0), int64(0)
	for _, row := range rows {
		one := byStatus[row.Status]
		one.add(int(row.Bucket), row.Withdrawals, row.OldestS)
		byStatus[row.Status] = one
		review += row.UnderReview
		locked += row.LockedMsat
	}
	for status, one := range byStatus {
		t.set(t.counts.withdrawals, float64(one.count), status)
		t.set(t.counts.withdrawalsOldest, one.oldest, status)
		t.setOlder(t.counts.withdrawalsOlder, one, status)
	}
	t.set(t.counts.review, float64(review))
	t.set(t.counts.locked, float64(locked))

	return nil
}

func (a *Nodes) countInFlight(ctx context.Context, t *tally) error {
	node := a.Node.Name()
	strays, err := a.Store.OpenStrays(ctx, db.OpenStraysParams{Node: node, MaxRows: sweepLimit})
	if err != nil {
		return fmt.Errorf("count stray payments: %w", err)
	}
	t.set(t.counts.strays, float64(len(strays)), node)
	worst, err := a.Store.WorstInFlight(ctx, node)
	if err != nil {
		return fmt.Errorf("read the worst payment in flight: %w", err)
	}
	t.set(t.counts.mostAttempts, float64(worst.MostAttempts), node)
	// Height 0 would look like an HTLC that is long overdue.
	if worst.SoonestExpiryHeight > 0 {
		t.set(t.counts.soonestExpiry, float64(worst.SoonestExpiryHeight), node)
	}

	return nil
}

// countReceipts tells how far the receipts have come: the node's index was read
// in this sweep, before the receipts', so that a lag is real.
func (a *Nodes) countReceipts(ctx context.Context, t *tally) error {
	open, err := a.Store.CountUncreditedReceipts(ctx)
	if err != nil {
		return fmt.Errorf("count uncredited receipts: %w", err)
	}
	t.set(t.counts.uncredited, float64(open.Receipts))
	t.set(t.counts.uncreditedOldest, open.OldestS)
	node, err := a.Store.GetNode(ctx, a.Node.Name())
	if err != nil {
		return fmt.Errorf("read node %s: %w", a.Node.Name(), err)
	}
	recorded, err := a.Store.ReceiptSettleIndex(ctx, node.Name)
	if err != nil {
		return fmt.Errorf("read the receipts' settle index: %w", err)
	}
	t.set(t.counts.settleIndex, float64(node.HighestSettleIndex), node.Name, "node")
	t.set(t.counts.settleIndex, float64(recorded), node.Name, "receipts")
	t.set(t.counts.settleIndex, float64(node.SettleCursor), node.Name, "cursor")
	t.set(t.counts.settleLag, float64(max(node.HighestSettleIndex-recorded, 0)), node.Name)
	regressed := 0.0
	if node.RegressedAt != nil {
		regressed = 1
	}
	t.set(t.counts.regressed, regressed, node.Name)

	return nil
}

func (a *Nodes) countDeliveries(ctx context.Context, t *tally) error {
	rows, err := a.Store.CountOpenDeliveries(ctx)
	if err != nil {
		return fmt.Errorf("count deliveries: %w", err)
	}
	byState := map[string]db.CountOpenDeliveriesRow{"pending": {}, "failing": {}}
	for _, row := range rows {
		if row.Failing {
			byState["failing"] = row
		} else {
			byState["pending"] = row
		}
	}
	for state, row := range byState {
		t.set(t.counts.deliveries, float64(row.Deliveries), state)
		t.set(t.counts.deliveriesOldest, row.OldestS, state)
	}
	endpoints, err := a.Store.CountEndpoints(ctx)
	if err != nil {
		return fmt.Errorf("count endpoints: %w", err)
	}
	t.set(t.counts.endpoints, float64(endpoints.Enabled), "enabled")
	t.set(t.counts.endpoints, float64(endpoints.Disabled), "disabled")
	t.set(t.counts.endpointsFailing, float64(endpoints.Failing))

	return nil
}
