package activities_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// sendCall is lightning.Node's SendPayment.
type sendCall func(context.Context, lightning.SendRequest) (*lightning.Payment, error)

func (m *meddler) SendPayment(ctx context.Context, request lightning.SendRequest) (*lightning.Payment, error) {
	if m.send == nil {
		return m.Node.SendPayment(ctx, request)
	}

	return m.send(ctx, request, m.Node.SendPayment)
}

func (m *meddler) TrackPayment(ctx context.Context, hash lightning.Hash) (lightning.Payment, error) {
	payment, err := m.Node.TrackPayment(ctx, hash)
	if m.afterTrack != nil {
		m.afterTrack()
	}

	return payment, err
}

// death is how the first send of a withdrawal ends in the middle, and what that
// leaves behind.
type death struct {
	// arm prepares it; heal undoes what kept the send from its books.
	arm func(t *testing.T, p *payoutHistory) (heal func(*testing.T))
	// status and sends are the row's; unended are its send rows that nobody
	// noted the end of.
	status         string
	sends, unended int
	// begun says that the node has begun the payment.
	begun bool
}

func deaths() map[string]death {
	// dies ends the goroutine of the activity, the first time.
	dies := func(arm func(m *meddler, die func())) func(*testing.T, *payoutHistory) func(*testing.T) {
		return func(_ *testing.T, p *payoutHistory) func(*testing.T) {
			var once sync.Once
			m := &meddler{Node: p.node}
			arm(m, func() { once.Do(runtime.Goexit) })
			p.payouts.Node = m

			return func(*testing.T) {}
		}
	}

	return map[string]death{
		"fenced, not licensed": {arm: dies(func(m *meddler, die func()) { m.afterTrack = die }), status: "held"},
		"licensed, not sent": {
			arm: dies(func(m *meddler, die func()) {
				m.send = func(ctx context.Context, r lightning.SendRequest, call sendCall) (*lightning.Payment, error) {
					die()

					return call(ctx, r)
				}
			}), status: "sending", sends: 1, unended: 1,
		},
		"sent, not in the books": {
			arm: dies(func(m *meddler, die func()) {
				m.send = func(ctx context.Context, r lightning.SendRequest, call sendCall) (*lightning.Payment, error) {
					last, err := call(ctx, r)
					die()

					return last, err
				}
			}), status: "sending", sends: 1, unended: 1, begun: true,
		},
		"sent, the books are away": {
			arm: func(t *testing.T, p *payoutHistory) func(*testing.T) {
				heal := p.breakTable(t, "withdrawal_send", "UPDATE", "true")

				return func(*testing.T) { heal() }
			}, status: "sending", sends: 1, unended: 1, begun: true,
		},
	}
}

// mortal runs an activity that may die: alive is false when it did.
func mortal(run func() (any, error)) (result any, alive bool, err error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		result, err = run()
		alive = true
	}()
	<-ended

	return result, alive, err
}

// A sender dies in the middle of its send, or cannot write what came of it. A
// run that lives sees an activity without an answer; one that died with its
// worker is started again by the sweeper. Either ends the withdrawal as the node
// does, once.
func TestDeathInsideSend(t *testing.T) {
	t.Parallel()
	for name, d := range deaths() {
		for _, lifeName := range []string{"paid", "no route", "held, settled", "held, canceled"} {
			for how, cause := range map[string]error{
				"the run lives":    errAnswerLost,
				"the run dies too": temporal.NewNonRetryableApplicationError("dead", workflows.ErrTypeRowMissing, nil),
			} {
				t.Run(name+"/"+lifeName+"/"+how, func(t *testing.T) {
					t.Parallel()
					w, receiver := deliveringWorld(t)
					l := payoutLives()[lifeName]
					p := w.beginPayout(t, l)
					p.diesInside(t, d, cause)
					p.finished(t)
					require.Equal(t, 1, p.node.Initiations(p.hash))
					p.told(t, receiver)
				})
			}
		}
	}
}

// diesInside drives the withdrawal through one death, which the run is told by
// cause, to its end.
func (p *payoutHistory) diesInside(t *testing.T, d death, cause error) {
	t.Helper()
	heal := d.arm(t, p)
	died := false
	p.run(t, func(_ int, run func() (any, error)) (any, error) {
		result, alive, err := mortal(run)
		if died || alive && err == nil {
			return result, err
		}
		died = true
		p.left(t, d)
		heal(t)

		return nil, cause
	}, false)
	require.True(t, died)
	if cause != errAnswerLost {
		p.exec(t, "UPDATE withdrawal SET next_check_at = next_check_at - interval '121 seconds'")
		require.NoError(t, p.nodes.SweepRows(t.Context()))
		require.Contains(t, p.nudger.withdrawals, p.order.WithdrawalID, "somebody comes back")
		p.run(t, once, true)
	}
}

