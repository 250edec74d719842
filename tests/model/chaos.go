package model

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lntpay/lntpay/payments"
)

// choice is something that may happen next, with its weight among the others.
type choice struct {
	weight int
	do     func()
}

// kind is a kind of what happens, which a seed has much or nothing of.
type kind int

// The kinds.
const (
	charges kind = iota
	outsides
	books
	cancels
	sweeps
	deaths
	operators
	trouble
	odd
	kinds
)

// drawMix draws what this seed has much of: seeds that are all alike would see
// what is likely again and again.
func (w *world) drawMix() {
	w.mix = map[kind]int{}
	for k := range kinds {
		w.mix[k] = []int{0, 1, 1, 2, 4}[w.draw(5)]
	}
	if w.mix[charges] == 0 {
		w.mix[outsides] = 3
	}
	w.far = w.draw(10)
}

// chaos lets so many things happen, as the seed has it.
func (w *world) chaos() {
	events := 60 + w.draw(160)
	rate := []int{0, 40, 15, 7}[w.draw(4)]
	for i := 0; i < events && len(w.violations) == 0; i++ {
		w.goOn()
		choices := w.actions()
		for _, t := range w.tasks {
			if t.runnable() {
				choices = append(choices, choice{t.haste, func() { w.move(t, rate) }})
			}
		}
		total := 0
		for _, c := range choices {
			total += c.weight
		}
		at := w.draw(total)
		for _, c := range choices {
			if at -= c.weight; at < 0 {
				c.do()

				break
			}
		}
		w.afterwards()
	}
}

// move lets a task take its step, unless it stands still for a while.
func (w *world) move(t *task, rate int) {
	often := 40
	if t.at == "its clock" {
		often = 3
	}
	if !t.inTx && t.still.IsZero() && w.chance(often) {
		t.still = w.now.Add(time.Duration(1+w.draw(pick(w, []int{5, 40, 150, 400}))) * time.Second)
		w.note("%d %s stands still until %s", t.id, t.name, t.still.Sub(epochStart))
		w.fault("a process stands still")

		return
	}
	w.step(t, w.verdict(t, rate))
}

// verdict draws what is done with a step.
func (w *world) verdict(t *task, rate int) verdict {
	if t.node || t.at == "commit" {
		// Steps like these are fewer than statements, and what they leave is worse.
		rate = (rate + 3) / 4
	}
	if t.at == "SendPayment" {
		rate = min(rate, 3)
	}
	if t.at == "" || rate == 0 || !w.chance(rate) {
		return pass
	}
	v := pick(w, []verdict{failBefore, loseAnswer, dieBefore, dieAfter})
	where := "statement"
	switch {
	case t.node:
		where = "node call"
	case t.at == "commit":
		where = "commit"
	}
	w.fault(where + " " + verdictNames[v])

	return v
}

// maxTasks keeps room for the activities that runs start.
const maxTasks = 6

// goOn lets happen what is due by itself.
func (w *world) goOn() {
	for i := 0; i < len(w.timers); {
		if w.timers[i].at.After(w.now) || len(w.tasks) >= maxTasks {
			i++

			continue
		}
		fire := w.timers[i].fn
		w.timers = slices.Delete(w.timers, i, i+1)
		fire()
	}
	for _, r := range slices.Clone(w.runs) {
		if len(w.tasks) < maxTasks {
			r.goOn()
		}
	}
}

// at is a timer.
func (w *world) at(in time.Duration, fn func()) {
	w.timers = append(w.timers, timer{w.now.Add(in), fn})
}

// afterwards looks at what an event has changed.
func (w *world) afterwards() {
	w.observe()
	if !w.written {
		return
	}
	w.written = false
	w.checkAlways()
}

// actions are what may happen beside the tasks.
func (w *world) actions() []choice {
	all := []choice{{6, w.advance}}
	if len(w.tasks) < maxTasks {
		all = append(all, w.clientActions()...)
		all = append(all, w.ourActions()...)
	}
	all = append(all, w.nodeActions()...)

	return all
}

func (w *world) clientActions() []choice {
	all := []choice{{1, w.repeat}}
	if len(w.clients) < 14 {
		all = append(all,
			choice{3 * w.mix[charges], w.newCharge},
			choice{2 * w.mix[outsides], func() { w.withdraw(pick(w, w.workspaces), w.newOutside().request) }})
	}
	if len(w.outsides) > 0 && len(w.clients) < 18 {
		all = append(all, choice{w.mix[outsides], func() { w.withdraw(pick(w, w.workspaces), pick(w, w.outsides).request) }})
	}
	if open := w.openInvoices(); len(open) > 0 && len(w.clients) < 18 {
		all = append(all, choice{3 * w.mix[books], func() { w.withdraw(pick(w, w.workspaces), w.bookRequest(pick(w, open))) }})
	}
	if open := w.claimed(payments.PrefixCharge); len(open) > 0 && len(w.clients) < 20 {
		all = append(all, choice{w.mix[cancels], func() {
			c := pick(w, open)
			// The API knows no charge that is being created.
			var visible bool
			w.lost("look for a charge", w.db.admin.QueryRow(w.ctx,
				"SELECT EXISTS (SELECT FROM charge WHERE id = $1 AND status <> 'creating')", c.id).Scan(&visible))
			if visible {
				w.cancel(c.id, c.workspace)
			}
		}})
	}

	return all
}

// claimed are the clients whose claim of a resource is there.
func (w *world) claimed(prefix string) (found []*client) {
	for _, c := range w.clients {
		if c.prefix == prefix && c.id != "" {
			found = append(found, c)
		}
	}

	return found
}

