package faults_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/load"
)

const (
	// fundingSats is what a workspace is paid before it pays others.
	fundingSats = 1_000_000
	// withdrawalPause is how long a client waits between two withdrawals at
	// the most: 50 of them each outlast all kills.
	withdrawalPause = 3600 * time.Millisecond
	// underWay is how long after the beginning of a POST a process dies at the
	// latest: most kills then meet a withdrawal at some step of it.
	underWay = 300 * time.Millisecond
	// heldFor is how long a payee keeps a payment waiting at the most.
	heldFor = 8 * time.Second
	// postedWithin bounds the load after the last recovery.
	postedWithin = 3 * time.Minute
	// overWithin bounds the wait for the end of every withdrawal: what follows a payment backs off to 35 s and more.
	overWithin = 4 * time.Minute
	// stuckFor is for how long no channel must hold a payment that is in flight
	// until it counts as left behind by lnd. Our alert that says so comes after
	// ten minutes.
	stuckFor = 30 * time.Second
)

// kindOfBill is what a withdrawal is asked to pay.
type kindOfBill string

const (
	plain      kindOfBill = "plain"
	amountless kindOfBill = "amountless"
	takenLate  kindOfBill = "held, then taken"
	sentBack   kindOfBill = "held, then sent back"
	refusedOne kindOfBill = "refused by its payee"
	noRoute    kindOfBill = "of a node without channels"
	ownCharge  kindOfBill = "a charge of our own"
)

// bills are 200 withdrawals.
var bills = map[kindOfBill]int{
	plain: 140, amountless: 16, takenLate: 12, sentBack: 8, refusedOne: 8, noRoute: 4, ownCharge: 12,
}

// payable are the kinds of which at least half must succeed: a kill may make a
// payment fail, but hardly ever does.
var payable = []kindOfBill{plain, amountless, takenLate, ownCharge}

// kills are the processes that die under the load, in a random order.
var kills = []string{
	"worker", "worker", "worker", "lnd_merchant", "lnd_merchant", "lnd_merchant", "temporal", "temporal",
}

// pauses are the processes that stand still, in a random order.
var pauses = []string{"worker", "worker", "worker", "worker", "lnd_merchant", "lnd_merchant", "temporal", "postgres"}

// withdrawalObject is what we read of a withdrawal.
type withdrawalObject struct {
	ID          string
	Status      string
	UnderReview bool   `json:"under_review"`
	AmountMsat  int64  `json:"amount_msat"`
	MaxFeeMsat  int64  `json:"max_fee_msat"`
	FeeMsat     int64  `json:"fee_msat"`
	PaymentHash string `json:"payment_hash"`
	Preimage    string
	ExternalID  string `json:"external_id"`
	Failure     struct{ Code string }
}

func (w withdrawalObject) over() bool { return w.Status == "succeeded" || w.Status == "failed" }

// payouts is a load of withdrawals and what it was answered with.
type payouts struct {
	w     *workspace
	payee *payee
	ctx   context.Context //nolint:containedctx // It bounds the load, not a call.
	bills chan kindOfBill
	// asked and posted count the withdrawals whose POST has begun and ended.
	asked, posted atomic.Int32
	done          sync.WaitGroup
	// payees are those that decide about a held payment.
	payees sync.WaitGroup

	// abandoned are the ids of those that lnd will never end, and that an operator
	// voided.
	abandoned []string
	// severed are those that a channel may hold which lnd cannot bring up.
	severed []string

	mu    sync.Mutex
	byKey map[string]withdrawalObject
	kinds map[string]kindOfBill
}

// TestWithdrawals makes 200 withdrawals while the worker, the merchant's node
// and Temporal are killed at random moments, and compares what came of each
// with both nodes, the ledger and Postgres. LNTPAY_FAULTS_SEED repeats a run's
// random moments.
func TestWithdrawals(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole stack and kills its processes for minutes, which -short leaves out")
	}
	random := seeded(t)
	s := startStack(t)
	w := newWorkspace(t, s, "*")
	var faults []func()
	for _, name := range kills {
		faults = append(faults, func() { s.kill(t, name) })
	}
	random.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	w.withdrawUnder(t, s, random, withdrawalPause, faults)
}

// TestWithdrawalsPaused is the same with processes that stand still and go on
// beside another worker, which has taken over what they had begun.
func TestWithdrawalsPaused(t *testing.T) {
	load.SkipUnlessSoak(t)
	random := seeded(t)
	s := startStack(t)
	s.startSecondWorker(t)
	w := newWorkspace(t, s, "*")
	var faults []func()
	for _, name := range pauses {
		faults = append(faults, func() { s.pause(t, name, pausedFor()) })
	}
	random.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	w.withdrawUnder(t, s, random, 4*withdrawalPause, faults)
}

