package model

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// The times of package workflows.
const (
	updateGrace    = 15 * time.Second
	claimedRecheck = time.Minute
	minPause       = 250 * time.Millisecond
	maxPause       = 8 * time.Second
	openPause      = 300 * time.Millisecond
	localTimeout   = 3500 * time.Millisecond
	sendTimeout    = 40 * time.Second
)

// state is what an activity says of a row: a charge's or a withdrawal's.
type state struct {
	charge     *workflows.ChargeState
	withdrawal *workflows.WithdrawalState
}

// activity is one call of an activity that a run makes.
type activity struct {
	name    string
	timeout time.Duration
	call    func(ctx context.Context, on *worker, l *lane) (state, error)
}

// run decides as the workflows Charge and Withdrawal do, only from what the last
// activity returned; TestRunsAreTheWorkflows holds them against each other. It
// lives in the process of the orchestrator, which may forget it at any time.
type run struct {
	w       *world
	id      string
	charge  bool
	touched bool
	nudged  bool
	pause   time.Duration
	graceAt time.Time

	state    *state
	act      *task
	handlers int
	ended    bool
	// asleep says that the run waits until then, or for what wakes it.
	asleep  bool
	until   time.Time
	forever bool
	wakeAt  time.Time
	// before is the state that it went to sleep with, for a charge.
	before *state
	// onlyNudge says that nothing but a nudge ends the pause early.
	onlyNudge bool
}

// ensureRun is the start policy: the run that there is, or another.
func (w *world) ensureRun(id string, look bool) *run {
	for _, r := range w.runs {
		if r.id == id {
			return r
		}
	}
	r := &run{
		w: w, id: id, charge: strings.HasPrefix(id, payments.PrefixCharge+"_"), touched: look, pause: minPause,
		graceAt: w.now.Add(updateGrace),
	}
	w.runs = append(w.runs, r)

	return r
}

// nudge is the signal.
func (r *run) nudge() { r.touched, r.nudged = true, true }

// kill is the orchestrator that forgets a run: what it has started goes on.
func (r *run) kill() {
	if r.act != nil {
		r.act.detached = true
	}
	r.end()
}

func (r *run) end() {
	r.ended = true
	r.w.runs = slices.DeleteFunc(r.w.runs, func(other *run) bool { return other == r })
}

// dueAt is when the run does something by itself; ok is false if it will not.
func (r *run) dueAt() (at time.Time, ok bool) {
	switch {
	case r.ended || r.act != nil || r.handlers > 0:
		return at, false
	case !r.touched:
		return r.graceAt, true
	case r.asleep && r.nudged:
		return r.w.now, true
	case r.asleep && !r.onlyNudge && r.charge && r.state != r.before:
		return r.w.now, true
	case r.asleep && r.forever:
		return at, false
	case r.asleep:
		return r.until, true
	}

	return r.w.now, true
}

// go on takes the steps that are due until the run waits for something.
func (r *run) goOn() {
	for range 20 {
		at, ok := r.dueAt()
		if !ok || at.After(r.w.now) {
			return
		}
		if r.asleep && r.charge && !r.onlyNudge && r.state == r.before && !r.until.After(r.w.now) {
			// The activity compares with Postgres' clock and may say: not yet.
			r.state.charge.DueIn = 0
			if r.state.charge.Claimed {
				r.state = nil
			}
		}
		r.asleep, r.touched, r.onlyNudge = false, true, false
		if r.charge {
			r.stepCharge()
		} else {
			r.stepWithdrawal()
		}
	}
}

func (r *run) sleep(d time.Duration) {
	r.asleep, r.forever, r.until, r.before = true, false, r.w.now.Add(d), r.state
}

// sleepOnTimer is a charge's: one timer serves all waits for the same expiry.
func (r *run) sleepOnTimer(d time.Duration) {
	r.sleep(d)
	if r.wakeAt.IsZero() || !r.wakeAt.After(r.w.now) || r.wakeAt.After(r.until.Add(time.Second)) {
		r.wakeAt = r.until
	}
	r.until = r.wakeAt
}

// stepCharge is chargeRun.step of package workflows.
func (r *run) stepCharge() {
	if r.nudged {
		r.nudged = false
		if r.state == nil || r.state.charge.Status == payments.ChargePending {
			r.do(activitySettle(r.id))

			return
		}
		r.state = nil
	}
	if r.state == nil {
		r.do(activityLookAtCharge(r.id))

		return
	}
	switch s := r.state.charge; {
	case s.HasReceipt:
		r.do(activitySettle(r.id))
	case s.Status == payments.ChargePending && s.Claimed:
		r.sleepOnTimer(claimedRecheck)
	case s.Status == payments.ChargePending && s.DueIn <= 0:
		r.do(activityExpire(r.id))
	case s.Status == payments.ChargePending:
		r.sleepOnTimer(s.DueIn)
	case len(s.Deliveries) > 0:
		r.deliver(s.Deliveries)
		s.Deliveries = nil
	default:
		r.finish()
	}
}

