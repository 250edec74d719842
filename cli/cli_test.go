package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

// The environment of whoever runs the tests is not theirs.
func TestMain(m *testing.M) {
	for _, name := range []string{lntpay.EnvAPIKey, lntpay.EnvBaseURL} {
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

const bolt11 = "lnbcrt210n1p4sxwwupp55panz3k3"

// asked is a request that came.
type asked struct {
	method, path, body, key string
}

// api answers each request by the next of its steps, and all after by the last.
type api struct {
	*httptest.Server

	mu    sync.Mutex
	steps []http.HandlerFunc
	seen  []asked
}

func serve(t *testing.T, steps ...http.HandlerFunc) *api {
	t.Helper()
	a := &api{steps: steps}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		step := a.steps[min(len(a.seen), len(a.steps)-1)]
		a.seen = append(a.seen, asked{r.Method, r.URL.RequestURI(), string(body), r.Header.Get("Idempotency-Key")})
		a.mu.Unlock()
		step(w, r)
	}))
	t.Cleanup(a.Close)

	return a
}

func (a *api) requests() []asked {
	a.mu.Lock()
	defer a.mu.Unlock()

	return append([]asked{}, a.seen...)
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		kind := "application/json"
		if status >= http.StatusBadRequest {
			kind = "application/problem+json"
		}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func refusal(status int, code string) http.HandlerFunc {
	return answer(status, fmt.Sprintf(`{"type":"about:blank","title":"x","status":%d,"detail":"in words","code":%q,"request_id":"req-1",
		"errors":[{"field":"amount_msat","message":"too much"}]}`, status, code))
}

// lost breaks the connection after the request was read.
func lost(w http.ResponseWriter, _ *http.Request) {
	if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = connection.Close()
	}
}

func charge(id, status string) string {
	return fmt.Sprintf(`{"id":%q,"object":"charge","environment":"sandbox","status":%q,"amount_msat":21500,"amount_paid_msat":%d,`+
		`"description":"tea \u001b[2J","bolt11":%q,"payment_hash":"00","metadata":{"b":"2","a":"1"},"external_id":null,`+
		`"created_at":"2026-01-31T12:00:00.123456Z","expires_at":"2026-01-31T13:00:00Z","paid_at":null,"warnings":[],"of_the_future":{"x":[1]}}`,
		id, status, map[bool]int{true: 21500}[status == "paid"], bolt11)
}

func withdrawal(status string) string {
	failure := "null"
	if status == "failed" {
		failure = `{"code":"no_route","message":"none was found"}`
	}

	return fmt.Sprintf(`{"id":"wd_1","object":"withdrawal","environment":"sandbox","status":%q,"amount_msat":10000,"max_fee_msat":5000,`+
		`"fee_msat":1,"payment_hash":"00","destination":"02ab","preimage":null,"bolt11":%q,"description":null,"metadata":{},"external_id":null,`+
		`"failure":%s,"created_at":"2026-01-31T12:00:00Z","completed_at":null}`, status, bolt11, failure)
}

// ended is how a command ended.
type ended struct {
	code        int
	out, stderr string
}