// repeat is a client that tries again.
func (w *world) repeat() {
	for _, c := range w.clients {
		if c.trying == nil && !c.answered && w.chance(3) && len(w.tasks) < maxTasks {
			c.try()
		}
	}
}

// ourActions are what our own processes do, or fail to.
func (w *world) ourActions() []choice {
	all := []choice{
		{w.mix[sweeps], func() {
			w.nodeTask("SweepRows", func(ctx context.Context, on *worker) error { return on.nodes().SweepRows(ctx) })
		}},
		{w.mix[sweeps], w.sweepInvoices},
		{w.mix[sweeps], w.sweepPayments},
		{w.mix[sweeps], func() {
			w.nodeTask("Renudge", func(ctx context.Context, on *worker) error { return on.nodes().Renudge(ctx) })
		}},
		{w.mix[deaths], w.killWorker},
		{w.mix[operators], w.freeze},
		{w.mix[operators], w.resolve},
	}
	if len(w.runs) > 0 {
		all = append(all, choice{w.mix[deaths], func() {
			r := pick(w, w.runs)
			w.note("the run of %s dies", r.id)
			w.fault("a run dies")
			r.kill()
		}})
	}
	all = append(all, w.stream.choices(w)...)

	return append(all, w.payments.choices(w)...)
}

func (w *world) nodeTask(name string, fn func(ctx context.Context, on *worker) error) {
	on := pick(w, w.workers)
	w.start(name, on, func(ctx context.Context) error { return fn(ctx, on) }, func(error) {})
}

func (w *world) sweepInvoices() {
	w.nodeTask("SweepInvoices", func(ctx context.Context, on *worker) error { return on.nodes().SweepInvoices(ctx) })
}

func (w *world) sweepPayments() {
	w.nodeTask("SweepPayments", func(ctx context.Context, on *worker) error { return on.nodes().SweepPayments(ctx) })
}

// killWorker ends a process: its tasks are over where they stand.
func (w *world) killWorker() {
	if !w.chance(3) {
		return
	}
	i := w.draw(len(w.workers))
	was := w.workers[i]
	w.note("%s dies", was.name)
	w.fault("a worker dies")
	w.workers[i] = w.newWorker(was.name)
	for _, t := range slices.Clone(w.tasks) {
		if t.on != was || t.blocked || t.ended {
			continue
		}
		if t.dead = true; t.at != "" {
			w.step(t, dieBefore)
		} else {
			w.step(t, pass)
		}
	}
}

// advance moves the clock: mostly to what comes next, sometimes far.
func (w *world) advance() {
	var by time.Duration
	switch w.draw(8) {
	case 0:
		by = time.Duration(1+w.draw(1000)) * time.Millisecond
	case 1:
		by = time.Duration(1+w.draw(20)) * time.Second
	case 2:
		by = time.Duration(1+w.draw(120)) * time.Second
	case 3:
		if w.draw(20) < w.far {
			by = time.Duration(1+w.draw(120)) * time.Minute
		}
	default:
		next, ok := w.nextDue()
		if !ok {
			return
		}
		by = max(next.Sub(w.now), 0)
	}
	w.advanceBy(by)
}

// advanceBy moves the clock as far as what is under way allows for: Postgres
// ends transactions that stand still, and the node begins what it was sent
// before settled time.
func (w *world) advanceBy(by time.Duration) {
	for _, t := range w.tasks {
		if t.inTx || t.blocked {
			by = min(by, time.Second)
		}
		if t.at == "SendPayment" && !w.late {
			by = min(by, max(0, t.licensed.Add(latest).Sub(w.now)))
		}
	}
	if !w.late {
		w.release(func(d delayedSend) bool { return w.now.Add(by).Sub(d.licensed) > latest })
	}
	// Postgres has microseconds. Less than one is one: the clock would stand still
	// before what is due then.
	w.now = w.now.Add((by + time.Microsecond - 1).Truncate(time.Microsecond))
	w.note("%s passes", by)
	for _, t := range slices.Clone(w.tasks) {
		if !t.detached && t.timeout > 0 && w.now.Sub(t.began) > t.timeout {
			w.note("%d %s is given up", t.id, t.name)
			w.fault("an activity is given up and goes on")
			t.detached = true
			t.done(errTimeout)
		}
	}
}

// nextDue is when something happens by itself.
func (w *world) nextDue() (next time.Time, ok bool) {
	consider := func(at time.Time) {
		if at.After(w.now) && (!ok || at.Before(next)) {
			next, ok = at, true
		}
	}
	for _, one := range w.timers {
		consider(one.at)
	}
	for _, r := range w.runs {
		if at, will := r.dueAt(); will {
			consider(at)
		}
	}
	for _, t := range w.tasks {
		if t.at == "its stream" {
			consider(t.licensed.Add(sendWindow))
		}
		if !w.healing {
			consider(t.still)
		}
	}

	return next, ok
}

// passNudges sends what a task has nudged, unless it is lost.
func (w *world) passNudges(t *task) {
	slices.SortFunc(t.nudged, func(a, b nudge) int { return strings.Compare(a.id, b.id) })
	for _, n := range t.nudged {
		switch {
		case !w.healing && w.chance(4):
			w.fault("a nudge is lost")
		case n.delivery:
			w.at(0, func() { w.attempt(n.id) })
		default:
			w.ensureRun(n.id, true).nudge()
		}
	}
}
