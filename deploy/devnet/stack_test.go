package devnet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/deploy/devnet/freeport"
)

// TestMain lets the test binary play the product: Options.Program is the
// binary itself, and the stack configures it as it would the real one.
func TestMain(m *testing.M) {
	if os.Getenv("LNTPAY_SANDBOX_DATABASE_URL") != "" && len(os.Args) > 1 {
		if err := product(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}

		return
	}
	if script := os.Getenv("DEVNET_TEST_PARENT"); script != "" {
		parent(script)
	}
	os.Exit(m.Run())
}

// product answers as the real program does.
func product(args []string) error {
	switch command := strings.Join(args[:min(2, len(args))], " "); {
	case command == "migrate":
		return pingPostgres(context.Background(), os.Getenv("LNTPAY_SANDBOX_MIGRATE_DATABASE_URL"))
	case command == "workspace create":
		fmt.Println(`{"id":"ws_test"}`)
	case command == "key create":
		fmt.Printf(`{"secret":"lnt_sandbox_%s"}`+"\n", randomHex(4))
	case args[0] == "api":
		return serve(os.Getenv("LNTPAY_API_OPERATOR_LISTEN"))
	case args[0] == "worker":
		return serve(os.Getenv("LNTPAY_WORKER_OPERATOR_LISTEN"))
	default:
		return fmt.Errorf("unknown command %q", args)
	}

	return nil
}

func serve(on string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: on, ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(
		func(http.ResponseWriter, *http.Request) {})}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	_ = server.ListenAndServe()

	return ctx.Err()
}

// parent starts a program, tells its process id and waits to be killed.
func parent(log string) {
	p, err := Start(context.Background(), Spec{
		Name: "child", Path: "/bin/sleep", Args: func() []string { return []string{"60"} }, Dir: "/", Log: log,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(p.PID())
	select {}
}

// Nothing survives a supervisor that is killed.
func TestOrphansAreEnded(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends children with their parent")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DEVNET_TEST_PARENT="+filepath.Join(t.TempDir(), "log"))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var child int
	_, err = fmt.Fscan(out, &child)
	require.NoError(t, err)
	require.True(t, alive(child))

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Eventually(t, func() bool { return !alive(child) }, 5*time.Second, 10*time.Millisecond)
}

// output is a writer for several goroutines.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()

	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()

	return o.text.String()
}

// running is a stack that one test runs.
type running struct {
	options Options
	out     *output
	dev     *DevJSON
	stop    func() error
}

// runStack runs a stack until it is ready.
func runStack(t *testing.T, options Options) *running {
	t.Helper()
	r := &running{options: options, out: &output{}}
	r.options.Out = r.out
	ctx, cancel := context.WithCancel(t.Context())
	group := errgroup.Group{}
	ended := make(chan struct{})
	group.Go(func() error {
		defer close(ended)

		return Run(ctx, r.options)
	})
	r.stop = func() error {
		cancel()

		return group.Wait()
	}
	t.Cleanup(func() { _ = r.stop() })
	require.Eventually(t, func() bool {
		select {
		case <-ended:
			t.Errorf("the stack ended: %v\n%s", group.Wait(), r.out)

			return true
		default:
		}
		dev, err := FindRunning(options.StateDir)
		r.dev = dev

		return err == nil
	}, 4*time.Minute, 100*time.Millisecond)
	require.NotNil(t, r.dev)

	return r
}

func takePorts(t *testing.T) int {
	t.Helper()
	base, err := freeport.Take(PortCount)
	require.NoError(t, err)

	return base
}

