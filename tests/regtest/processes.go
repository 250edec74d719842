package regtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long a program may take to end in order.
const stopGrace = 30 * time.Second

// tailBytes is how much output an error quotes.
const tailBytes = 4096

// processes runs programs as children of the test, each in a folder below dir.
type processes struct {
	dir     string
	started roster
}

func (h *processes) place(name string, ports ...string) (place, error) {
	chosen, err := freePorts(ports)
	if err != nil {
		return place{}, err
	}

	return place{
		name: name, dir: filepath.Join(h.dir, name), host: "127.0.0.1", bind: "127.0.0.1", ports: chosen,
	}, nil
}

func (h *processes) run(ctx context.Context, at place, what program) (machine, error) {
	if err := os.MkdirAll(at.dir, 0o700); err != nil {
		return nil, err
	}
	for path, content := range what.files {
		if err := os.WriteFile(filepath.Join(at.dir, path), content, 0o600); err != nil {
			return nil, err
		}
	}
	p := &process{at: at, what: what}
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	h.started.add(p)

	return p, nil
}

func (h *processes) close(ctx context.Context) error { return h.started.remove(ctx) }

// process is a machine without a container.
type process struct {
	at   place
	what program

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

func (p *process) logFile() string { return filepath.Join(p.at.dir, "output.log") }

// start does not bind the process to ctx: it outlives the call.
func (p *process) start(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	output, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = output.Close() }()
	cmd := exec.Command(p.what.tool, p.what.args...)
	cmd.Stdout, cmd.Stderr = output, output
	// Not the test's group: Ctrl-C is for the test, which then cleans up.
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.at.name, err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	p.cmd, p.done = cmd, done

	return nil
}

func (p *process) stop(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return nil // It has ended already.
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	case <-time.After(stopGrace):
	}

	p.end()

	return nil
}

func (p *process) kill(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()

	return nil
}

// end needs the lock. SIGKILL works on a paused process too.
func (p *process) end() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *process) pause(context.Context) error  { return p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *process) resume(context.Context) error { return p.cmd.Process.Signal(syscall.SIGCONT) }

func (p *process) alive(context.Context) error {
	select {
	case <-p.done:
		return errGone
	default:
		return nil
	}
}

func (p *process) read(_ context.Context, path string) ([]byte, error) {
	return os.ReadFile(filepath.Join(p.at.dir, path))
}

func (p *process) tail(context.Context) string {
	output, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}

	return string(output[max(0, len(output)-tailBytes):])
}

func (p *process) remove(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()

	return os.RemoveAll(p.at.dir)
}
