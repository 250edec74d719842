package model

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// What is done with a step that a task is about to take.
type verdict int

const (
	// pass lets it happen.
	pass verdict = iota
	// failBefore answers with an error and changes nothing.
	failBefore
	// loseAnswer has it happen and answers with an error: a COMMIT whose
	// answer was lost, a node that died behind its effect.
	loseAnswer
	// dieBefore and dieAfter end the process there: whatever the code still does
	// has no effect.
	dieBefore
	dieAfter
)

var verdictNames = map[verdict]string{
	pass: "", failBefore: "fails", loseAnswer: "answer lost", dieBefore: "dies before", dieAfter: "dies after",
}

var (
	errDead = errors.New("model: the process is dead")
	errCut  = errors.New("model: injected fault")
	// errTimeout is what a run is told of an activity that took too long.
	errTimeout = errors.New("model: the activity took too long")
)

type taskKey struct{}

// task is one run of an activity, or of something else that our own code does,
// on a goroutine of its own. It stops before each statement, commit and call of
// the node, until the scheduler lets it go on: one moves at a time.
type task struct {
	w    *world
	id   int
	name string
	on   *worker
	lane *lane
	fn   func(ctx context.Context) error
	done func(err error)

	resume chan verdict
	// at is the step that it stands before; "" before its first.
	at string
	// node says that the step is a call of the node.
	node  bool
	ready func() bool

	moving, blocked, ended bool
	dead, broken           bool
	inTx, wrote            bool
	// pid is the backend that runs a statement of it, 0 while none does: what is
	// free is another's at once.
	pid atomic.Uint32
	// licensed is when it got its licence to send.
	licensed time.Time
	began    time.Time
	timeout  time.Duration
	// still is until when it stands still: its machine is suspended, or busy.
	still time.Time
	// haste is how likely it is to move before others.
	haste int
	// detached says that whoever started it has given it up.
	detached bool
	nudged   []nudge
	err      error
}

// moved is what a task tells the scheduler: it stands before a step, or is over.
type moved struct{ t *task }

// stop is called on the task's goroutine before a step.
func (t *task) stop(label string, node bool, ready func() bool) verdict {
	t.at, t.node, t.ready = label, node, ready
	t.w.moves <- moved{t}

	return <-t.resume
}

// start puts a task beside the others; it moves when it is chosen.
func (w *world) start(name string, on *worker, fn func(ctx context.Context) error, done func(error)) *task {
	w.taskCount++
	t := &task{
		w: w, id: w.taskCount, name: name, on: on, fn: fn, done: done, resume: make(chan verdict), began: w.now,
		lane: w.takeLane(), haste: pick(w, []int{1, 8, 12, 30}),
	}
	t.lane.task = t
	w.tasks = append(w.tasks, t)
	go func() {
		<-t.resume
		t.err = t.fn(context.WithValue(context.Background(), taskKey{}, t))
		t.ended = true
		w.moves <- moved{t}
	}()

	return t
}

// runnable reports whether a task can move. Where one waits for a lock, nobody
// else takes the same step: Postgres wakes all that wait for a row at once, and
// who gets it would not be the seed's.
func (t *task) runnable() bool {
	return !t.blocked && !t.w.waited(t.at) && (t.ready == nil || t.ready()) && (t.w.healing || !t.w.now.Before(t.still))
}

// waited reports whether a task waits for a lock in such a step.
func (w *world) waited(step string) bool {
	return slices.ContainsFunc(w.tasks, func(other *task) bool { return other.blocked && other.at == step })
}

// step moves a task by one step, and those that it frees of its locks.
func (w *world) step(t *task, v verdict) {
	w.count.Steps++
	w.note("%d %s [%s] %s", t.id, t.name, t.at, verdictNames[v])
	t.moving = true
	t.resume <- v
	w.settle(t)
	for _, other := range w.tasks {
		if other.blocked && !w.locked(other) {
			other.blocked, other.moving = false, true
			w.settle(other)
		}
	}
	w.reap()
}

// lockPatience is how long a statement may take before Postgres is asked whether
// it waits for a lock.
const lockPatience = 2 * time.Millisecond

// settle waits until a task stands again, is over, or waits for a lock.
func (w *world) settle(t *task) {
	for t.moving {
		timer := time.NewTimer(lockPatience)
		select {
		case m := <-w.moves:
			if m.t != t && !m.t.blocked {
				w.fail("the task %d moved out of its turn", m.t.id)
			}
			// What was freed of its lock may be quicker than who has freed it.
			m.t.moving, m.t.blocked = false, false
		case <-timer.C:
			if t.pid.Load() != 0 && w.locked(t) {
				t.blocked, t.moving = true, false
				w.count.Waits++
			}
			if time.Since(w.began) > seedPatience {
				panic(fmt.Sprintf("model: seed %d: task %d %s hangs behind [%s]", w.seed, t.id, t.name, t.at))
			}
		}
		timer.Stop()
	}
}

// seedPatience is when a seed hangs: no seed needs a tenth of it.
const seedPatience = 2 * time.Minute

func (w *world) locked(t *task) bool {
	waits, err := w.db.waitsForLock(w.ctx, t.pid.Load())
	if err != nil {
		w.fail("ask for locks: %v", err)
	}

	return waits
}