// root is as main's.
func root(find Find) *cobra.Command {
	root := &cobra.Command{Use: "lntpay", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(Commands(find)...)

	return root
}

func noStack() (Target, error) { return Target{}, errors.New("none runs") }

// run runs a command against an API.
func run(t *testing.T, a *api, args ...string) ended {
	t.Helper()

	return runWith(t.Context(), func() (Target, error) {
		if a == nil {
			return noStack()
		}

		return Target{BaseURL: a.URL, APIKey: "lnt_sandbox_test"}, nil
	}, args...)
}

func runWith(ctx context.Context, find Find, args ...string) ended {
	var out, stderr bytes.Buffer
	cmd := root(find)
	cmd.SetOut(&out)
	cmd.SetErr(&stderr)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	code := 0
	if err != nil {
		Report(&stderr, err)
		code = 1
		if exit, ok := errors.AsType[*ExitError](err); ok {
			code = exit.ExitCode()
		}
	}

	return ended{code, out.String(), stderr.String()}
}

// compact is JSON as --json prints it.
func compact(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, json.Compact(&out, []byte(text)))

	return out.String()
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		step http.HandlerFunc
		args string
		code int
		// apiCode is that of the error as JSON.
		apiCode string
	}{
		"done":              {answer(200, charge("ch_1", "pending")), "charges get ch_1", 0, ""},
		"refused":           {refusal(422, "amount_out_of_range"), "charges create --sats 1", 3, "amount_out_of_range"},
		"of the wrong form": {refusal(400, "invalid_request"), "charges list --status x", 3, "invalid_request"},
		"no such key":       {refusal(401, "unauthorized"), "balance", 4, "unauthorized"},
		"without the scope": {refusal(403, "forbidden"), "events list", 4, "forbidden"},
		"no such object":    {refusal(404, "not_found"), "withdrawals get wd_1", 5, "not_found"},
		"lost":              {lost, "withdrawals create lnbc1 --timeout 300ms --idempotency-key k", 6, "unknown_outcome"},
		"unavailable":       {refusal(503, "service_unavailable"), "withdrawals create lnbc1 --timeout 300ms --idempotency-key k", 6, "unknown_outcome"},
		"a lost read":       {lost, "balance --timeout 300ms", 6, "no_answer"},
		"a silent server":   {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "balance --timeout 300ms", 6, "no_answer"},
		"a fault":           {refusal(500, "internal_error"), "balance", 1, "internal_error"},
		"not JSON":          {answer(200, "<html>"), "balance", 1, "internal"},
		"expired":           {answer(200, charge("ch_1", "expired")), "charges watch ch_1", 7, "ended_badly"},
		"failed":            {answer(201, withdrawal("failed")), "withdrawals create lnbc1 --idempotency-key k --wait", 7, "ended_badly"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, serve(t, test.step), strings.Fields(test.args)...)
			require.Equal(t, test.code, got.code, got)
			require.Equal(t, test.code == 0, got.stderr == "", got.stderr)
			got = run(t, serve(t, test.step), append(strings.Fields(test.args), "--json")...)
			require.Equal(t, test.code, got.code, got)
			if test.code == 0 {
				require.Empty(t, got.stderr)

				return
			}
			var failed failure
			require.NoError(t, json.Unmarshal([]byte(got.stderr), &failed), got.stderr)
			require.Equal(t, test.code, failed.ExitCode)
			require.Equal(t, test.apiCode, failed.Code)
			require.NotEmpty(t, failed.Detail)
		})
	}
}

// full is a disk that is.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "out", Err: syscall.ENOSPC}
}

// What fails on this machine is not taken for the API's silence, which would
// have a script repeat the write.
func TestFailuresOfThisMachine(t *testing.T) {
	t.Parallel()
	socket, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = socket.Close() }()
	_, port, err := net.SplitHostPort(socket.Addr().String())
	require.NoError(t, err)
	got := run(t, serve(t, answer(200, "{}")), "webhooks", "listen", "--port", port)
	require.Equal(t, ExitOther, got.code, got)
	require.Contains(t, got.stderr, "address already in use")

	a := serve(t, answer(201, charge("ch_1", "pending")))
	for _, args := range []string{"charges create --sats 1", "charges create --sats 1 --json"} {
		cmd := root(func() (Target, error) { return Target{a.URL, "k"}, nil })
		cmd.SetOut(full{})
		cmd.SetErr(io.Discard)
		cmd.SetArgs(strings.Fields(args))
		err := cmd.ExecuteContext(t.Context())
		exit, ok := errors.AsType[*ExitError](err)
		require.True(t, ok, err)
		require.Equal(t, ExitOther, exit.Code, err)
	}
}

func TestWrongUsageSendsNothing(t *testing.T) {
	t.Parallel()
	a := serve(t, answer(200, "{}"))
	for _, args := range []string{
		"charges create", "charges create --sats 1 --msat 1", "charges create --sats 0", "charges create --sats x", "charges create --msat -1",
		"charges create --sats 9223372036854776", "charges create 21", "charges create --sats 1 --metadata x",
		"charges create --sats 1 --metadata x=1 --metadata x=2", "charges create --sats 1 --qr --no-qr", "charges create --sats 1 --qr --json",
		"charges create --sats 1 --expires-in -1m", "charges get", "charges get a/b", "charges get --nope ch_1", "charges nonsense",
		"charges list --limit 0", "charges list --created-after yesterday", "withdrawals create", "withdrawals create a b",
		"withdrawals create lnbc1 --max-fee-sats -1", "withdrawals create lnbc1 --idempotency-key=", "events tail --count -1", "balance now",
		"balance --timeout 0s", "webhooks listen --url ftp://x --port 1", "webhooks listen --url https://example.com",
		"webhooks listen --forward-to localhost:3000", "webhooks listen --port 70000", "webhooks listen --count -1",
	} {
		got := run(t, a, strings.Fields(args)...)
		require.Equal(t, ExitUsage, got.code, args)
		require.Contains(t, got.stderr, "--help`)", args)
		require.Empty(t, got.out, args)
	}
	require.Empty(t, a.requests())
}

