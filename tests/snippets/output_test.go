package snippets

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	const (
		charge = `{"id":"ch_01m829m1ezf6p8497reqzrs9mv","status":"pending","bolt11":"lnbcrt210n1p4sxwwupp55panz3k3…",` + "\n" +
			` "created_at":"2026-11-22T18:52:12.65877Z","paid_at":null}`
		run = `{"id":"ch_0000000000f6p8497reqzrs9mv","status":"pending","bolt11":"lnbcrt210n1qqqqqqqqqqqqqqqqqq",` +
			`"created_at":"2026-11-23T18:52:12Z","paid_at":null}`
	)
	tests := map[string]struct {
		want, got string
		fails     string
	}{
		"as it is":          {charge, run + "\n", ""},
		"another status":    {charge, strings.Replace(run, "pending", "paid", 1), `in the text "\",\"status\":\"pending`},
		"another kind":      {charge, strings.Replace(run, "ch_", "wd_", 1), "the id"},
		"another amount":    {charge, strings.Replace(run, "210n1", "220n1", 1), "the invoice"},
		"a field more":      {charge, strings.Replace(run, `"paid_at"`, `"x":1,"paid_at"`, 1), "in the text"},
		"a field less":      {charge, strings.Replace(run, `,"paid_at":null`, "", 1), "in the text"},
		"more after it":     {"a", "a\nb", `after it comes "\nb"`},
		"anything after it": {"a\n…", "a\nb\nc", ""},
		"anything within":   {`{"a":1,…,"d":4}`, `{"a":1,"b":2,"c":3,"d":4}`, ""},
		"nothing":           {"", "", ""},
		"not nothing":       {"", "curl: (7)", "from the beginning"},
		"a cut hash":        {"preimage 07969d49b8ba…", "preimage " + strings.Repeat("0", 64), ""},
	}
	for name, tt := range tests {
		_, err := known{}.compare(tt.want, tt.got, false)
		if tt.fails == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, tt.fails, name)
		}
	}

	learned := known{}
	_, err := learned.compare(charge, run, false)
	require.NoError(t, err)
	require.Equal(t, "pay lnbcrt210n1qqqqqqqqqqqqqqqqqq for ch_0000000000f6p8497reqzrs9mv at 2026-11-22T18:52:12.65877Z",
		learned.meant("pay lnbcrt210n1p4sxwwupp55panz3k3… for ch_01m829m1ezf6p8497reqzrs9mv at 2026-11-22T18:52:12.65877Z"))
	_, err = learned.compare(charge, strings.Replace(run, "ch_0", "ch_1", 1), false)
	require.ErrorContains(t, err, "the id", "the same word is the same thing")
	end, err := learned.compare("listening as … on", "listening as x on\nmore", true)
	require.NoError(t, err)
	require.Equal(t, len("listening as x on"), end)
}

func TestParse(t *testing.T) {
	t.Parallel()
	blocks, err := parse("# x\n```sh terminal=2\n$ a \\\n    b\nout\n\n$ c\n```\n```js file=x.js\n1\n```\n\n    flow ──▶\n")
	require.NoError(t, err)
	require.Len(t, blocks, 2)
	commands, err := blocks[0].commands()
	require.NoError(t, err)
	require.Equal(t, []command{{line: 3, text: "a \\\n    b", want: "out"}, {line: 7, text: "c"}}, commands)
	require.Equal(t, block{line: 9, language: "js", terminal: "1", file: "x.js", text: "1\n"}, blocks[1])
	for page, problem := range map[string]string{
		"```sh\n":                   "no end",
		"```sh nothing\n```\n":      "not a word",
		"    $ curl x\n":            "not run",
		"    curl x\n":              "not run",
		"```sh terminal=\n1\n```\n": "not a word",
	} {
		_, err := parse(page)
		require.ErrorContains(t, err, problem, page)
	}
	script, err := (block{text: "a\nb\n"}).commands()
	require.NoError(t, err)
	require.Empty(t, script)
	_, err = (block{text: "a\n$ b\n"}).commands()
	require.ErrorContains(t, err, "output before")
}
