package stack

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/payments/bolt11"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/worker"
	"github.com/lntpay/lntpay/workflows"
)

// Point is a moment between two steps of a worker.
type Point string

// The calls of the node that have points around them. Activities have them too,
// by their names.
const (
	CallSendPayment   = "SendPayment of the node"
	CallCancelInvoice = "CancelInvoice of the node"
)

// Before is when all that comes before a step is done and nothing of it.
func Before(step string) Point { return Point("before " + step) }

// During is when lnd has a payment and has not said how it ended; of
// CallSendPayment only.
func During(step string) Point { return Point("during " + step) }

// After is when a step is done and nobody has been told.
func After(step string) Point { return Point("after " + step) }

// Victim is a worker in a process of its own that ends itself by SIGKILL when
// it reaches a point of one invoice's withdrawal. Nothing of it runs on: no
// defer, no last write, no word to Temporal. It serves everything else until
// then.
type Victim struct {
	at    Point
	log   string
	ended chan error
	kill  func()
	pid   int
}

// sentence is what a victim is told.
type sentence struct {
	Environment config.Environment
	Webhooks    config.Webhooks
	At          Point
	Bolt11      string
	// Stops makes it stand still at the point, once, and not die.
	Stops bool
}

// envVictim makes a test binary a victim.
const envVictim = "LNTPAY_TEST_VICTIM"

// StartVictim starts a victim. There should be no other worker: StopWorker.
// TestMain must call BeVictim.
func (s *Stack) StartVictim(at Point, bolt11 string) (*Victim, error) {
	return s.startVictim(sentence{At: at, Bolt11: bolt11})
}

// StartStopping is StartVictim of a worker that does not die at the point: all of
// it stands still there, by SIGSTOP, until Resume.
func (s *Stack) StartStopping(at Point, bolt11 string) (*Victim, error) {
	return s.startVictim(sentence{At: at, Bolt11: bolt11, Stops: true})
}

func (s *Stack) startVictim(c sentence) (*Victim, error) {
	c.Environment, c.Webhooks = s.Config.Sandbox, s.Config.Webhooks
	told, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	v := &Victim{at: c.At, log: filepath.Join(s.dir, "victim.log"), ended: make(chan error, 1)}
	output, err := os.Create(v.log)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envVictim+"="+string(told))
	cmd.Stdout, cmd.Stderr = output, output
	// It ends with its standard input, and so with us.
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	v.kill, v.pid = func() { _ = cmd.Process.Kill() }, cmd.Process.Pid
	go func() { v.ended <- v.judge(cmd.Wait()) }()

	return v, nil
}

