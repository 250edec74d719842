package faults_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/load"
)

// A kill of `lntpay dev` itself leaves nothing running, and the next one goes
// on with the same data, under a load that never ended.
func killSupervisor(t *testing.T, s *stack, w *workspace, random *rand.Rand) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends children with their parent")
	}
	traffic := w.StartLoad(t, s.target(), load.Clients, load.ClientPause)
	load.Pause(t, 2*time.Second, random)
	children := descendants(t, s.process.PID())
	require.GreaterOrEqual(t, len(children), len(s.dev.Processes))
	before := s.dev
	from := time.Now()
	require.NoError(t, syscall.Kill(s.process.PID(), syscall.SIGKILL))
	s.process.Stop()
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(children, runs)
	}, 10*time.Second, load.Poll, "something outlived its supervisor")
	t.Logf("%d processes were gone %s after their supervisor", len(children), time.Since(from).Round(time.Millisecond))
	s.start(t)
	outages := []load.Outage{{From: from, To: time.Now()}}
	require.Equal(t, before.APIKeys, s.dev.APIKeys)
	require.Equal(t, before.WorkspaceID, s.dev.WorkspaceID)
	require.Equal(t, before.Lnd.Merchant.Pubkey, s.dev.Lnd.Merchant.Pubkey)
	load.Pause(t, afterwards, nil)
	traffic.Finish(t)
	w.Check(t, s.target(), "supervisor", outages)
}

// runs reports whether a process is there and no zombie.
func runs(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))

	return err == nil && !strings.Contains(string(text), ") Z ")
}