// reap ends the tasks that are over and tells whoever started them.
func (w *world) reap() {
	for i := 0; i < len(w.tasks); {
		t := w.tasks[i]
		if !t.ended {
			i++

			continue
		}
		w.tasks = append(w.tasks[:i], w.tasks[i+1:]...)
		w.freeLane(t.lane)
		err := t.err
		if t.dead {
			err = errDead
			w.count.Crashes++
		}
		w.note("%d %s ends: %s", t.id, t.name, brief(err))
		if err != nil {
			w.judgeError(t, err)
		}
		if !t.dead {
			w.passNudges(t)
		}
		if !t.detached {
			t.done(err)
		}
	}
}

// brief is an error without what differs between two runs of a seed.
func brief(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, errDead):
		return "dead"
	}

	return "error"
}

// steps of the product between the statements are told by their tracer.
type tracer struct{}

// TraceQueryEnd implements pgx.QueryTracer.
func (tracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if t := taskOf(ctx); t != nil {
		t.pid.Store(0)
	}
}

// taskOf is the task on whose behalf a statement runs.
func taskOf(ctx context.Context) *task {
	if t, ok := ctx.Value(taskKey{}).(*task); ok {
		return t
	}
	if l, ok := ctx.Value(laneKey{}).(*lane); ok {
		return l.task
	}

	return nil
}

// TraceQueryStart implements pgx.QueryTracer: this is where a task stops before
// a statement. A context that has ended keeps pgx from sending it.
func (tracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	t := taskOf(ctx)
	if t == nil {
		return ctx
	}
	name := statementName(data.SQL)
	switch name {
	case "begin":
		t.broken, t.wrote = false, false
		t.setClock(conn)

		return ctx
	case "rollback":
		t.inTx = false

		return ctx
	case "savepoint", "release", "set":
		return ctx
	}
	inTx := conn.PgConn().TxStatus() != 'I'
	t.inTx = inTx
	t.pid.Store(conn.PgConn().PID())
	if t.dead || t.broken && inTx {
		return t.refuse(ctx, conn, name)
	}
	v := t.stop(name, false, nil)
	if !inTx {
		t.setClock(conn)
	}
	if name == "AddSend" {
		t.licensed = t.w.now
	}

	return t.obey(ctx, conn, data, v, name, inTx)
}

// obey carries a verdict out.
func (t *task) obey(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData, v verdict, name string, inTx bool,
) context.Context {
	t.dead = v == dieBefore || v == dieAfter
	switch {
	case v == pass:
	case (v == loseAnswer || v == dieAfter) && (name == "commit" || !inTx):
		// It happens here, and the caller does not hear of it.
		_, err := conn.Exec(context.Background(), data.SQL, data.Args...)
		t.w.lost(name, err)
		ctx = ended(ctx)
	default:
		t.broken = inTx

		return t.refuse(ctx, conn, name)
	}
	t.wrote = t.wrote || writes(name, data.SQL)
	if name == "commit" {
		t.inTx = false
	}
	if name == "commit" || !inTx {
		t.w.written, t.wrote = t.w.written || t.wrote, false
	}

	return ctx
}

// aside are statements that write when somebody looks again, how far somebody has
// come, or what was delivered: nothing that the invariants are about.
var aside = map[string]bool{
	"InsertClaim": true, "NoteProgress": true, "PostponeWithdrawal": true, "NoteAbsence": true, "NoteFinding": true,
	"SweepCharges": true, "SweepWithdrawals": true, "UncreditedReceipts": true, "OverdueDeliveries": true,
	"RaiseHighestIndexes": true, "RaiseHighestPayment": true, "AdvanceSettleCursor": true, "MoveExplained": true,
	"BeginExplained": true, "PutOffDelivery": true, "RecordDeliverySuccess": true, "RecordDeliveryFailure": true,
	"AddBlocks": true, "AddActionSeals": true, "AddHead": true,
}

// writes reports whether a statement may change what the invariants are about.
func writes(name, sql string) bool {
	return !aside[name] &&
		(strings.Contains(sql, "INSERT INTO") || strings.Contains(sql, "UPDATE ") || strings.Contains(sql, "DELETE FROM"))
}

// refuse keeps a statement from being sent. A transaction that is not committed
// is over for Postgres as well.
func (t *task) refuse(ctx context.Context, conn *pgx.Conn, name string) context.Context {
	if name == "commit" {
		_, _ = conn.PgConn().Exec(context.Background(), "rollback").ReadAll()
		t.inTx = false
	}

	return ended(ctx)
}

func ended(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	cancel(errCut)

	return ctx
}

// setClock gives the connection the model's time.
func (t *task) setClock(conn *pgx.Conn) {
	at := t.w.now.Format("2006-01-02 15:04:05.999999Z07:00")
	custom := conn.PgConn().CustomData()
	if custom["now"] == at {
		return
	}
	_, err := conn.PgConn().Exec(context.Background(), "SET sim.now = '"+at+"'").ReadAll()
	t.w.lost("the clock", err)
	custom["now"] = at
}

// statementName is sqlc's name, or the first word of another statement.
func statementName(sql string) string {
	if rest, ok := strings.CutPrefix(sql, "-- name: "); ok {
		name, _, _ := strings.Cut(rest, " ")

		return name
	}
	first, _, _ := strings.Cut(strings.TrimSpace(sql), " ")

	return strings.ToLower(first)
}
