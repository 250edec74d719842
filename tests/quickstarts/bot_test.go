package quickstarts_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

// TestBot: it delivers what is paid, once, whenever it dies.
func TestBot(t *testing.T) {
	t.Parallel()
	m := newMerchant(t)
	book := filepath.Join(t.TempDir(), "bot.jsonl")
	start := func() *app {
		bot := m.run(t, node(t, "sse-bot/bot.js"), "BOT_FILE="+book)
		bot.says(t, "open: ask for joke or quote")

		return bot
	}

	bot := start()
	_, err := bot.input.Write([]byte("horse\njoke\n"))
	require.NoError(t, err)
	bot.says(t, "no horse here")
	bolt11 := bot.says(t, "joke: pay 21 sats to ")
	bot.kill()
	m.paid(t, bolt11)

	// Its first event ever was while it was dead.
	bot = start()
	bot.says(t, "delivered for ch_")

	_, err = bot.input.Write([]byte("quote\n"))
	require.NoError(t, err)
	m.pay(t, bot.says(t, "quote: pay 5 sats to "))
	require.Contains(t, bot.says(t, "delivered for ch_"), "Be liberal")

	_, err = bot.input.Write([]byte("joke\n"))
	require.NoError(t, err)
	bolt11 = bot.says(t, "joke: pay 21 sats to ")
	bot.kill()
	m.paid(t, bolt11)
	// Somebody else's charge of the same workspace.
	other, err := m.client.Charges.Create(t.Context(), lntpay.ChargeParams{AmountMsat: 5 * lntpay.Sat})
	require.NoError(t, err)
	m.paid(t, other.Bolt11)
	bot = start()
	require.Contains(t, bot.says(t, "delivered for ch_"), "bar")
	bot.kill()

	// From an older place it is told all again.
	forget(t, book)
	bot = start()
	_, err = bot.input.Write([]byte("quote\n"))
	require.NoError(t, err)
	m.pay(t, bot.says(t, "quote: pay 5 sats to "))
	require.Contains(t, bot.says(t, "delivered for ch_"), "Be liberal", "nothing before it was delivered again")
	text, err := os.ReadFile(book)
	require.NoError(t, err)
	require.Equal(t, 4, strings.Count(string(text), `"event":`))
}

// paid pays and waits until the charge of it is.
func (m *merchant) paid(t *testing.T, bolt11 string) {
	t.Helper()
	m.pay(t, bolt11)
	require.Eventually(t, func() bool {
		for charge, err := range m.client.Charges.List(t.Context(), lntpay.ChargeFilter{Status: lntpay.ChargePaid}) {
			if err == nil && charge.Bolt11 == bolt11 {
				return true
			}
		}

		return false
	}, patience, 50*time.Millisecond)
}

// forget lets the bot go on from the beginning.
func forget(t *testing.T, book string) {
	t.Helper()
	file, err := os.OpenFile(book, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString(`{"last":null}` + "\n")
	require.NoError(t, err)
	require.NoError(t, file.Close())
}
