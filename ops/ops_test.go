package ops_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ops"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/store/storetest"
	"github.com/lntpay/lntpay/workflows"
)

const (
	someWithdrawal = "wd_01jd0000000000000000000000"
	someWorkspace  = "ws_01jd0000000000000000000000"
	someHash       = "00000000000000000000000000000000000000000000000000000000000000aa"
	node           = "merchant"
)

// nudger stands for Temporal and a worker: then is what the worker does.
type nudger struct {
	mu     sync.Mutex
	nudged []string
	then   func(context.Context, workflows.WithdrawalRef) error
}

func (n *nudger) NudgeWithdrawal(ctx context.Context, ref workflows.WithdrawalRef) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nudged = append(n.nudged, ref.ID)
	if n.then == nil {
		return nil
	}

	return n.then(ctx, ref)
}

type bundle struct {
	*store.Store

	t         *testing.T
	nudger    *nudger
	finder    finder
	workspace string
}

func newBundle(t *testing.T) *bundle {
	t.Helper()
	s := storetest.New(t)
	require.NoError(t, s.PinNode(t.Context(), db.PinNodeParams{Name: node, Pubkey: "02aa", Network: "regtest"}))

	return &bundle{Store: s, t: t, nudger: &nudger{}, workspace: storetest.Workspace(t, s)}
}

// run runs a command line and returns what it prints.
func (b *bundle) run(args ...string) (string, error) {
	return run(b.t, func(ctx context.Context, _ string, fn func(context.Context, ops.Backend) error) error {
		return fn(ctx, ops.Backend{Store: b.Store, Nudger: b.nudger, Finder: b.finder})
	}, args...)
}

// signed is run under a name and with a reason.
func (b *bundle) signed(args ...string) (string, error) {
	return b.run(append(args, "--by", "anna", "--reason", "a test")...)
}

func run(t *testing.T, connect ops.Connect, args ...string) (string, error) {
	t.Helper()
	cmd := ops.Command(connect)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())

	return out.String(), err
}

func (b *bundle) withdrawal() string {
	b.t.Helper()
	id := payments.NewID(payments.PrefixWithdrawal)
	hash := sha256.Sum256([]byte(id))
	_, err := b.InsertWithdrawal(b.t.Context(), db.InsertWithdrawalParams{
		ID: id, WorkspaceID: b.workspace, Node: node, Kind: "lightning", PaymentHash: hash[:], Destination: "03bb",
		Bolt11: "lnbcrt1", AmountMsat: 21_000, MaxFeeMsat: 5_000, Metadata: []byte("{}"),
		InvoiceExpiresAt: time.Now().Add(time.Hour),
	})
	require.NoError(b.t, err)

	return id
}

