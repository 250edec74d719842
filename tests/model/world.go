package model

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.jetify.com/typeid"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/webhooks"
	"github.com/lntpay/lntpay/workflows"
)

// lane is a settler, which has a goroutine of its own: what it does belongs to
// the task that has the lane.
type lane struct {
	settler *activities.Settler
	task    *task
}

type laneKey struct{}

// machine is what one seed after another uses.
type machine struct {
	db      *database
	keys    *lightning.KeyRing
	alerts  *activities.Alerts
	metrics *activities.NodeMetrics
	free    []*lane
	sender  *webhooks.Sender
	sealer  *webhooks.Sealer
	sink    *receiver
	server  *httptest.Server
	stop    context.CancelFunc
	ended   sync.WaitGroup
}

func newMachine(ctx context.Context) (*machine, error) {
	db, err := openDatabase(ctx, tracer{})
	if err != nil {
		return nil, err
	}
	m := &machine{db: db}
	if m.keys, err = lightning.NewKeyRing([32]byte{7}); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	m.alerts = activities.NewAlerts(quiet(), registry)
	m.metrics = activities.NewNodeMetrics(registry)
	m.sender = webhooks.NewSender(webhooks.Policy{AllowPrivate: true}, webhooks.Options{})
	if m.sealer, err = webhooks.NewSealer(make([]byte, 32)); err != nil {
		return nil, err
	}
	m.sink = &receiver{}
	m.server = httptest.NewServer(m.sink)
	run, stop := context.WithCancel(ctx)
	m.stop = stop
	for range maxConns {
		l := &lane{settler: activities.NewSettler(db.store, m.alerts, prometheus.NewRegistry())}
		m.free = append(m.free, l)
		m.ended.Go(func() { l.settler.Run(context.WithValue(run, laneKey{}, l)) })
	}

	return m, nil
}

func (m *machine) close(ctx context.Context) {
	m.stop()
	m.ended.Wait()
	m.sender.Close()
	m.server.Close()
	m.db.close(ctx)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// worker is one process of ours: its view of the node dies with it.
type worker struct {
	w    *world
	name string
	view *nodeView
}

// world is one seed's.
type world struct {
	*machine

	ctx    context.Context //nolint:containedctx // A world lives for one call of Run.
	seed   uint64
	rng    *rand.Rand
	mutant Mutant
	began  time.Time
	trace  hash.Hash64
	log    func(string)

	now   time.Time
	node  *lightningtest.Node
	down  bool
	epoch int
	// late allows the node to begin what it was sent later than the protocol
	// allows for; regresses that it goes back in time.
	late, regresses bool
	healing         bool
	// mix is how often things of a kind happen in this seed, and which never do.
	mix map[kind]int
	// far is how likely the clock makes a leap, of 20.
	far int

	moves     chan moved
	tasks     []*task
	taskCount int
	workers   []*worker
	timers    []timer
	written   bool

	workspaces  []string
	ids         uint64
	runs        []*run
	clients     []*client
	outsides    []*outside
	snapshots   []lightningtest.Snapshot
	delayed     []delayedSend
	initiations []lightning.Hash
	stream      settledStream
	payments    paymentStream
	// paidOnNode is every payment that succeeded, by the node's word at the time.
	paidOnNode map[lightning.Hash][]lightning.Payment
	// settledOnNode is every invoice that the node has settled.
	settledOnNode map[lightning.Hash][]lightning.Invoice
	// foreign are the hashes that somebody else paid with the node's keys.
	foreign map[lightning.Hash]bool

	// lastSeen is what each hash's payment was when it was last looked at.
	lastSeen map[lightning.Hash]lightning.Payment
	// received counts the deliveries of an event, delivering are the deliveries
	// that somebody follows.
	received   map[string]int
	delivering map[string]bool

	// startActivity is activity, but for the test of runs.
	startActivity func(a activity, done func(state, error)) *task

	count      Counts
	violations []string
}

// timer is something that happens at a time by itself.
type timer struct {
	at time.Time
	fn func()
}

// delayedSend is a payment that is still on its way to the node.
type delayedSend struct {
	licensed time.Time
	begin    func() (*lightning.Payment, error)
}

// epochStart is when all seeds begin.
var epochStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newWorld(ctx context.Context, m *machine, seed uint64, mutant Mutant) *world {
	w := &world{
		machine: m, ctx: ctx, seed: seed, mutant: mutant, rng: rand.New(rand.NewPCG(seed, 0x5eed)),
		began: time.Now(), trace: fnv.New64a(), now: epochStart, node: lightningtest.New("merchant"), moves: make(chan moved),
		paidOnNode: map[lightning.Hash][]lightning.Payment{}, settledOnNode: map[lightning.Hash][]lightning.Invoice{},
		foreign: map[lightning.Hash]bool{}, lastSeen: map[lightning.Hash]lightning.Payment{},
		received: map[string]int{}, delivering: map[string]bool{}, count: Counts{Faults: map[string]int{}},
	}
	w.startActivity = w.activity
	w.node.SetNow(func() time.Time { return w.now })
	w.node.SetUp(365 * 24 * time.Hour)
	for i := range 2 {
		w.workers = append(w.workers, w.newWorker(fmt.Sprintf("worker %d", i)))
	}
	// Both have seen it for a while.
	for _, one := range w.workers {
		one.view.since = w.now.Add(-time.Hour)
	}

	return w
}

func (w *world) newWorker(name string) *worker {
	return &worker{w: w, name: name, view: &nodeView{Node: w.node, w: w}}
}

// charges are the activities of one task.
func (t *worker) charges(l *lane) *activities.Charges {
	return &activities.Charges{Store: t.w.db.store, Node: t.view, Keys: t.w.keys, Settle: l.settler, Alerts: t.w.alerts}
}

func (t *worker) payouts(l *lane) *activities.Withdrawals {
	a := &activities.Withdrawals{
		Store: t.w.db.store, Node: t.view, Charges: t.charges(l), Alerts: t.w.alerts, Log: quiet(),
		Policy: activities.PayoutPolicy{CLTVLimitBlocks: 1008, TimeoutS: 60, MaxParts: 16},
	}
	a.SetClocks(func() (time.Duration, time.Time) {
		// A sender may stand still between its licence and its last look at the clock.
		if one := l.task; !one.licensed.IsZero() && !one.dead {
			one.dead = one.stop("its clock", false, nil) != pass
		}
		return t.w.now.Sub(epochStart), t.w.now
	})

	return a
}

func (t *worker) nodes() *activities.Nodes {
	return &activities.Nodes{
		Store: t.w.db.store, Node: t.view, Nudger: nudger{}, Alerts: t.w.alerts, Log: quiet(), Metrics: t.w.metrics,
	}
}

func (w *world) takeLane() *lane {
	if len(w.free) == 0 {
		panic("model: more tasks than lanes")
	}
	l := w.free[len(w.free)-1]
	w.free = w.free[:len(w.free)-1]

	return l
}

func (w *world) freeLane(l *lane) {
	l.task = nil
	w.free = append(w.free, l)
}

// draw is a number below n.
func (w *world) draw(n int) int { return w.rng.IntN(n) }

// chance is true once in n.
func (w *world) chance(n int) bool { return w.draw(n) == 0 }

func pick[T any](w *world, from []T) T { return from[w.draw(len(from))] }

// newID makes an id from the seed that sorts by the model's time.
func (w *world) newID(prefix string) string {
	w.ids++
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(w.now.UnixMilli())<<16|0x7000|w.ids&0xfff)
	binary.BigEndian.PutUint64(raw[8:], w.seed)
	raw[8] = raw[8]&0x3f | 0x80
	id, err := typeid.FromUUIDBytesWithPrefix(prefix, raw[:])
	if err != nil {
		panic(fmt.Sprintf("model: an id of %s: %v", prefix, err))
	}

	return id.String()
}