func TestStack(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole stack, twice")
	}
	dir := t.TempDir()
	require.NoError(t, openTemporary(dir))
	options := Options{StateDir: filepath.Join(dir, "state"), PortBase: takePorts(t), Program: os.Args[0]}
	first := runStack(t, options)
	t.Run("dev.json", func(t *testing.T) { checkDevJSON(t, first) })
	t.Run("a second stack is refused", func(t *testing.T) {
		require.ErrorContains(t, Run(t.Context(), withOut(options)), "already runs")
		other := options
		other.StateDir = filepath.Join(dir, "other")
		require.ErrorContains(t, Run(t.Context(), withOut(other)), "(for btcd's RPC) is taken by")
	})
	t.Run("what dies is started again", func(t *testing.T) { checkRestarts(t, first) })
	t.Run("the nodes pay each other", func(t *testing.T) { checkPayments(t, first.dev) })
	require.Contains(t, first.out.String(), "dev pay")
	require.Contains(t, first.out.String(), first.dev.APIKeys.Sandbox)
	require.NoError(t, first.stop())
	_, err := FindRunning(options.StateDir)
	require.ErrorIs(t, err, ErrNotRunning)
	for name, pid := range first.dev.Processes {
		require.False(t, alive(pid), "%s (process %d) outlived its stack", name, pid)
	}

	began := time.Now()
	second := runStack(t, options)
	t.Logf("second start in %s", time.Since(began))
	require.Equal(t, first.dev.APIKeys, second.dev.APIKeys)
	require.Equal(t, first.dev.Lnd.Merchant.Pubkey, second.dev.Lnd.Merchant.Pubkey)
	confirmed, pending, err := second.dev.Lnd.Merchant.channels(t.Context(), second.dev.Lnd.Payer)
	require.NoError(t, err)
	require.Equal(t, [2]int{channelCount, 0}, [2]int{confirmed, pending})
	checkPayments(t, second.dev)
	require.NoError(t, second.stop())
}

func withOut(o Options) Options {
	o.Out = &output{}

	return o
}

func checkDevJSON(t *testing.T, r *running) {
	t.Helper()
	path := filepath.Join(r.options.StateDir, "dev.json")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	var fields map[string]any
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &fields))
	for _, name := range []string{
		"api_url", "operator_url", "docs_url", "temporal_address", "temporal_ui_url", "temporal_namespace",
		"database_url", "workspace_id", "api_keys", "processes", "lnd", "btcd",
	} {
		require.NotEmpty(t, fields[name], name)
		delete(fields, name)
	}
	require.Empty(t, fields, "nothing but the contract")
	for _, name := range []string{"postgres", "temporal", "temporal_ui", "btcd", "lnd_merchant", "lnd_payer", "api", "worker"} {
		require.True(t, alive(r.dev.Processes[name]), name)
	}
	require.NoError(t, pingPostgres(t.Context(), r.dev.DatabaseURL))
	env, err := r.dev.Environ()
	require.NoError(t, err)
	require.Equal(t, r.dev.Lnd.Merchant.Pubkey, env["LNTPAY_SANDBOX_NODE_PUBKEY"])
	require.FileExists(t, r.dev.Lnd.Payer.Macaroon)
	require.FileExists(t, r.dev.Btcd.Cert)
}

// checkRestarts kills every process and waits until dev.json names new ones.
func checkRestarts(t *testing.T, r *running) {
	t.Helper()
	height, err := r.dev.chain().Height(t.Context())
	require.NoError(t, err)
	for _, pid := range r.dev.Processes {
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	require.Eventually(t, func() bool {
		now, err := FindRunning(r.options.StateDir)
		if err != nil {
			return false
		}
		for name, pid := range r.dev.Processes {
			if now.Processes[name] == pid || !alive(now.Processes[name]) {
				return false
			}
		}
		r.dev = now

		return true
	}, time.Minute, 100*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, eventually(ctx, func(ctx context.Context) error { return pingPostgres(ctx, r.dev.DatabaseURL) }))
	require.NoError(t, eventually(ctx, func(ctx context.Context) error { return temporalHealthy(ctx, r.dev.TemporalAddress) }))
	require.NoError(t, eventually(ctx, func(ctx context.Context) error {
		return bothUsable(ctx, r.dev.Lnd.Merchant, r.dev.Lnd.Payer, channelCount)
	}))
	after, err := r.dev.chain().Height(ctx)
	require.NoError(t, err)
	require.Equal(t, height, after, "btcd lost blocks when it was killed")
	again, err := FindRunning(r.options.StateDir)
	require.NoError(t, err)
	r.dev = again
	require.Contains(t, r.out.String(), "was started again as process "+strconv.Itoa(r.dev.Processes["api"]))
}

func checkPayments(t *testing.T, dev *DevJSON) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, pair := range [][2]*Lnd{{dev.Lnd.Payer, dev.Lnd.Merchant}, {dev.Lnd.Merchant, dev.Lnd.Payer}} {
		bolt11, _, err := pair[1].Invoice(ctx, 1000, false)
		require.NoError(t, err)
		payment, err := pair[0].Pay(ctx, bolt11, 0)
		require.NoError(t, err)
		require.EqualValues(t, 1_000_000, payment.ValueMsat)
	}
	hashes, err := dev.chain().Mine(ctx, 2)
	require.NoError(t, err)
	require.Len(t, hashes, 2)
	_, err = dev.chain().Mine(ctx, 0)
	require.Error(t, err)
}