// left asserts what a death has left behind, from the activity's goroutine.
func (p *payoutHistory) left(t *testing.T, d death) {
	t.Helper()
	id := p.order.WithdrawalID
	row := p.payout(t, id)
	assert.Equal(t, d.status, row.Status)
	assert.EqualValues(t, d.sends, row.Sends)
	assert.EqualValues(t, d.unended, p.number(t, "SELECT count(*) FROM withdrawal_send WHERE withdrawal_id = $1 AND ended_at IS NULL", id))
	assert.Equal(t, d.begun, p.node.Initiations(p.hash) == 1)
}

// What a dead sender has left is followed as any other payment: the first look
// takes it up, and the node's stream of payments wakes it.
func TestDeadSendIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.held(t, lightningtest.Hold(0))
	w.node.Inject(lightningtest.SendPayment, lightningtest.FailAfter)
	w.payouts.Node = &meddler{Node: w.node, send: func(ctx context.Context, r lightning.SendRequest, call sendCall) (*lightning.Payment, error) {
		defer runtime.Goexit()

		return call(ctx, r)
	}}
	_, alive, _ := mortal(func() (any, error) {
		return w.payouts.SendWithdrawal(t.Context(), workflows.SendWithdrawal{WithdrawalID: id})
	})
	require.False(t, alive)
	require.Equal(t, "sending", w.payout(t, id).Status)
	w.waits(t, id)
	woken, err := w.Store.FollowedByHash(t.Context(), db.FollowedByHashParams{Node: w.node.Name(), PaymentHashes: [][]byte{hash[:]}})
	require.NoError(t, err)
	require.Len(t, woken, 1)
	require.NoError(t, w.node.SettlePayment(hash))
	w.follow(t, id)
	w.succeeded(t, id, 0)
}

// The context of a send ends while the node has it, as when the worker stops:
// what is known is booked all the same, and what is not is followed.
func TestSendOutlivesItsContext(t *testing.T) {
	t.Parallel()
	type sent = func(ctx context.Context, cancel func(), r lightning.SendRequest, call sendCall) (*lightning.Payment, error)
	before := func(ctx context.Context, cancel func(), r lightning.SendRequest, call sendCall) (*lightning.Payment, error) {
		cancel()

		return call(ctx, r)
	}
	after := func(ctx context.Context, cancel func(), r lightning.SendRequest, call sendCall) (*lightning.Payment, error) {
		defer cancel()

		return call(ctx, r)
	}
	lost := func(ctx context.Context, cancel func(), r lightning.SendRequest, call sendCall) (*lightning.Payment, error) {
		_, _ = call(ctx, r)
		cancel()

		return nil, ctx.Err()
	}
	for name, c := range map[string]struct {
		sent    sent
		outcome lightningtest.Outcome
		status  string
		end     payments.FailureCode
	}{
		"before it was sent":         {before, lightningtest.Succeed(3), "following", ""},
		"success, known":             {after, lightningtest.Succeed(3), "succeeded", ""},
		"success, answer lost":       {lost, lightningtest.Succeed(3), "following", ""},
		"a failure, known":           {after, lightningtest.Fail(lightning.ReasonTimeout), "failed", payments.FailureTimeout},
		"a failure, answer lost":     {lost, lightningtest.Fail(lightning.ReasonTimeout), "following", payments.FailureTimeout},
		"failed, before it was sent": {before, lightningtest.Fail(lightning.ReasonTimeout), "following", payments.FailureTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, hash := w.held(t, c.outcome)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.payouts.Node = &meddler{Node: w.node, send: func(sendCtx context.Context, r lightning.SendRequest, call sendCall) (*lightning.Payment, error) {
				return c.sent(sendCtx, cancel, r, call)
			}}
			_, _ = w.payouts.SendWithdrawal(ctx, workflows.SendWithdrawal{WithdrawalID: id})
			require.Equal(t, c.status, w.payout(t, id).Status)
			require.Zero(t, w.number(t, "SELECT count(*) FROM withdrawal_send WHERE ended_at IS NULL"), "noted in spite of the context")
			w.payouts.Node = w.node
			w.toTheEnd(t, id)
			require.Equal(t, 1, w.node.Initiations(hash))
			if c.end != "" {
				w.failed(t, id, c.end)
				w.books(t, w.workspace, amount+maxFee, 0)

				return
			}
			w.succeeded(t, id, 3)
			w.books(t, w.workspace, maxFee-3, 0)
		})
	}
}