// preimage makes one from the seed.
func (w *world) preimage() lightning.Preimage {
	w.ids++

	return sha256.Sum256(fmt.Appendf(nil, "%d/%d", w.seed, w.ids))
}

// note writes a line of what happens: the same for the same seed.
func (w *world) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	_, _ = w.trace.Write([]byte(line))
	if w.log != nil {
		w.log(w.now.Sub(epochStart).String() + " " + line)
	}
}

// fail notes a violation.
func (w *world) fail(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	w.violations = append(w.violations, line)
	w.note("VIOLATION: %s", line)
}

// lost is an error of the model's own plumbing.
func (w *world) lost(what string, err error) {
	if err != nil {
		w.fail("%s: %v", what, err)
	}
}

// fault counts an injected fault.
func (w *world) fault(kind string) { w.count.Faults[kind]++ }

// nudge is what our code would send to a run.
type nudge struct {
	id       string
	delivery bool
}

// nudger implements activities.Nudger: nudges belong to the task that sends
// them, and arrive when it is over.
type nudger struct{}

var nudgeLock sync.Mutex

func (nudger) add(ctx context.Context, n nudge) error {
	t := taskOf(ctx)
	nudgeLock.Lock()
	defer nudgeLock.Unlock()
	if t != nil && !slices.Contains(t.nudged, n) {
		t.nudged = append(t.nudged, n)
	}

	return nil
}

// NudgeCharge implements activities.Nudger.
func (n nudger) NudgeCharge(ctx context.Context, ref workflows.ChargeRef) error {
	return n.add(ctx, nudge{id: ref.ID})
}

// NudgeWithdrawal implements activities.Nudger.
func (n nudger) NudgeWithdrawal(ctx context.Context, ref workflows.WithdrawalRef) error {
	return n.add(ctx, nudge{id: ref.ID})
}

// Deliver implements activities.Nudger.
func (n nudger) Deliver(ctx context.Context, id string) error {
	return n.add(ctx, nudge{id: id, delivery: true})
}