// stepWithdrawal is withdrawalRun.step of package workflows.
func (r *run) stepWithdrawal() {
	if r.nudged {
		r.nudged = false
		if r.state == nil || r.state.withdrawal.Next != workflows.StepFollow {
			r.state = nil
		} else {
			r.state.withdrawal.NextIn = 0
		}
	}
	if r.state == nil {
		r.do(activityLookAtWithdrawal(r.id))

		return
	}
	s := r.state.withdrawal
	if s.NextIn > 0 {
		wait := s.NextIn
		s.NextIn = 0
		r.sleep(wait)

		return
	}
	switch s.Next {
	case workflows.StepSend:
		r.do(activitySend(r.id, s.Sends))
	case workflows.StepFollow:
		r.do(activityFollow(r.id))
	case workflows.StepBook:
		r.do(activityBook(r.id))
	case workflows.StepResolve:
		r.do(activityResolve(r.id))
	case workflows.StepWait:
		r.sleep(0)
		r.forever = true
	case workflows.StepNone:
		r.endWithdrawal(s)
	}
}

// endWithdrawal tells the charge that was paid by the book, and the endpoints.
func (r *run) endWithdrawal(s *workflows.WithdrawalState) {
	switch {
	case s.ChargeID != "":
		// A signal reaches a run, or nobody.
		for _, other := range r.w.runs {
			if other.id == s.ChargeID {
				other.nudge()
			}
		}
		s.ChargeID = ""
	case len(s.Deliveries) > 0:
		r.deliver(s.Deliveries)
		s.Deliveries = nil
	default:
		r.finish()
	}
}

// finish ends a run that a look has nothing to do for.
func (r *run) finish() {
	if !r.nudged && r.handlers == 0 {
		r.end()
	}
}

// deliver makes the first attempts, each as a task of its own.
func (r *run) deliver(ids []string) {
	for _, id := range ids {
		r.w.attempt(id)
	}
}

// do runs one activity of the main loop.
func (r *run) do(a activity) {
	before := r.state
	r.act = r.w.startActivity(a, func(s state, err error) {
		r.act = nil
		if r.ended {
			return
		}
		r.learn(a, before, s, err)
	})
}

// learn is what act and learn of the runs of package workflows do.
func (r *run) learn(a activity, before *state, s state, err error) {
	switch {
	case err == nil:
		r.keep(before, &s)
		if r.charge || a.name != "LookAtWithdrawal" {
			r.pause = minPause
		}
	case isType(err, workflows.ErrTypeRowMissing):
		r.end()
	default:
		if !r.charge {
			r.state = nil
		}
		r.sleep(r.pause)
		r.onlyNudge = true
		r.pause = min(2*r.pause, maxPause)
	}
}

// keep keeps what an activity said, unless another said something meanwhile.
func (r *run) keep(before, s *state) {
	if r.state != before {
		s = nil
	}
	r.state = s
}

// serve is an update: a client's activity, until it decides or the client has
// surely gone.
func (r *run) serve(a activity, startBy time.Time) {
	r.touched = true
	r.handlers++
	if !r.charge && !r.onlyNudge {
		r.asleep = false
	}
	var try func()
	before := r.state
	try = func() {
		t := r.w.startActivity(a, func(s state, err error) {
			switch {
			case r.ended:
				return
			case err == nil:
				r.keep(before, &s)
				r.handlers--

				return
			}
			r.keep(before, nil)
			before = r.state
			if isType(err, workflows.ErrTypeOutcomeUnknown) || isType(err, workflows.ErrTypeRowMissing) || r.w.now.After(startBy) {
				r.handlers--

				return
			}
			r.w.at(openPause, func() {
				if !r.ended {
					try()
				}
			})
		})
		t.name += " (update)"
	}
	try()
}

func isType(err error, of string) bool {
	var app *temporal.ApplicationError

	return errors.As(err, &app) && app.Type() == of
}

// activity starts an activity on one of the workers. It may run a second time
// beside itself, or be given up on and go on all the same.
func (w *world) activity(a activity, done func(state, error)) *task {
	if !w.healing && w.chance(12) {
		w.fault("an activity twice at once")
		w.begin1(a, func(state, error) {}).detached = true
	}
	t := w.begin1(a, done)
	if !w.healing && w.chance(20) && a.name != "SendWithdrawal" {
		// It is run once more when it has ended, as after a lost completion.
		w.fault("an activity twice")
		was := t.done
		t.done = func(err error) {
			if err != nil {
				was(err)

				return
			}
			again := w.begin1(a, done)
			again.name += " (again)"
			// Whoever waits for the first waits for this one.
			w.rewait(t, again)
		}
	}

	return t
}