// A worker that stops does not wait for a payment that is held: it stops
// reading, and another follows.
func TestSendEndsWithItsWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.held(t, lightningtest.Hold(2))
	stop := make(chan struct{})
	var why error
	w.payouts.Node = &meddler{Node: w.node, send: func(ctx context.Context, r lightning.SendRequest, call sendCall) (*lightning.Payment, error) {
		close(stop)
		<-ctx.Done()
		why = ctx.Err()

		// The node had begun before that.
		return call(context.WithoutCancel(ctx), r)
	}}
	w.node.Inject(lightningtest.SendPayment, lightningtest.FailAfter)
	env := quietSuite().NewTestActivityEnvironment()
	env.SetWorkerStopChannel(stop)
	env.RegisterActivity(w.payouts.SendWithdrawal)
	_, err := env.ExecuteActivity(w.payouts.SendWithdrawal, workflows.SendWithdrawal{WithdrawalID: id})
	require.NoError(t, err)
	require.ErrorIs(t, why, context.Canceled, "not at its deadline")
	require.Zero(t, w.number(t, "SELECT count(*) FROM withdrawal_send WHERE ended_at IS NULL"))
	w.payouts.Node = w.node
	w.waits(t, id)
	require.NoError(t, w.node.SettlePayment(hash))
	w.follow(t, id)
	w.succeeded(t, id, 2)
}

// toTheEnd does what the run would, as time goes by, until the withdrawal is
// over.
func (w *world) toTheEnd(t *testing.T, id string) {
	t.Helper()
	for range 20 {
		state, err := w.payouts.LookAtWithdrawal(t.Context(), id)
		require.NoError(t, err)
		if state.Status.Closed() {
			return
		}
		if state = w.follow(t, id); state.Next == workflows.StepSend {
			state = w.send(t, id)
		}
		w.pass(t, id, state.NextIn)
	}
	require.Fail(t, "the withdrawal does not end")
}

// clocks are those of a sender, which reads them at its licence, for the
// context of its call, and last before the call.
type clocks struct {
	reads         int
	running, wall time.Duration
	// last is called before the last reading.
	last func()
}

func (c *clocks) read() (running time.Duration, wall time.Time) {
	const began = time.Hour
	wall = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if c.reads++; c.reads < 3 {
		return began, wall
	}
	if c.last != nil {
		c.last()
	}

	return began + c.running, wall.Add(c.wall)
}

// A licence is 20 s old at most when its sender calls, by the clock that
// stands still while the machine is suspended and by the one that can be set
// back. Whoever comes too late does not call, and the withdrawal goes on.
func TestSendDeadline(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		clocks clocks
		calls  int
	}{
		"in time":                     {clocks{running: 19900 * time.Millisecond, wall: 19900 * time.Millisecond}, 1},
		"paused":                      {clocks{running: 20 * time.Second, wall: 20 * time.Second}, 0},
		"the machine was suspended":   {clocks{running: time.Second, wall: 21 * time.Second}, 0},
		"the wall clock was set back": {clocks{running: 21 * time.Second, wall: -time.Hour}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, hash := w.held(t, lightningtest.Succeed(4))
			w.payouts.SetClocks(c.clocks.read)
			w.send(t, id)
			require.Equal(t, c.calls, w.node.Calls(lightningtest.SendPayment))
			require.Equal(t, c.calls, w.node.Initiations(hash))
			w.payouts.SetClocks(nil)
			w.toTheEnd(t, id)
			w.succeeded(t, id, 4)
			require.Equal(t, 1, w.node.Initiations(hash))
			require.EqualValues(t, 2-c.calls, w.payout(t, id).Sends)
		})
	}
}

// The call itself ends with the licence, by our clock and not later than by
// Postgres'.
func TestSendEndsWithItsLicence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := w.held(t, lightningtest.Succeed(0))
	var deadline time.Time
	w.payouts.Node = &meddler{Node: w.node, send: func(ctx context.Context, r lightning.SendRequest, call sendCall) (*lightning.Payment, error) {
		deadline, _ = ctx.Deadline()

		return call(ctx, r)
	}}
	w.send(t, id)
	sends, err := w.Store.ListSends(t.Context(), id)
	require.NoError(t, err)
	require.False(t, deadline.IsZero())
	require.False(t, deadline.After(sends[0].Deadline))
}