// What is missing is refused before anything is connected to, let alone
// written.
func TestFlagsAreCheckedFirst(t *testing.T) {
	t.Parallel()
	signed := " --by anna --reason test"
	for line, want := range map[string]string{
		"freeze" + signed:                                                "choose one of --workspace, --node and --all",
		"freeze --all --node merchant" + signed:                          "choose one of",
		"freeze --all=false" + signed:                                    "choose one of",
		"freeze --workspace acme" + signed:                               "--workspace",
		"freeze --all --reason test":                                     "--by",
		"freeze --all --by anna":                                         "--reason",
		"freeze --all --by= --reason=test":                               "--by",
		"thaw" + signed:                                                  "choose one of",
		"thaw --all --by anna":                                           "--reason",
		"resolve " + someWithdrawal + signed:                             "choose one of --post, --void and --retry",
		"resolve " + someWithdrawal + " --post --void" + signed:          "choose one of",
		"resolve " + someWithdrawal + " --void --by anna":                "--reason",
		"resolve " + someWithdrawal + " --void --reason x":               "--by",
		"resolve acme --void" + signed:                                   "no id of a withdrawal",
		"resolve --void" + signed:                                        "accepts 1 arg",
		"stray merchant 3" + signed:                                      "choose one of --owner and --book",
		"stray merchant 3 --book" + signed:                               "--workspace",
		"stray merchant three --owner" + signed:                          "INDEX",
		"stray merchant 3 --owner":                                       "--by",
		"stray merchant 3 --owner --workspace " + someWorkspace + signed: "--workspace",
		"stray merchant" + signed:                                        "accepts 2 arg",
		"show acme":                                                      "no id of a withdrawal",
		"nudge acme":                                                     "no id of a withdrawal",
		"stuck --older=-1s":                                              "--older",
		"audit --limit 0":                                                "--limit",
		"audit --since yesterday":                                        "--since",
		"verify --head abc":                                              "--head",
		"verify --workspace acme":                                        "--workspace",
		"export invoices":                                                "cannot be exported",
		"export charges --format xml":                                    "--format",
		"export charges --json":                                          "--json",
		"export charges --from yesterday":                                "--from",
		"export audit --workspace " + someWorkspace:                      "--workspace",
		"suspense assign abc --workspace " + someWorkspace + signed:      "HASH",
		"suspense assign " + someHash + signed:                           "--workspace",
		"suspense assign " + someHash + " --workspace " + someWorkspace:  "--by",
		"suspense keep " + someHash + " --by anna":                       "--reason",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			_, err := run(t, func(context.Context, string, func(context.Context, ops.Backend) error) error {
				return errors.New("connected")
			}, strings.Fields(line)...)
			require.ErrorContains(t, err, want)
		})
	}
}

func TestFreezeAndThaw(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	id := b.withdrawal()
	out, err := b.signed("freeze", "--node", node)
	require.NoError(t, err)
	require.Contains(t, out, "frozen: node/merchant")
	out, err = b.signed("freeze", "--node", node)
	require.NoError(t, err)
	require.Contains(t, out, "frozen already: node/merchant, by anna")
	_, err = b.signed("freeze", "--node", "other")
	require.ErrorIs(t, err, store.ErrNotFound)
	out, err = b.run("stuck", "--older", "0s")
	require.NoError(t, err)
	require.Contains(t, out, id)
	require.Contains(t, out, "frozen node/merchant")
	_, err = b.signed("freeze", "--all")
	require.NoError(t, err)

	out, err = b.signed("thaw", "--node", node)
	require.NoError(t, err)
	require.Contains(t, out, "thawed: node/merchant")
	require.Contains(t, out, "open withdrawals woken: 1")
	require.Contains(t, out, "still frozen: all, by anna")
	require.Equal(t, []string{id}, b.nudger.nudged)

	b.nudger.then = func(context.Context, workflows.WithdrawalRef) error { return errors.New("away") }
	out, err = b.signed("thaw", "--all")
	require.NoError(t, err, "what is thawed is thawed, whoever hears of it")
	require.Contains(t, out, "not woken: 1")
	out, err = b.run("audit", "--json")
	require.NoError(t, err)
	var audit struct{ Actions []ops.Action }
	require.NoError(t, json.Unmarshal([]byte(out), &audit))
	require.Len(t, audit.Actions, 5)
	require.Equal(t, "thaw", audit.Actions[0].Action)
}

func TestThawOfANodeWaitsForItsSweeper(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	_, err := b.MarkNodeRegressed(t.Context(), node)
	require.NoError(t, err)
	out, err := b.signed("thaw", "--node", node, "--no-wait")
	require.NoError(t, err)
	require.Contains(t, out, "still back in time")
	n, err := b.ThawNode(t.Context(), node)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	_, err = b.MarkNodeRegressed(t.Context(), node)
	require.NoError(t, err)

	swept := make(chan error, 1)
	go func() {
		for {
			// What the sweeper does once it is asked.
			n, err := b.ThawNode(t.Context(), node)
			if n > 0 || err != nil {
				swept <- err

				return
			}
		}
	}()
	out, err = b.signed("thaw", "--node", node)
	require.NoError(t, err)
	require.NoError(t, <-swept)
	require.Contains(t, out, "present state counts from here")
}