// withdrawUnder makes the withdrawals while faults are made one after another, and
// checks what came of them. A client waits no longer than the pause between two.
func (w *workspace) withdrawUnder(t *testing.T, s *stack, random *rand.Rand, pause time.Duration, faults []func()) {
	t.Helper()
	w.fund(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := time.Now()
	p := w.startPayouts(ctx, t, s, random, pause)
	for _, fault := range faults {
		load.Pause(t, 5*moments, random)
		p.awaitPost(t)
		load.Pause(t, underWay, random)
		t.Logf("%s: %d of %d withdrawals are posted", time.Since(began).Round(time.Second), p.posted.Load(), cap(p.bills))
		from := time.Now()
		fault()
		t.Logf("clients since then: %s", s.meter.Since(from))
	}
	late := time.AfterFunc(postedWithin, cancel)
	p.done.Wait()
	require.True(t, late.Stop(), "the load did not end")
	t.Logf("%s: all withdrawals are posted", time.Since(began).Round(time.Second))
	p.awaitEnd(t, s)
	t.Logf("%s: all withdrawals are over, %d of them as lnd left them: in flight in name only, voided by an operator; %d are on a channel that it cannot bring up",
		time.Since(began).Round(time.Second), len(p.abandoned), len(p.severed))
	cancel()
	p.payees.Wait()
	require.Empty(t, w.Wrong)
	p.check(t, s)
	w.CheckDeliveries(t, s.target())
}

// fund has the workspace paid what it will pay to others.
func (w *workspace) fund(t *testing.T, s *stack) {
	t.Helper()
	before := load.Get[struct {
		AvailableMsat int64 `json:"available_msat"`
	}](t, &w.Client, "/v1/balance").AvailableMsat
	charge, err := w.Create(t.Context(), fundingSats)
	require.NoError(t, err)
	require.NoError(t, w.Settle(t.Context(), load.NewPayer(t, s.target()), charge))
	w.AwaitBalance(t, before+fundingSats*1000)
}

func (w *workspace) startPayouts(ctx context.Context, t *testing.T, s *stack, random *rand.Rand, pause time.Duration) *payouts {
	t.Helper()
	var all []kindOfBill
	for _, kind := range slices.Sorted(maps.Keys(bills)) {
		all = append(all, slices.Repeat([]kindOfBill{kind}, bills[kind])...)
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	p := &payouts{
		w: w, payee: newPayee(t, s), ctx: ctx, bills: make(chan kindOfBill, len(all)),
		byKey: map[string]withdrawalObject{}, kinds: map[string]kindOfBill{},
	}
	for _, kind := range all {
		p.bills <- kind
	}
	close(p.bills)
	for range load.Clients {
		p.done.Go(func() {
			for kind := range p.bills {
				w.Note(p.pay(kind))
				p.posted.Add(1)
				sleep(ctx, rand.N(pause))
			}
		})
	}

	return p
}

// awaitPost waits until the next withdrawal is asked for, if there is one.
func (p *payouts) awaitPost(t *testing.T) {
	t.Helper()
	for before := p.asked.Load(); p.asked.Load() == before && len(p.bills) > 0; {
		load.Pause(t, time.Millisecond, nil)
	}
}

// pay makes a bill and the withdrawal that pays it.
func (p *payouts) pay(kind kindOfBill) error {
	msat := 1000 + rand.Int64N(2_000_000)
	var bolt11 string
	var err error
	switch kind {
	case plain, amountless:
		asked := msat
		if kind == amountless {
			asked = 0
		}
		bolt11, _, err = p.payee.invoice(p.ctx, asked)
	case takenLate, sentBack:
		var preimage [32]byte
		if bolt11, preimage, err = p.payee.held(p.ctx, msat); err == nil {
			p.payees.Go(func() {
				err := p.payee.decide(p.ctx, preimage, time.Second+rand.N(heldFor), kind == takenLate)
				if p.ctx.Err() == nil {
					p.w.Note(err)
				}
			})
		}
	case refusedOne:
		bolt11, err = p.payee.canceled(p.ctx, msat)
	case noRoute:
		bolt11, err = nowhere(msat)
	case ownCharge:
		var charge load.ChargeObject
		charge, err = p.w.Create(p.ctx, msat/1000)
		bolt11 = charge.Bolt11
	}
	if err != nil {
		return fmt.Errorf("bill %s: %w", kind, err)
	}

	return p.post(kind, bolt11, msat)
}

// post asks until the outcome is known, and once more as a client does that
// missed the answer.
func (p *payouts) post(kind kindOfBill, bolt11 string, msat int64) error {
	key := uuid.NewString()
	body := map[string]any{"bolt11": bolt11, "external_id": key}
	if kind == amountless {
		body["amount_msat"] = msat
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	p.asked.Add(1)
	first, err := p.w.Post(p.ctx, "/v1/withdrawals", key, text)
	if err != nil {
		return err
	}
	again, err := p.w.Post(p.ctx, "/v1/withdrawals", key, text)
	if err != nil {
		return err
	}
	if first.Status != http.StatusCreated || again.Status != first.Status || string(again.Body) != string(first.Body) {
		return fmt.Errorf("%s, key %s: first %d %s, then %d %s", kind, key, first.Status, first.Body, again.Status, again.Body)
	}
	var made withdrawalObject
	if err := json.Unmarshal(first.Body, &made); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byKey[key], p.kinds[made.ID] = made, kind

	return nil
}

// awaitEnd waits until every withdrawal is over. A payment that the node calls
// in flight although no channel holds an HTLC of it gets what the documentation
// tells an operator to do: one more restart of lnd. What is left then is
// abandoned, and voided by an operator.
func (p *payouts) awaitEnd(t *testing.T, s *stack) {
	t.Helper()
	began, restarted := time.Now(), false
	var stuck []string // nil before the first look
	up := began        // When all channels last were.
	for since := began; ; {
		open := slices.DeleteFunc(load.All[withdrawalObject](t, &p.w.Client, "/v1/withdrawals"), withdrawalObject.over)
		if len(open) == 0 {
			return
		}
		if !isSevered(t, s) {
			up = time.Now()
		}
		if time.Since(up) > severedFor && time.Since(began) > 2*severedFor && allInFlight(t, s, open) {
			p.leaveSevered(t, s, open)

			return
		}
		now, first := withoutHTLCs(t, s, open), stuck == nil
		stuck = slices.DeleteFunc(now, func(id string) bool { return !first && !slices.Contains(stuck, id) })
		if len(stuck) > 0 && !restarted && time.Since(since) > stuckFor {
			t.Logf("the merchant's node is killed once more for payments in flight that no channel holds: %v", stuck)
			s.kill(t, "lnd_merchant")
			restarted, since, stuck = true, time.Now(), nil
		}
		if restarted && len(stuck) == len(open) && time.Since(since) > stuckFor && time.Since(up) < stuckFor {
			p.voidAbandoned(t, s, stuck)

			return
		}
		if time.Since(began) > overWithin {
			p.dump(t, s, open)
		}
		load.Pause(t, time.Second, nil)
	}
}

// dump ends the test with what is known of withdrawals that do not end.
func (p *payouts) dump(t *testing.T, s *stack, open []withdrawalObject) {
	t.Helper()
	payments := paid(t, s)
	for _, one := range open {
		t.Errorf("%s (%s) is %s, under review: %t; the node says %s %v", one.ID, p.kinds[one.ID], one.Status, one.UnderReview,
			payments[one.PaymentHash].GetStatus(), payments[one.PaymentHash].GetHtlcs())
	}
	t.FailNow()
}

// withoutHTLCs are the open withdrawals whose payment the node calls in flight
// while none of its channels holds an HTLC of it. lnd's own record of the
// attempts does not tell: it is written before the HTLC.
func withoutHTLCs(t *testing.T, s *stack, open []withdrawalObject) []string {
	t.Helper()
	conn, err := s.dev.Lnd.Merchant.Connect()
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	channels, err := lnrpc.NewLightningClient(conn).ListChannels(t.Context(), &lnrpc.ListChannelsRequest{})
	require.NoError(t, err)
	held := map[string]bool{}
	for _, channel := range channels.Channels {
		for _, htlc := range channel.PendingHtlcs {
			held[hex.EncodeToString(htlc.HashLock)] = true
		}
	}
	payments, stuck := paid(t, s), []string{}
	for _, one := range open {
		if payments[one.PaymentHash].GetStatus() == lnrpc.Payment_IN_FLIGHT && !held[one.PaymentHash] {
			stuck = append(stuck, one.ID)
		}
	}

	return stuck
}

// paid are all payments of the merchant's node by hash. lnd keeps one record
// of a hash.
func paid(t *testing.T, s *stack) map[string]*lnrpc.Payment {
	t.Helper()
	conn, err := s.dev.Lnd.Merchant.Connect()
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	payments := map[string]*lnrpc.Payment{}
	for offset := uint64(0); ; {
		list, err := lnrpc.NewLightningClient(conn).ListPayments(t.Context(),
			&lnrpc.ListPaymentsRequest{IncludeIncomplete: true, IndexOffset: offset, MaxPayments: 500})
		require.NoError(t, err)
		for _, payment := range list.Payments {
			require.NotContains(t, payments, payment.PaymentHash, "two records of one hash")
			payments[payment.PaymentHash] = payment
		}
		if len(list.Payments) == 0 {
			return payments
		}
		offset = list.LastIndexOffset
	}
}