// rewait has the run that waits for a task wait for another.
func (w *world) rewait(t, again *task) {
	for _, r := range w.runs {
		if r.act == t {
			r.act = again
		}
	}
}

func (w *world) begin1(a activity, done func(state, error)) *task {
	on := pick(w, w.workers)
	var result state
	var t *task
	t = w.start(a.name, on, func(ctx context.Context) (err error) {
		result, err = a.call(ctx, on, t.lane)

		return err
	}, func(err error) { done(result, err) })
	t.timeout = a.timeout

	return t
}

func ofCharge(name string, call func(ctx context.Context, on *worker, l *lane) (workflows.ChargeState, error)) activity {
	return activity{name: name, timeout: localTimeout, call: func(ctx context.Context, on *worker, l *lane) (state, error) {
		s, err := call(ctx, on, l)

		return state{charge: &s}, err
	}}
}

func activityOpen(in workflows.OpenCharge) activity {
	return ofCharge("OpenCharge", func(ctx context.Context, on *worker, l *lane) (workflows.ChargeState, error) {
		s, err := on.charges(l).OpenCharge(ctx, in)
		if err == nil && s.Status == payments.ChargePending && s.DueIn != 0 {
			// The time left by the machine's clock, which is not the model's.
			s.DueIn = on.w.dueIn(s.PaymentHash)
		}

		return s, err
	})
}

func activityCancel(in workflows.CancelCharge) activity {
	return ofCharge("CancelCharge", func(ctx context.Context, on *worker, l *lane) (workflows.ChargeState, error) {
		return on.charges(l).CancelCharge(ctx, in)
	})
}

func activityLookAtCharge(id string) activity {
	return ofCharge("LookAtCharge", func(ctx context.Context, on *worker, l *lane) (workflows.ChargeState, error) {
		return on.charges(l).LookAtCharge(ctx, id)
	})
}

func activitySettle(id string) activity {
	return ofCharge("SettleCharge", func(ctx context.Context, on *worker, l *lane) (workflows.ChargeState, error) {
		s, err := on.charges(l).SettleCharge(ctx, id)
		if on.w.mutant == creditTwice && err == nil {
			err = on.w.creditAgain(ctx, id)
		}

		return s, err
	})
}

func activityExpire(id string) activity {
	return ofCharge("ExpireCharge", func(ctx context.Context, on *worker, l *lane) (workflows.ChargeState, error) {
		return on.charges(l).ExpireCharge(ctx, id)
	})
}

func ofWithdrawal(name string, call func(ctx context.Context, a payouts) (workflows.WithdrawalState, error)) activity {
	return activity{name: name, timeout: localTimeout, call: func(ctx context.Context, on *worker, l *lane) (state, error) {
		s, err := call(ctx, payouts{on.payouts(l), on.w})

		return state{withdrawal: &s}, err
	}}
}

func activityHold(in workflows.HoldWithdrawal) activity {
	return ofWithdrawal("HoldWithdrawal", func(ctx context.Context, a payouts) (workflows.WithdrawalState, error) {
		return a.HoldWithdrawal(ctx, in)
	})
}

func activityLookAtWithdrawal(id string) activity {
	return ofWithdrawal("LookAtWithdrawal", func(ctx context.Context, a payouts) (workflows.WithdrawalState, error) {
		return a.LookAtWithdrawal(ctx, id)
	})
}

func activitySend(id string, sends int) activity {
	send := ofWithdrawal("SendWithdrawal", func(ctx context.Context, a payouts) (workflows.WithdrawalState, error) {
		s, err := a.SendWithdrawal(ctx, workflows.SendWithdrawal{WithdrawalID: id, Sends: sends})
		if a.w.mutant == voidOnError && err == nil && s.Next == workflows.StepFollow {
			return a.voidUnproven(ctx, id, s)
		}

		return s, err
	})
	send.timeout = sendTimeout

	return send
}

func activityFollow(id string) activity {
	return ofWithdrawal("FollowWithdrawal", func(ctx context.Context, a payouts) (workflows.WithdrawalState, error) {
		return a.FollowWithdrawal(ctx, id)
	})
}

func activityBook(id string) activity {
	return ofWithdrawal("SettleByBook", func(ctx context.Context, a payouts) (workflows.WithdrawalState, error) {
		return a.SettleByBook(ctx, id)
	})
}

func activityResolve(id string) activity {
	return ofWithdrawal("ResolveWithdrawal", func(ctx context.Context, a payouts) (workflows.WithdrawalState, error) {
		return a.ResolveWithdrawal(ctx, id)
	})
}