// A sender that was paused, and comes back when another has sent and seen it
// fail, begins nothing: neither before the withdrawal is voided nor after, when
// the next payment of the hash would succeed.
func TestZombieSender(t *testing.T) {
	t.Parallel()
	for where, arrange := range map[string]func(zombie *zombie){
		"at the fence": func(z *zombie) { z.Node = &meddler{Node: z.Node, afterTrack: z.pause} },
		"licensed": func(z *zombie) {
			z.SetClocks((&clocks{running: time.Minute, wall: time.Minute, last: z.pause}).read)
		},
	} {
		for when, voided := range map[string]bool{"before the void": false, "after the void": true} {
			t.Run(where+", "+when, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.sweepPayments(t)
				id, hash := w.held(t, lightningtest.Fail(lightning.ReasonNoRoute), lightningtest.Succeed(0))
				z := w.zombie(t, id, arrange)
				w.node.Inject(lightningtest.SendPayment, lightningtest.FailAfter)
				w.pass(t, id, settledTime)
				if where == "licensed" {
					require.Equal(t, workflows.StepSend, w.follow(t, id).Next)
				}
				w.send(t, id)
				require.Equal(t, "following", w.payout(t, id).Status)
				if voided {
					w.toTheEnd(t, id)
				}
				z.resume()
				w.toTheEnd(t, id)
				w.failed(t, id, payments.FailureNoRoute)
				require.Equal(t, 1, w.node.Calls(lightningtest.SendPayment))
				require.Equal(t, 1, w.node.Initiations(hash))
				w.sweepPayments(t)
				w.noLoss(t)
				w.books(t, w.workspace, amount+maxFee, 0)
			})
		}
	}
}

// zombie is a worker of its own whose first send is paused.
type zombie struct {
	activities.Withdrawals
	paused, resumed, ended chan struct{}
}

// pause is where it stops until resume.
func (z *zombie) pause() {
	close(z.paused)
	<-z.resumed
}

// resume lets it go on to its end.
func (z *zombie) resume() {
	close(z.resumed)
	<-z.ended
}

// zombie starts the first send of a withdrawal and waits until it is paused.
func (w *world) zombie(t *testing.T, id string, arrange func(*zombie)) *zombie {
	t.Helper()
	z := &zombie{
		Withdrawals: *w.payouts,
		paused:      make(chan struct{}), resumed: make(chan struct{}), ended: make(chan struct{}),
	}
	arrange(z)
	go func() {
		defer close(z.ended)
		_, _ = z.SendWithdrawal(t.Context(), workflows.SendWithdrawal{WithdrawalID: id})
	}()
	select {
	case <-z.paused:
	case <-z.ended:
		require.Fail(t, "the sender was not paused")
	}

	return z
}

// What was sent first begins while the second send is on its way: the node
// answers "already exists", which is no failure. The payment is followed and
// ends the withdrawal once.
func TestPaymentExists(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome lightningtest.Outcome
		end     func(*world, lightning.Hash) error
		failure payments.FailureCode
	}{
		"in flight, settled": {lightningtest.Hold(6), func(w *world, hash lightning.Hash) error {
			return w.node.SettlePayment(hash)
		}, ""},
		"in flight, canceled": {lightningtest.Hold(6), func(w *world, hash lightning.Hash) error {
			return w.node.FailPayment(hash, lightning.ReasonIncorrectDetails)
		}, payments.FailureRejectedByRecipient},
		"succeeded": {lightningtest.Succeed(6), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, hash := w.lost(t, lightningtest.FailDelayed, c.outcome)
			w.pass(t, id, settledTime)
			require.Equal(t, workflows.StepSend, w.follow(t, id).Next)
			w.payouts.Node = &meddler{Node: w.node, send: func(ctx context.Context, r lightning.SendRequest, call sendCall) (*lightning.Payment, error) {
				w.node.ReleaseSends()

				return call(ctx, r)
			}}
			w.send(t, id)
			require.Equal(t, 2, w.node.Calls(lightningtest.SendPayment))
			require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM withdrawal_send WHERE number = 2 AND outcome = 'exists'"))
			if c.end != nil {
				w.waits(t, id)
				w.pass(t, id, 2*time.Minute)
				w.waits(t, id)
				require.NoError(t, c.end(w, hash))
			}
			w.toTheEnd(t, id)
			require.Equal(t, 1, w.node.Initiations(hash))
			w.agrees(t)
			if c.failure != "" {
				w.failed(t, id, c.failure)
				w.books(t, w.workspace, amount+maxFee, 0)

				return
			}
			w.succeeded(t, id, 6)
			w.books(t, w.workspace, maxFee-6, 0)
		})
	}
}
