package suite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"rsc.io/qr"

	"github.com/lntpay/lntpay/cli"
	"github.com/lntpay/lntpay/deploy/devnet/freeport"
	lntpay "github.com/lntpay/lntpay/sdk/go"
)

// programFolder is empty until the program is built.
var programFolder string

// program is the path of the binary that is released, built once.
var program = sync.OnceValues(func() (binary string, err error) {
	if programFolder, err = os.MkdirTemp("", "lntpay-cli-"); err != nil {
		return "", err
	}
	binary = filepath.Join(programFolder, "lntpay")
	build := exec.Command("go", "build", "-o", binary, "github.com/lntpay/lntpay")
	if said, err := build.CombinedOutput(); err != nil {
		return "", errors.Join(err, errors.New(string(said)))
	}

	return binary, nil
})

// RemovePrograms deletes what the suite built to run: for the end of a TestMain.
func RemovePrograms() {
	if programFolder != "" {
		_ = os.RemoveAll(programFolder)
	}
}

// command is a command that runs as the workspace's user.
type command struct {
	*exec.Cmd
	lines  *bufio.Reader
	stderr bytes.Buffer
}

func (c *Client) start(t *testing.T, args ...string) *command {
	t.Helper()
	binary, err := program()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := &command{Cmd: exec.CommandContext(ctx, binary, args...)}
	cmd.Env = append(os.Environ(), "LNTPAY_API_KEY="+c.Key, "LNTPAY_BASE_URL="+c.APIURL)
	cmd.Stderr = &cmd.stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.lines = bufio.NewReader(out)
	require.NoError(t, cmd.Start())

	return cmd
}

// until reads lines up to one that begins so, and returns all of them and what
// follows the beginning.
func (c *command) until(t *testing.T, beginning string) (read, rest string) {
	t.Helper()
	for {
		line, err := c.lines.ReadString('\n')
		require.NoError(t, err, "%s before %q; %s", read, beginning, &c.stderr)
		read += line
		if rest, ok := strings.CutPrefix(line, beginning); ok {
			return read, strings.TrimSpace(rest)
		}
	}
}

// end waits for the end of it and returns what was left to read.
func (c *command) end(t *testing.T, code int) string {
	t.Helper()
	out, err := io.ReadAll(c.lines)
	require.NoError(t, err)
	_ = c.Wait()
	require.Equal(t, code, c.ProcessState.ExitCode(), "%s", &c.stderr)

	return string(out)
}

// cli runs a command that ends well.
func (c *Client) cli(t *testing.T, args ...string) string {
	t.Helper()

	return c.start(t, args...).end(t, 0)
}

// decoded reads --json of a list or a stream.
func decoded[T any](t *testing.T, text string) (all []T) {
	t.Helper()
	for line := range strings.Lines(text) {
		var one T
		require.NoError(t, json.Unmarshal([]byte(line), &one), line)
		all = append(all, one)
	}

	return all
}

// requireQR checks that half blocks are the code of a text, within a border.
func requireQR(t *testing.T, text, drawn string) {
	t.Helper()
	const border = 4
	code, err := qr.Encode(text, qr.L)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(drawn, "\n"), "\n")
	require.Len(t, lines, (code.Size+2*border+1)/2)
	for i, line := range lines {
		blocks := []rune(line)
		require.Len(t, blocks, code.Size+2*border)
		for x, block := range blocks {
			upper, lower := block == '▄' || block == ' ', block == '▀' || block == ' '
			require.Equal(t, code.Black(x-border, 2*i-border), upper)
			require.Equal(t, code.Black(x-border, 2*i-border+1), lower)
		}
	}
}

// listenArgs are of a command that listens where the worker reaches it.
func (c *Client) listenArgs(t *testing.T) []string {
	t.Helper()
	args := []string{"webhooks", "listen"}
	if c.Relay == nil {
		return args
	}
	port, err := freeport.Take(1)
	require.NoError(t, err)

	return append(args, "--port", strconv.Itoa(port), "--url", c.reach(t, fmt.Sprintf("http://127.0.0.1:%d", port)))
}

// requireNoEndpoint checks that nothing is left of those that listened.
func (c *Client) requireNoEndpoint(t *testing.T) {
	t.Helper()
	for left, err := range c.sdk(t, nil).WebhookEndpoints.List(t.Context()) {
		require.Fail(t, "an endpoint is left", "%v %v", left, err)
	}
}

