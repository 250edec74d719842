package devnet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shell is a program that runs a script.
func shell(t *testing.T, script string) Spec {
	t.Helper()
	dir := t.TempDir()

	return Spec{
		Name: "script", Path: "/bin/sh", Args: func() []string { return []string{"-c", script} },
		Dir: dir, Log: filepath.Join(dir, "log"), ReadyWithin: 5 * time.Second,
	}
}

// alive reports whether a process exists and is not a zombie.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")

	return err != nil || !strings.Contains(string(stat), ") Z ")
}

func TestAKeptProcessIsStartedAgain(t *testing.T) {
	type start struct {
		pid int
		why error
	}
	starts := make(chan start, 10)
	spec := shell(t, "exec sleep 60")
	spec.Keep = true
	spec.Changed = func(pid int, why error) { starts <- start{pid, why} }
	p, err := Start(t.Context(), spec)
	require.NoError(t, err)
	defer p.Stop()

	first := <-starts
	require.NoError(t, first.why)
	require.NoError(t, syscall.Kill(first.pid, syscall.SIGKILL))
	second := <-starts
	require.NotEqual(t, first.pid, second.pid)
	require.ErrorContains(t, second.why, "killed")
	require.Equal(t, second.pid, p.PID())

	require.NoError(t, p.Restart(t.Context()))
	third := <-starts
	require.NotEqual(t, second.pid, third.pid)
	require.Eventually(t, func() bool { return !alive(second.pid) }, time.Second, 10*time.Millisecond)

	p.Stop()
	p.Stop()
	require.False(t, alive(third.pid))
	require.Zero(t, p.PID())
	require.Error(t, p.Restart(t.Context()), "a stopped process stays stopped")
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	spec := shell(t, "trap '' TERM; sleep 60 & echo $! > child; wait; wait")
	spec.StopWithin = 100 * time.Millisecond
	childFile := filepath.Join(spec.Dir, "child")
	spec.Ready = func(context.Context) error {
		if text, err := os.ReadFile(childFile); err != nil || len(text) == 0 {
			return errors.New("no child yet")
		}

		return nil
	}
	p, err := Start(t.Context(), spec)
	require.NoError(t, err)
	text, err := readText(childFile)
	require.NoError(t, err)
	child, err := strconv.Atoi(text)
	require.NoError(t, err)
	require.True(t, alive(child))

	p.Stop()
	require.Eventually(t, func() bool { return !alive(child) }, 2*time.Second, 10*time.Millisecond, "the whole group ends")
}

func TestAFailedStartTellsWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Spec)
		script string
		want   string
	}{
		"it ends":            {script: "echo the reason >&2; exit 3", want: "the reason"},
		"it is never ready":  {script: "echo the reason; sleep 60", want: "the reason", change: neverReady},
		"it does not exist":  {want: "no such file", change: func(s *Spec) { s.Path = "/nonexistent" }},
		"its log cannot be":  {want: "log", change: func(s *Spec) { s.Log = "/dev/null/log" }},
		"its folder is gone": {want: "no such file", change: func(s *Spec) { s.Dir = "/nonexistent" }},
	} {
		t.Run(name, func(t *testing.T) {
			spec := shell(t, tc.script)
			if tc.change != nil {
				tc.change(&spec)
			} else {
				spec.Ready = func(context.Context) error { return errors.New("not yet") }
			}
			_, err := Start(t.Context(), spec)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func neverReady(s *Spec) {
	s.ReadyWithin = 300 * time.Millisecond
	s.Ready = func(context.Context) error { return errors.New("not yet") }
}

// A child sees none of our settings.
func TestChildrenGetABareEnvironment(t *testing.T) {
	t.Setenv("LNTPAY_SANDBOX_DATABASE_URL", "postgres://somewhere-else")
	t.Setenv("PGHOST", "somewhere-else")
	spec := shell(t, "env; exec sleep 60")
	spec.Env = []string{"GIVEN=yes"}
	spec.Ready = func(context.Context) error {
		if !strings.Contains(logTail(spec.Log), "GIVEN=yes") {
			return errors.New("not printed yet")
		}

		return nil
	}
	p, err := Start(t.Context(), spec)
	require.NoError(t, err)
	defer p.Stop()
	require.NotContains(t, logTail(spec.Log), "somewhere-else")
}

func TestLogsAreRotatedAndBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs", "x.log")
	require.NoError(t, rotateLog(path), "there is none yet")
	log, err := openLog(path)
	require.NoError(t, err)
	_, err = log.WriteString("first\n")
	require.NoError(t, err)
	require.NoError(t, log.Truncate(longestLog+1))
	require.NoError(t, log.Close())

	log, err = openLog(path)
	require.NoError(t, err)
	_, err = log.WriteString("second\n")
	require.NoError(t, err)
	require.NoError(t, log.Close())
	require.Equal(t, "    second", logTail(path))

	require.NoError(t, rotateLog(path))
	require.NoFileExists(t, path)
	require.FileExists(t, path+".1")
}
