package snippets

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// commandTimeout is for a command that must end, and for the first words of
	// one that runs on; some compile.
	commandTimeout = 5 * time.Minute
	// waitTimeout is for more output of one that runs.
	waitTimeout = time.Minute
	// endMark is written after each command, with its exit status.
	endMark = "\x1e"
	// maxOutput is more than any page shows.
	maxOutput = 4 << 20
)

// terminal is a shell that keeps its variables from command to command.
type terminal struct {
	shell *exec.Cmd
	input *os.File
	// scripts is a folder for what it is told.
	scripts string
	count   int
	// status is of the last command; the next may ask for it.
	status int

	mu     sync.Mutex
	output []byte
	ended  bool
	// changed is closed with each change.
	changed chan struct{}
}

// openTerminal starts a shell in a folder.
func openTerminal(folder, scripts string, env []string) (*terminal, error) {
	t := &terminal{scripts: scripts, changed: make(chan struct{})}
	input, feed, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer input.Close()
	t.input = feed
	t.shell = exec.Command("bash", "--noprofile", "--norc")
	t.shell.Dir, t.shell.Env, t.shell.Stdin = folder, env, input
	t.shell.Stdout, t.shell.Stderr = (*screen)(t), (*screen)(t)
	// A group of its own, to be killed with all that it has started.
	t.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	t.shell.WaitDelay = time.Second
	if err := t.shell.Start(); err != nil {
		_ = feed.Close()

		return nil, err
	}
	go func() {
		_ = t.shell.Wait()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.ended = true
		t.change()
	}()

	return t, nil
}

// close ends the shell and everything in it.
func (t *terminal) close() {
	_ = syscall.Kill(-t.shell.Process.Pid, syscall.SIGKILL)
	_ = t.input.Close()
}

// screen takes what a terminal shows.
type screen terminal

// Write implements io.Writer.
func (s *screen) Write(text []byte) (int, error) {
	t := (*terminal)(s)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.output)+len(text) > maxOutput {
		return 0, errors.New("a page's command writes too much")
	}
	t.output = append(t.output, text...)
	t.change()

	return len(text), nil
}

func (t *terminal) change() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// start gives the shell a command.
func (t *terminal) start(text string) error {
	t.count++
	script := filepath.Join(t.scripts, strconv.Itoa(t.shell.Process.Pid)+"-"+strconv.Itoa(t.count)+".sh")
	// $? is that of the command before, as in a terminal.
	text = fmt.Sprintf("(exit %d)\n%s\n", t.status, text)
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		return err
	}
	_, err := fmt.Fprintf(t.input, ". %s </dev/null; printf '%s%%d%s' $?\n", script, endMark, endMark)

	return err
}

// wait waits until enough says so of the output, and whether the command has
// ended.
func (t *terminal) wait(timeout time.Duration, enough func(output string, ended bool) bool) error {
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	for {
		t.mu.Lock()
		text, changed, gone := t.output, t.changed, t.ended
		t.mu.Unlock()
		output, _, ended := bytes.Cut(text, []byte(endMark))
		if enough(string(output), ended) {
			return nil
		}
		if gone {
			return fmt.Errorf("the shell has ended: %s", output)
		}
		select {
		case <-changed:
		case <-limit.C:
			return fmt.Errorf("nothing more within %s: %s", timeout, output)
		}
	}
}

// finish waits for the end of a command, takes its output and learns its
// status.
func (t *terminal) finish() (string, error) {
	if err := t.wait(commandTimeout, func(_ string, ended bool) bool { return ended && t.whole() }); err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	said := strings.SplitN(string(t.output), endMark, 3)
	t.output = []byte(said[2])
	status, err := strconv.Atoi(said[1])
	t.status = status

	return said[0], err
}

// whole reports whether both marks around a status are there.
func (t *terminal) whole() bool {
	t.mu.Lock()
	defer t.mu.Unlock()

	return bytes.Count(t.output, []byte(endMark)) >= 2
}

// take removes what was read from the output.
func (t *terminal) take(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.output = t.output[n:]
}