// What a person does in a terminal, from the first charge to the payout.
func testCLI(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	listen := c.start(t, append(c.listenArgs(t), "--count", "2", "--events", "charge.paid,withdrawal.succeeded")...)
	listen.until(t, "listening as we_")

	create := c.start(t, "charges", "create", "--sats", "1000", "--description", "tea", "--metadata", "a=b", "--expires-in", "10m", "--qr", "--wait")
	shown, bolt11 := create.until(t, "invoice")
	require.Regexp(t, `(?m)^status +pending\namount +1000 sat\ndescription +tea\nmetadata +a=b\n`, shown)
	drawn, _ := create.lines.Peek(1)
	require.Equal(t, "\xe2", string(drawn), "the code comes before the wait")
	_, err := c.Net.Pay(t.Context(), bolt11, 0)
	require.NoError(t, err)
	rest := create.end(t, 0)
	code, paid, ok := strings.Cut(rest, "paid: 1000 sat received at ")
	require.True(t, ok, rest)
	require.NotEmpty(t, paid)
	requireQR(t, strings.ToUpper(bolt11), code)

	charges := decoded[Object](t, c.cli(t, "charges", "list", "--status", "paid", "--json"))
	require.Len(t, charges, 1)
	_, want, _ := c.Call(t, "GET", "/v1/charges/"+Text(charges[0], "id"), "")
	require.Equal(t, want, charges[0], "the API's object")
	require.Contains(t, c.cli(t, "charges", "list"), Text(charges[0], "id")+"  paid    1000 sat  ")
	_, one := listen.until(t, "VERIFIED ")
	event := decoded[lntpay.Event](t, one)[0]
	require.Equal(t, lntpay.EventChargePaid, event.Type)

	invoice := c.Payable(t, 500_123)
	require.Regexp(t, `(?m)^amount +500\.123 sat$(.|\n)*^sufficient +yes$`, c.cli(t, "withdrawals", "quote", invoice))
	withdraw := c.start(t, "withdrawals", "create", invoice, "--max-fee-sats", "7", "--wait", "--json")
	states := decoded[Object](t, withdraw.end(t, 0))
	require.Equal(t, "succeeded", Text(states[len(states)-1], "status"))
	var said struct {
		Key string `json:"idempotency_key"`
	}
	require.NoError(t, json.Unmarshal(withdraw.stderr.Bytes(), &said))
	again := decoded[Object](t, c.cli(t, "withdrawals", "create", invoice, "--max-fee-sats", "7", "--json", "--idempotency-key", said.Key))
	require.Equal(t, states[0], again[0], "the same withdrawal")
	require.Contains(t, c.cli(t, "withdrawals", "watch", Text(states[0], "id")), "\npreimage      "+Text(states[len(states)-1], "preimage"))
	require.Contains(t, c.cli(t, "balance"), "available  499.877 sat\nlocked     0 sat, for withdrawals\n")

	_, one = listen.until(t, "VERIFIED ")
	require.Equal(t, lntpay.EventWithdrawalSucceeded, decoded[lntpay.Event](t, one)[0].Type)
	require.Empty(t, listen.end(t, 0))
	require.Empty(t, listen.stderr.String())
	c.requireNoEndpoint(t)

	tail := c.cli(t, "events", "tail", "--since", event.ID, "--count", "1", "--json")
	require.Equal(t, one+"\n", tail, "the stream's bytes are those of the delivery")
	require.Len(t, decoded[Object](t, c.cli(t, "events", "list", "--all", "--json")), 2)
}

// Ctrl-C leaves nothing behind, and the stream goes on where it ended.
func testCLIEndsByCtrlC(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	listen := c.start(t, c.listenArgs(t)...)
	listen.until(t, "listening as we_")
	cancel := func() string {
		id := Text(c.Charge(t, 10, ""), "id")
		c.cli(t, "charges", "cancel", id)

		return id
	}
	cancel()
	_, one := listen.until(t, "VERIFIED ")
	tail := c.start(t, "events", "tail", "--since", decoded[lntpay.Event](t, one)[0].ID, "--json")
	cancel()
	require.NoError(t, listen.Process.Signal(syscall.SIGINT))
	listen.end(t, cli.ExitInterrupted)
	require.Empty(t, listen.stderr.String())
	c.requireNoEndpoint(t)

	line, _ := tail.until(t, "{")
	seen := decoded[lntpay.Event](t, line)[0]
	require.NoError(t, tail.Process.Signal(syscall.SIGINT))
	tail.end(t, cli.ExitInterrupted)
	last := cancel()
	missed := decoded[lntpay.Event](t, c.cli(t, "events", "tail", "--since", seen.ID, "--type", "charge.canceled", "--count", "1", "--json"))
	canceled, err := missed[0].Charge()
	require.NoError(t, err)
	require.Equal(t, last, canceled.ID)
}

func testCLIExitCodes(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	charge := Text(c.Charge(t, 10, ""), "id")
	c.cli(t, "charges", "cancel", charge)
	for args, code := range map[string]int{
		"charges get " + charge:                              0,
		"charges watch " + charge:                            cli.ExitEnded,
		"charges get " + c.WorkspaceID:                       cli.ExitNotFound,
		"charges create --sats 1 --sats 0":                   cli.ExitUsage,
		"charges create --sats 100000000000":                 cli.ExitRefused,
		"withdrawals create " + c.Payable(t, 1000):           cli.ExitRefused,
		"events tail --since evt_00000000000000000000000z":   cli.ExitNotFound,
		"balance --base-url http://127.0.0.1:1 --timeout 1s": cli.ExitUnknown,
	} {
		got := c.start(t, strings.Fields(args)...)
		got.end(t, code)
		require.Equal(t, code != 0, got.stderr.Len() > 0, args)
	}
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte("lnt_sandbox_x\n"), 0o600))
	c.start(t, "balance", "--api-key-file", key).end(t, cli.ExitUnauthorized)
}