func TestRefusalInWords(t *testing.T) {
	t.Parallel()
	got := run(t, serve(t, refusal(422, "amount_out_of_range")), "charges", "create", "--sats", "1")
	require.Equal(t, "lntpay: amount_out_of_range: in words; amount_msat: too much (422, request req-1)\n", got.stderr)
	got = run(t, serve(t, refusal(422, "amount_out_of_range")), "charges", "create", "--sats", "1", "--json")
	require.JSONEq(t, `{"code":"amount_out_of_range","detail":"in words","exit_code":3,"status":422,"request_id":"req-1",
		"errors":[{"field":"amount_msat","message":"too much"}]}`, got.stderr)
}

func TestCtrlC(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	a := serve(t, answer(201, charge("ch_1", "pending")), func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	got := runWith(ctx, func() (Target, error) { return Target{a.URL, "k"}, nil }, "charges", "create", "--sats", "1", "--wait")
	require.Equal(t, ExitInterrupted, got.code)
	require.Contains(t, got.out, "ch_1")
	require.Empty(t, got.stderr)

	// What was being written may have happened.
	ctx, cancel = context.WithCancel(t.Context())
	a = serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	got = runWith(ctx, func() (Target, error) { return Target{a.URL, "k"}, nil }, "charges", "create", "--sats", "1", "--idempotency-key", "mine")
	require.Equal(t, ExitInterrupted, got.code)
	require.Contains(t, got.stderr, `repeat with the Idempotency-Key "mine"`)
}

func TestChargeCreate(t *testing.T) {
	t.Parallel()
	a := serve(t, answer(201, charge("ch_1", "pending")))
	got := run(t, a, "charges", "create", "--msat", "21500", "--description", "tea", "--external-id", "x-1", "--metadata", "a=1,2",
		"--metadata", "b==", "--expires-in", "10m", "--idempotency-key", "once")
	require.Zero(t, got.code, got)
	sent := a.requests()[0]
	require.Equal(t, "POST /v1/charges once", sent.method+" "+sent.path+" "+sent.key)
	require.JSONEq(t, `{"amount_msat":21500,"description":"tea","external_id":"x-1","metadata":{"a":"1,2","b":"="},"expires_in":600}`, sent.body)
	created := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC).Local().Format(time.DateTime) //nolint:gosmopolitan // a person reads it here
	require.Contains(t, got.out, "id           ch_1\nstatus       pending\namount       21.5 sat\ndescription  tea  [2J\nmetadata     a=1, b=2\n"+
		"created      "+created+" (")
	require.Contains(t, got.out, "\ninvoice      "+bolt11+"\n")
	require.NotContains(t, got.out, "▀", "no terminal, no code")
}

func TestChargeCreateWaits(t *testing.T) {
	t.Parallel()
	steps := []http.HandlerFunc{
		answer(201, charge("ch_1", "pending")), answer(200, charge("ch_1", "pending")), answer(200, charge("ch_1", "paid")),
	}
	got := run(t, serve(t, steps...), "charges", "create", "--sats", "21", "--wait")
	require.Zero(t, got.code, got)
	require.Contains(t, got.out, "\npaid: 21.5 sat received at ")
	got = run(t, serve(t, steps...), "charges", "create", "--sats", "21", "--wait", "--json")
	require.Equal(t, compact(t, charge("ch_1", "pending"))+"\n"+compact(t, charge("ch_1", "paid"))+"\n", got.out)
}

func TestWatchWithdrawal(t *testing.T) {
	t.Parallel()
	steps := []http.HandlerFunc{
		answer(200, withdrawal("pending")), answer(200, withdrawal("in_flight")), answer(200, withdrawal("in_flight")), answer(200, withdrawal("failed")),
	}
	got := run(t, serve(t, steps...), "withdrawals", "watch", "wd_1")
	require.Equal(t, ExitEnded, got.code)
	require.Contains(t, got.out, "\nin_flight\nfailed: no_route: none was found\n")
	require.Equal(t, "lntpay: the withdrawal wd_1 has failed\n", got.stderr)
	got = run(t, serve(t, steps...), "withdrawals", "watch", "wd_1", "--json")
	require.Equal(t, withdrawal("pending")+"\n"+withdrawal("in_flight")+"\n"+withdrawal("failed")+"\n", got.out)
}