// StandsStill waits until a victim of StartStopping has reached its point.
func (v *Victim) StandsStill(ctx context.Context) error {
	for {
		// "pid (name) state …", and the name may have brackets.
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", v.pid))
		if err == nil && strings.HasPrefix(string(text[bytes.LastIndexByte(text, ')')+1:]), " T ") {
			return nil
		}
		select {
		case err := <-v.ended:
			v.ended <- err // End's.
			output, _ := os.ReadFile(v.log)

			return fmt.Errorf("the victim was to stop %s: %w\n%s", v.at, err, output[max(0, len(output)-4096):])
		case <-ctx.Done():
			return fmt.Errorf("the victim was to stop %s: %w", v.at, errKilled)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Resume has a victim that stands still go on where it is.
func (v *Victim) Resume() error { return syscall.Kill(v.pid, syscall.SIGCONT) }

// End kills a victim that has not died, and waits. It is nil unless the victim
// ended before, by itself.
func (v *Victim) End() error {
	v.kill()

	return <-v.ended
}

// errKilled is the end of a victim that we, and not the point, have killed.
var errKilled = errors.New("it did not get there")

// judge is nil for a process that SIGKILL has ended.
func (v *Victim) judge(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
			return nil
		}
	}

	return fmt.Errorf("it ended by itself: %w", err)
}

// Died waits until the victim has reached its point and is dead.
func (v *Victim) Died(ctx context.Context) error {
	var err error
	select {
	case err = <-v.ended:
	case <-ctx.Done():
		v.kill()
		err = errors.Join(errKilled, <-v.ended)
	}
	if err == nil {
		return nil
	}
	output, _ := os.ReadFile(v.log)

	return fmt.Errorf("the victim was to die %s: %w\n%s", v.at, err, output[max(0, len(output)-4096):])
}

// BeVictim is what the process of a victim does instead of tests; in other
// processes it does nothing.
func BeVictim() {
	told := os.Getenv(envVictim)
	if told == "" {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	var s sentence
	err := json.Unmarshal([]byte(told), &s)
	if err == nil {
		err = serve(context.Background(), s)
	}
	fmt.Fprintln(os.Stderr, "victim:", err)
	os.Exit(1)
}

// serve is a worker's life.
func serve(ctx context.Context, s sentence) error {
	invoice, err := bolt11.Decode(s.Bolt11, s.Environment.Node.Network)
	if err != nil {
		return err
	}
	c := &condemned{at: s.At, bolt11: s.Bolt11, hash: invoice.PaymentHash, stops: s.Stops}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	w, err := worker.New(ctx, payments.Sandbox, s.Environment, s.Webhooks, prometheus.NewRegistry(), log, c.watch)
	if err != nil {
		return err
	}

	return w.Run(ctx)
}

// condemned dies, or stands still once, at a point of one withdrawal.
type condemned struct {
	interceptor.WorkerInterceptorBase

	at     Point
	bolt11 string
	hash   lightning.Hash
	store  *store.Store
	stops  bool
	once   sync.Once
}

// stopsWithin is how long the kernel may take to stop all threads.
const stopsWithin = 200 * time.Millisecond

// watch is worker.Option.
func (c *condemned) watch(w *worker.Worker) {
	c.store = w.Store
	w.Node = mortalNode{Node: w.Node, condemned: c}
	w.Interceptors = append(w.Interceptors, c)
}

// reach dies at the point. mine says whether it is the withdrawal's.
func (c *condemned) reach(here Point, mine func() bool) {
	if here == c.at && mine() {
		if c.stops {
			c.once.Do(func() {
				_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
				time.Sleep(stopsWithin)
			})

			return
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		// The signal ends the other threads a moment after this call.
		select {}
	}
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (c *condemned) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &mortalActivity{
		ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, condemned: c,
	}
}

type mortalActivity struct {
	interceptor.ActivityInboundInterceptorBase

	condemned *condemned
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor.
func (a *mortalActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	mine := func() bool { return a.condemned.runs(ctx, info.WorkflowExecution.ID) }
	a.condemned.reach(Before(info.ActivityType.Name), mine)
	result, err := a.Next.ExecuteActivity(ctx, in)
	a.condemned.reach(After(info.ActivityType.Name), mine)

	return result, err
}

// runs reports whether a workflow is the withdrawal's.
func (c *condemned) runs(ctx context.Context, workflowID string) bool {
	id := strings.TrimPrefix(workflowID, workflows.WithdrawalWorkflowID(""))
	row, err := c.store.GetWithdrawal(ctx, id)

	return err == nil && hex.EncodeToString(row.PaymentHash) == c.hash.String()
}

type mortalNode struct {
	lightning.Node

	condemned *condemned
}

// SendPayment implements lightning.Node.
func (n mortalNode) SendPayment(ctx context.Context, request lightning.SendRequest) (*lightning.Payment, error) {
	mine := func() bool { return request.Bolt11 == n.condemned.bolt11 }
	n.condemned.reach(Before(CallSendPayment), mine)
	if n.condemned.at == During(CallSendPayment) && mine() {
		go n.reachOnceSent(ctx, mine)
	}
	last, err := n.Node.SendPayment(ctx, request)
	n.condemned.reach(After(CallSendPayment), mine)

	return last, err
}

// reachOnceSent waits until lnd has the payment.
func (n mortalNode) reachOnceSent(ctx context.Context, mine func() bool) {
	for ctx.Err() == nil {
		if _, err := n.TrackPayment(ctx, n.condemned.hash); err == nil {
			n.condemned.reach(During(CallSendPayment), mine)
		}
		time.Sleep(time.Millisecond)
	}
}

// CancelInvoice implements lightning.Node.
func (n mortalNode) CancelInvoice(ctx context.Context, hash lightning.Hash) error {
	mine := func() bool { return hash == n.condemned.hash }
	n.condemned.reach(Before(CallCancelInvoice), mine)
	err := n.Node.CancelInvoice(ctx, hash)
	n.condemned.reach(After(CallCancelInvoice), mine)

	return err
}
