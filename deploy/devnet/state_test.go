package devnet

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/deploy/devnet/internal/flock"
)

func TestStateKeepsItsSecrets(t *testing.T) {
	s, err := openState(filepath.Join(t.TempDir(), "state"))
	require.NoError(t, err)
	first, err := s.secrets()
	require.NoError(t, err)
	require.Len(t, first.Roles, 3)
	second, err := s.secrets()
	require.NoError(t, err)
	require.Equal(t, first, second)

	key, err := s.keyFile("preimage.key")
	require.NoError(t, err)
	text, err := readText(key)
	require.NoError(t, err)
	require.Len(t, text, 64)
	_, err = s.keyFile("preimage.key")
	require.NoError(t, err)
	again, err := readText(key)
	require.NoError(t, err)
	require.Equal(t, text, again)

	for _, file := range []string{key, s.path("secrets.json")} {
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
	}
}

func TestInstallSelf(t *testing.T) {
	s, err := openState(t.TempDir())
	require.NoError(t, err)
	for range 2 {
		program, err := s.installSelf()
		require.NoError(t, err)
		info, err := os.Stat(program)
		require.NoError(t, err)
		require.NotZero(t, info.Mode().Perm()&0o100, "it can be run")
	}
}

func TestBusyPortsAreNamed(t *testing.T) {
	listener, err := net.Listen("tcp", address(0))
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	tcp, ok := listener.Addr().(*net.TCPAddr)
	require.True(t, ok)

	err = checkPorts([]portUse{{tcp.Port, "the API"}})
	require.ErrorContains(t, err, "for the API")
	require.ErrorContains(t, err, "--port-base")
	if holder := portHolder(tcp.Port); holder != "" {
		require.Contains(t, holder, "process")
		require.ErrorContains(t, err, holder)
	}
}

func TestPortsDoNotOverlap(t *testing.T) {
	seen := map[int]string{}
	for _, use := range PortsFrom(9000).uses(true) {
		require.NotContains(t, seen, use.port, "%s and %s", use.what, seen[use.port])
		require.GreaterOrEqual(t, use.port, 9000)
		require.Less(t, use.port, 9000+PortCount)
		seen[use.port] = use.what
	}
	require.Len(t, seen, PortCount)
	require.Len(t, PortsFrom(9000).uses(false), PortCount-1, "another's Postgres needs no port of ours")
}

func TestFindRunning(t *testing.T) {
	root := t.TempDir()
	s, err := openState(filepath.Join(root, DefaultStateDir))
	require.NoError(t, err)
	inside := filepath.Join(root, "a", "b")
	require.NoError(t, os.MkdirAll(inside, 0o755))
	t.Chdir(inside)
	_, err = FindRunning("")
	require.ErrorIs(t, err, ErrNotRunning)
	_, err = FindRunning(s.dir)
	require.ErrorIs(t, err, ErrNotRunning)

	written := DevJSON{APIURL: "http://127.0.0.1:1", Processes: map[string]int{"api": 7}, Lnd: LndPair{Payer: &Lnd{RPC: "x"}}}
	require.NoError(t, writeJSON(s.path("dev.json"), written))
	require.NoError(t, writeFile(s.path(envFile), []byte("LNTPAY_A=b=c\nLNTPAY_D=\n")))
	_, err = FindRunning("")
	require.ErrorIs(t, err, ErrNotRunning, "its supervisor was killed: nothing holds the lock")

	held, err := flock.Try(s.path("lock"))
	require.NoError(t, err)
	defer func() { _ = held.Release() }()
	for _, where := range []string{"", s.dir} {
		found, err := FindRunning(where)
		require.NoError(t, err)
		require.Equal(t, written.APIURL, found.APIURL)
		require.Equal(t, 7, found.Processes["api"])
		require.Equal(t, "payer", found.Lnd.Payer.name)
		env, err := found.Environ()
		require.NoError(t, err)
		require.Equal(t, map[string]string{"LNTPAY_A": "b=c", "LNTPAY_D": ""}, env)
	}
}

// Root's Postgres cannot go where only root may: its data goes elsewhere, and
// stays there.
func TestDataDirOfAnotherUser(t *testing.T) {
	closed := filepath.Join(t.TempDir(), "closed", "state")
	require.NoError(t, os.MkdirAll(closed, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(closed), 0o700))
	other := &User{Name: "nobody", UID: 65534, GID: 65534}
	require.False(t, other.canReach(closed))

	if os.Geteuid() == 0 {
		elsewhere, err := other.dataDir(closed, "postgres")
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(elsewhere, systemStateDir), elsewhere)
		require.NoError(t, os.Chmod(filepath.Dir(closed), 0o755))
		again, err := other.dataDir(closed, "postgres")
		require.NoError(t, err)
		require.Equal(t, elsewhere, again, "the choice is kept")
	}

	var ourselves *User
	open := t.TempDir()
	here, err := ourselves.dataDir(open, "postgres")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(open, "postgres"), here)
}