// What is over is not waited for, and said all the same.
func TestWatchWhatIsOver(t *testing.T) {
	t.Parallel()
	a := serve(t, answer(200, charge("ch_1", "paid")))
	require.Regexp(t, `\npaid: 21\.5 sat received at .*\n$`, run(t, a, "charges", "watch", "ch_1").out)
	require.Equal(t, charge("ch_1", "paid")+"\n", run(t, a, "charges", "watch", "ch_1", "--json").out)
	require.Len(t, a.requests(), 2)
	a = serve(t, answer(200, withdrawal("succeeded")))
	require.Contains(t, run(t, a, "withdrawals", "watch", "wd_1").out, "\nsucceeded: 10 sat paid, fee 0.001 sat, preimage ")
}

// The key of a withdrawal is known before anything is sent: a lost answer, or
// one's own death, can be repeated.
func TestWithdrawalKey(t *testing.T) {
	t.Parallel()
	a := serve(t, lost)
	got := run(t, a, "withdrawals", "create", "LIGHTNING:"+bolt11, "--max-fee-sats", "0", "--timeout", "300ms")
	require.Equal(t, ExitUnknown, got.code)
	line, rest, _ := strings.Cut(got.stderr, "\n")
	key, ok := strings.CutPrefix(line, "Idempotency-Key: ")
	require.True(t, ok, got.stderr)
	require.Contains(t, rest, strconv.Quote(key))
	for _, sent := range a.requests() {
		require.Equal(t, key, sent.key)
		require.JSONEq(t, `{"bolt11":"`+bolt11+`","max_fee_msat":0}`, sent.body)
	}

	a = serve(t, answer(201, withdrawal("pending")))
	got = run(t, a, "withdrawals", "create", bolt11, "--sats", "10", "--max-fee-sats", "7", "--idempotency-key", key)
	require.Equal(t, ended{code: 0, out: got.out}, got)
	require.Equal(t, key, a.requests()[0].key)
	require.JSONEq(t, `{"bolt11":"`+bolt11+`","amount_msat":10000,"max_fee_msat":7000}`, a.requests()[0].body)
	require.Contains(t, got.out, "fee limit     5 sat\n")

	got = run(t, a, "withdrawals", "create", bolt11, "--json")
	require.JSONEq(t, `{"idempotency_key":"`+a.requests()[1].key+`"}`, got.stderr)
}

// pages serves so many charges.
func pages(total int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.FormValue("cursor"))
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		to := min(total, from+limit)
		var data []string
		for i := from; i < to; i++ {
			data = append(data, charge(fmt.Sprint("ch_", i), "pending"))
		}
		next := "null"
		if to < total {
			next = strconv.Quote(strconv.Itoa(to))
		}
		answer(200, fmt.Sprintf(`{"object":"list","data":[%s],"has_more":%t,"next_cursor":%s}`, strings.Join(data, ","), to < total, next))(w, r)
	}
}

func TestChargeList(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		total          int
		args           string
		printed, calls int
		more           bool
	}{
		{0, "", 0, 1, false},
		{20, "", 20, 1, false},
		{21, "", 20, 1, true},
		{250, "--all", 250, 3, false},
		{250, "--limit 150", 150, 2, true},
		{250, "--limit 99", 99, 1, true},
		{100, "--limit 100", 100, 1, false},
	} {
		a := serve(t, pages(test.total))
		args := append([]string{"charges", "list", "--status", "pending", "--external-id", "x", "--created-after", "2026-01-31T12:00:00Z"},
			strings.Fields(test.args)...)
		got := run(t, a, args...)
		require.Zero(t, got.code, got)
		lines := strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")
		if test.printed > 0 {
			require.Len(t, lines, test.printed+1, test)
			require.Regexp(t, `^ID +STATUS +AMOUNT +CREATED +EXPIRES +EXTERNAL ID +DESCRIPTION$`, lines[0])
			require.Regexp(t, `^ch_0 +pending +21\.5 sat +\d+d ago +\d+d ago +tea  \[2J$`, lines[1])
		}
		require.Equal(t, test.more, strings.Contains(got.stderr, "there are more"), test)
		require.Len(t, a.requests(), test.calls, test)
		require.Contains(t, a.requests()[0].path, "created_after=2026-01-31T12%3A00%3A00Z&external_id=x")
		got = run(t, serve(t, pages(test.total)), append(args, "--json")...)
		require.Equal(t, test.printed, strings.Count(got.out, "\n"), test)
		for i, line := range strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")[:min(1, test.printed)] {
			require.Equal(t, compact(t, charge(fmt.Sprint("ch_", i), "pending")), line)
		}
		require.Empty(t, got.stderr)
	}
}

