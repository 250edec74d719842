package devnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Spec says how one program is run.
type Spec struct {
	// Name is how messages, the log file and dev.json call it.
	Name string
	// Path is the program.
	Path string
	// Args gives the arguments, asked for at every start: btcd's change once
	// the address to mine to is known.
	Args func() []string
	// Env is added to a bare environment (PATH, HOME, language, time zone).
	Env []string
	// Dir is the working directory.
	Dir string
	// Log is the file that takes stdout and stderr.
	Log string
	// User runs it as another user; nil is ours.
	User *User
	// Stop is the signal that ends it in good order, SIGTERM when zero.
	Stop syscall.Signal
	// StopWithin is how long that may take before it is killed, 10 s when zero.
	StopWithin time.Duration
	// Orphaned is the signal the kernel sends it when we die, SIGKILL when zero.
	Orphaned syscall.Signal
	// Ready is asked again and again until it answers nil.
	Ready func(ctx context.Context) error
	// ReadyWithin bounds that, 60 s when zero.
	ReadyWithin time.Duration
	// Keep restarts the program whenever it ends.
	Keep bool
	// Changed is told about every start, from the goroutine that runs it, and
	// why the run before it ended; that is nil at the first start.
	Changed func(pid int, why error)
}

// Delays between two starts of a program that keeps dying. One that ran for
// longer than steady starts from the shortest delay again.
const (
	shortestDelay = 200 * time.Millisecond
	longestDelay  = 5 * time.Second
	steady        = 30 * time.Second
	// hopeless is how many times a program may end before it was ready once.
	hopeless  = 6
	readyPoll = 50 * time.Millisecond
)

// Process is a program that was started, and is started again if it is kept.
type Process struct {
	spec    Spec
	stop    chan struct{}
	restart chan chan struct{}
	done    chan struct{}
	once    sync.Once

	mu    sync.Mutex
	pid   int
	ends  int
	err   error
	ready bool
}

// Start runs a program and returns once it is ready. It goes on running when
// ctx ends; Stop ends it. A program that cannot get ready is stopped, and the
// error carries the last lines of its log.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	p := launch(spec)
	if err := p.WaitReady(ctx); err != nil {
		p.Stop()

		return nil, err
	}

	return p, nil
}

// launch runs a program without waiting until it is ready.
func launch(spec Spec) *Process {
	if spec.Stop == 0 {
		spec.Stop = syscall.SIGTERM
	}
	if spec.Orphaned == 0 {
		spec.Orphaned = syscall.SIGKILL
	}
	if spec.StopWithin == 0 {
		spec.StopWithin = 10 * time.Second
	}
	if spec.ReadyWithin == 0 {
		spec.ReadyWithin = time.Minute
	}
	p := &Process{
		spec: spec, stop: make(chan struct{}), restart: make(chan chan struct{}), done: make(chan struct{}),
	}
	go p.run()

	return p
}

// PID is the process id of the running program, 0 between two runs.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.pid
}

// Stop ends the program: its stop signal, then, past its deadline, SIGKILL to
// its process group. It returns when the program is gone; again is harmless.
func (p *Process) Stop() {
	p.once.Do(func() { close(p.stop) })
	<-p.done
}

// Restart ends the program and starts it again at once. It returns when the
// new one is running, not when it is ready.
func (p *Process) Restart(ctx context.Context) error {
	again := make(chan struct{})
	select {
	case p.restart <- again:
	case <-p.done:
		return fmt.Errorf("%s has ended", p.spec.Name)
	case <-ctx.Done():
		return fmt.Errorf("restart %s: %w", p.spec.Name, ctx.Err())
	}
	select {
	case <-again:
		return nil
	case <-p.done:
		return fmt.Errorf("%s has ended", p.spec.Name)
	case <-ctx.Done():
		return fmt.Errorf("restart %s: %w", p.spec.Name, ctx.Err())
	}
}

// WaitReady returns once the program answers its readiness question.
func (p *Process) WaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.spec.ReadyWithin)
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	why := errors.New("it was never asked")
	for {
		if over, err := p.over(); over {
			return fmt.Errorf("%s ended before it was ready: %w\n%s", p.spec.Name, err, logTail(p.spec.Log))
		}
		if p.PID() != 0 {
			if why = p.ask(ctx); why == nil {
				p.mu.Lock()
				p.ready = true
				p.mu.Unlock()

				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %s: %w; the end of %s:\n%s",
				p.spec.Name, p.spec.ReadyWithin, why, p.spec.Log, logTail(p.spec.Log))
		case <-tick.C:
		}
	}
}

// ask puts the readiness question once.
func (p *Process) ask(ctx context.Context) error {
	if p.spec.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()

	return p.spec.Ready(ctx)
}

// over reports whether waiting for readiness makes no sense any more.
func (p *Process) over() (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
		return true, p.err
	default:
		return !p.ready && p.ends >= hopeless, p.err
	}
}

// run starts the program, again and again if it is kept, until Stop.
func (p *Process) run() {
	defer close(p.done)
	var started chan struct{}
	delay := shortestDelay
	for {
		began := time.Now()
		exit, cmd, err := p.start()
		if started != nil {
			close(started)
			started = nil
		}
		if err == nil {
			select {
			case err = <-exit:
			case <-p.stop:
				p.end(cmd, exit)

				return
			case started = <-p.restart:
				p.end(cmd, exit)

				continue
			}
		}
		p.ended(err)
		if !p.spec.Keep {
			return
		}
		if time.Since(began) > steady {
			delay = shortestDelay
		}
		select {
		case <-time.After(delay):
		case <-p.stop:
			return
		case started = <-p.restart:
		}
		delay = min(2*delay, longestDelay)
	}
}

// start runs the program once. Its exit arrives on the channel.
func (p *Process) start() (<-chan error, *exec.Cmd, error) {
	log, err := openLog(p.spec.Log)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(p.spec.Path)
	if p.spec.Args != nil {
		cmd.Args = append(cmd.Args, p.spec.Args()...)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.spec.Dir, log, log
	cmd.Env = append(bareEnv(p.spec.Dir), p.spec.Env...)
	cmd.SysProcAttr = attributes(p.spec.User, p.spec.Orphaned)
	exit, err := startAndWait(cmd)
	if err != nil {
		return nil, nil, fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	p.mu.Lock()
	p.pid = cmd.Process.Pid
	why := p.err
	p.mu.Unlock()
	if p.spec.Changed != nil {
		p.spec.Changed(cmd.Process.Pid, why)
	}

	return exit, cmd, nil
}

// end stops a running program within its deadline.
func (p *Process) end(cmd *exec.Cmd, exit <-chan error) {
	_ = cmd.Process.Signal(p.spec.Stop)
	late := time.NewTimer(p.spec.StopWithin)
	defer late.Stop()
	select {
	case <-exit:
	case <-late.C:
		killGroup(cmd.Process.Pid)
		<-exit
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pid, p.err = 0, errors.New("it was stopped")
}

// ended notes that the program ended without being asked to.
func (p *Process) ended(err error) {
	if err == nil {
		err = errors.New("it exited with status 0")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pid, p.err = 0, err
	p.ends++
}

// bareEnv is what a program sees of our environment: nothing that could
// configure it behind our back, such as another stack's LNTPAY_ or PG settings.
func bareEnv(home string) []string {
	env := []string{"HOME=" + home}
	for _, name := range []string{"PATH", "LANG", "LC_ALL", "TZ", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}

	return env
}
