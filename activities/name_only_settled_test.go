package activities_test

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
)

// lnd calls a payment in flight while any of its parts is, also when the
// recipient has taken others and with them the preimage: no void, and whoever is
// called is told why.
func TestPartSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var told bytes.Buffer
	w.payouts.Alerts = activities.NewAlerts(slog.New(slog.NewTextHandler(&told, nil)), prometheus.NewRegistry())
	id, hash := w.inNameOnly(t)
	w.node.EditPayment(hash, func(p *lightning.Payment) { p.Attempts, p.Settled = 2, 1 })
	w.waits(t, id)
	w.pass(t, id, 6*time.Minute)
	w.waits(t, id)
	require.Contains(t, told.String(), activities.AlertNoHTLCs)
	require.Contains(t, told.String(), "1 of its parts settled")
	w.pass(t, id, 72*time.Hour)
	outcome, detail := w.resolve(t, id, "void")
	require.Equal(t, "refused", outcome)
	require.Contains(t, detail, "1 of its parts settled")
	w.books(t, w.workspace, 0, amount+maxFee)
	// The way out is lnd's word.
	require.NoError(t, w.node.SettlePayment(hash))
	w.follow(t, id)
	w.succeeded(t, id, 0)
}