func TestBalanceAndQuote(t *testing.T) {
	t.Parallel()
	got := run(t, serve(t, answer(200, `{"object":"balance","available_msat":1,"locked_msat":2000,"pending_msat":0,"as_of":"2026-01-31T12:00:00Z"}`)), "balance")
	require.Contains(t, got.out, "available  0.001 sat\nlocked     2 sat, for withdrawals\npending    0 sat, in open charges\n")
	got = run(t, serve(t, answer(200, `{"object":"quote","amount_msat":10000,"estimated_fee_msat":null,"sufficient":false}`)),
		"withdrawals", "quote", bolt11)
	require.Contains(t, got.out, "estimated fee  unknown: the node finds no route\n")
	require.Contains(t, got.out, "sufficient     no\n")
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	for msat, text := range map[int64]string{
		0: "0 sat", 1: "0.001 sat", 10: "0.01 sat", 999: "0.999 sat", 21_000: "21 sat", 21_500: "21.5 sat", -1_001: "-1.001 sat",
		2_100_000_000_000_000_000: "2100000000000000 sat",
	} {
		require.Equal(t, text, sat(msat))
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	s := &session{now: func() time.Time { return now }}
	for text, d := range map[string]time.Duration{
		"0s ago": 0, "59s ago": 59 * time.Second, "1m ago": 119 * time.Second, "23h ago": 24*time.Hour - 1, "in 3d": -73 * time.Hour, "in 1m": -time.Minute,
	} {
		require.Equal(t, text, s.ago(now.Add(-d)))
	}
	require.Equal(t, "-", s.ago(time.Time{}))
}

// A key and an address that do not belong together are never used together.
func TestTarget(t *testing.T) {
	stack := func() (Target, error) { return Target{"http://stack.test", "of the stack"}, nil }
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("of a file\n"), 0o600))
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	for name, test := range map[string]struct {
		flags        common
		envURL, env  string
		want         Target
		err          string
		withoutStack bool
	}{
		"the stack":             {want: Target{"http://stack.test", "of the stack"}},
		"no stack":              {withoutStack: true, err: "no API is named"},
		"the environment":       {envURL: "http://env.test", env: "of the environment", want: Target{"http://env.test", "of the environment"}},
		"flags first":           {flags: common{baseURL: "http://flag.test", keyFile: file}, envURL: "http://env.test", env: "x", want: Target{"http://flag.test", "of a file"}},
		"an address only":       {flags: common{baseURL: "http://flag.test"}, err: "no API key"},
		"a key only":            {env: "of the environment", err: "no address"},
		"a key of a file only":  {flags: common{keyFile: file}, err: "no address"},
		"an empty file":         {flags: common{baseURL: "http://flag.test", keyFile: empty}, err: "is empty"},
		"a file that is absent": {flags: common{keyFile: file + "x"}, err: "no such file"},
	} {
		t.Setenv(lntpay.EnvBaseURL, test.envURL)
		t.Setenv(lntpay.EnvAPIKey, test.env)
		test.flags.find = stack
		if test.withoutStack {
			test.flags.find = noStack
		}
		got, err := test.flags.target()
		if test.err != "" {
			require.ErrorContains(t, err, test.err, name)

			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, test.want, got, name)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	got := run(t, nil, "help", "exit-codes")
	guide, err := os.ReadFile("../docs/cli.md")
	require.NoError(t, err)
	for code := range names {
		require.Contains(t, got.out, fmt.Sprintf("\n  %-3d  ", code))
		require.Contains(t, string(guide), fmt.Sprintf("\n| %d |", code))
	}
	require.Zero(t, run(t, nil, "charges").code)
	// A key on the command line could be read by whoever sees the processes.
	require.NotContains(t, run(t, nil, "charges", "create", "--help").out, "--api-key ")
}
