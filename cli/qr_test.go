package cli

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"rsc.io/qr"
)

// modules reads the modules back out of the half blocks; true is dark.
func modules(t *testing.T, drawn string) [][]bool {
	t.Helper()
	var all [][]bool
	for line := range strings.Lines(drawn) {
		var upper, lower []bool
		for _, r := range strings.TrimSuffix(line, "\n") {
			require.Contains(t, "█▀▄ ", string(r))
			upper = append(upper, r == '▄' || r == ' ')
			lower = append(lower, r == '▀' || r == ' ')
		}
		all = append(all, upper, lower)
	}

	return all
}

// requireCode checks that a drawing is a code with its quiet zone.
func requireCode(t *testing.T, code *qr.Code, drawn string) {
	t.Helper()
	got := modules(t, drawn)
	side := code.Size + 2*quietZone
	require.GreaterOrEqual(t, len(got), side)
	dark := 0
	for y, row := range got {
		require.Len(t, row, side)
		for x, is := range row {
			require.Equal(t, code.Black(x-quietZone, y-quietZone), is, "%d, %d", x, y)
			if is {
				dark++
			}
		}
	}
	require.Greater(t, dark, code.Size*code.Size/3)
}

func TestQR(t *testing.T) {
	t.Parallel()
	for _, length := range []int{10, 300, 700, 4000} {
		code, ok := encodeQR("lnbc" + strings.Repeat("q", length))
		require.True(t, ok)
		var drawn bytes.Buffer
		require.NoError(t, drawQR(&drawn, code, false))
		requireCode(t, code, drawn.String())
		var coloured bytes.Buffer
		require.NoError(t, drawQR(&coloured, code, true))
		plain := strings.NewReplacer("\x1b[40;97m", "", "\x1b[0m", "").Replace(coloured.String())
		require.Equal(t, drawn.String(), plain)
	}
	_, ok := encodeQR("lnbc" + strings.Repeat("q", 4292))
	require.True(t, ok)
	_, ok = encodeQR("lnbc" + strings.Repeat("q", 4293))
	require.False(t, ok)
}

func TestQRIsPrinted(t *testing.T) {
	t.Parallel()
	code, ok := encodeQR(bolt11)
	require.True(t, ok)
	pending, paid := answer(http.StatusOK, charge("ch_1", "pending")), answer(http.StatusOK, charge("ch_1", "paid"))
	got := run(t, serve(t, answer(http.StatusCreated, charge("ch_1", "pending"))), "charges", "create", "--sats", "21", "--qr")
	_, drawn, _ := strings.Cut(got.out, bolt11+"\n")
	requireCode(t, code, drawn)
	require.Contains(t, run(t, serve(t, pending), "charges", "get", "ch_1", "--qr").out, drawn)
	require.NotContains(t, run(t, serve(t, paid), "charges", "get", "ch_1", "--qr").out, "▀")
}

func TestQROnATerminal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		s             session
		always, never bool
		drawn         bool
		said          string
	}{
		{s: session{terminal: true, columns: 80}, drawn: true},
		{s: session{terminal: true, columns: 20}, said: "columns"},
		{s: session{terminal: true, columns: 20}, always: true, drawn: true},
		{s: session{terminal: true, columns: 80}, never: true},
		{s: session{terminal: true, columns: 80, asJSON: true}},
		{s: session{}},
	} {
		var out, say bytes.Buffer
		test.s.out, test.s.say = &out, &say
		require.NoError(t, test.s.qr(bolt11, test.always, test.never))
		require.Equal(t, test.drawn, strings.Contains(out.String(), "\x1b[40;97m█"))
		require.Contains(t, say.String(), test.said)
	}
}