func TestResolve(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		outcome string
		code    int
		out     string
	}{
		"applied": {"applied", 0, "retry: applied: because"},
		"refused": {"refused", ops.ExitRefused, "retry: refused: because"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			id := b.withdrawal()
			b.nudger.then = func(ctx context.Context, ref workflows.WithdrawalRef) error {
				command, err := b.OpenResolution(ctx, ref.ID)
				if err != nil {
					return err
				}
				_, err = b.CloseResolution(ctx, db.CloseResolutionParams{ID: command.ID, Outcome: tc.outcome, Detail: "because"})

				return err
			}
			out, err := b.signed("resolve", id, "--retry")
			require.Contains(t, out, tc.out)
			if tc.code == 0 {
				require.NoError(t, err)
			} else {
				var exit *ops.ExitError
				require.ErrorAs(t, err, &exit)
				require.Equal(t, tc.code, exit.ExitCode())
			}
			out, err = b.run("show", id)
			require.NoError(t, err)
			require.Contains(t, out, "retry by anna (a test): "+tc.outcome+", because")
			require.Contains(t, out, "withdrawal/"+id)
			require.Regexp(t, `preimage +none`, out)
		})
	}
}

// Nobody judges: the command stays, and the process says so by its code.
func TestResolveUndecided(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	id := b.withdrawal()
	b.nudger.then = func(context.Context, workflows.WithdrawalRef) error { return errors.New("away") }
	out, err := b.signed("resolve", id, "--void", "--wait", "0s")
	require.Contains(t, out, "void: not judged yet")
	var exit *ops.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, ops.ExitUndecided, exit.ExitCode())
	require.ErrorContains(t, err, "ops nudge "+id)
	_, err = b.signed("resolve", id, "--void", "--wait", "0s")
	require.ErrorIs(t, err, store.ErrResolutionOpen)
	out, err = b.run("stuck", "--older", "0s")
	require.NoError(t, err)
	require.Contains(t, out, "a command is not judged yet")
}

func TestResolveOfWhatIsOverIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	id := b.withdrawal()
	preimage := bytes.Repeat([]byte{0xab}, 32)
	_, err := b.SucceedWithdrawal(t.Context(), db.SucceedWithdrawalParams{ID: id, Preimage: preimage})
	require.NoError(t, err)
	_, err = b.signed("resolve", id, "--void")
	require.ErrorIs(t, err, store.ErrWithdrawalOver)
	require.Empty(t, b.nudger.nudged)
	for _, format := range [][]string{nil, {"--json"}} {
		out, err := b.run(append([]string{"show", id}, format...)...)
		require.NoError(t, err)
		require.Contains(t, out, "held")
		require.NotContains(t, out, "abab")
	}
}

func TestStrays(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	id := b.withdrawal()
	_, err := b.NoteStrays(t.Context(), db.NoteStraysParams{
		Node: node, PaymentIndexes: []int64{3, 4}, CreatedNs: []int64{30, 40},
		PaymentHashes: [][]byte{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)},
		WithdrawalIds: []string{"", ""}, Statuses: []string{"succeeded", "in_flight"},
		AmountsMsat: []int64{7_000, 8_000}, FeesMsat: []int64{30, 0},
	})
	require.NoError(t, err)
	out, err := b.run("strays")
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(out, "nobody: freezes the node"))

	out, err = b.signed("stray", node, "3", "--book", "--workspace", b.workspace)
	require.NoError(t, err)
	require.Contains(t, out, "booked: 7030 msat, operator_loss to lightning_clearing")
	require.Contains(t, out, "1 more unexplained")
	require.Empty(t, b.nudger.nudged)
	out, err = b.signed("stray", node, "4", "--owner")
	require.NoError(t, err)
	require.Contains(t, out, "no unexplained payment freezes merchant any more; open withdrawals woken: 1")
	require.Equal(t, []string{id}, b.nudger.nudged)
	out, err = b.run("stuck")
	require.NoError(t, err)
	require.Equal(t, "nothing is stuck\n", out)
}
