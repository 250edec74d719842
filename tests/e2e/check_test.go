package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/check"
)

// A running stack has no fault but the one that it is known for: its role owns
// the tables. What is wrong with the node is told, each in its line.
func TestCheckOfAStack(t *testing.T) {
	c := newClient(t)
	parts := check.Parts{Worker: true}
	report := check.All(t.Context(), c.Config, nil, parts)
	require.True(t, report.OK, report.Lines)
	require.Equal(t, 1, report.Count(check.Warning), report.Lines)
	require.Contains(t, report.Lines, check.Line{Level: check.OK, Subject: "sandbox.payer", Text: "answers, on regtest"})

	wrong := *c.Config
	wrong.Sandbox.Node.Pubkey = c.Net.Payer.Config.Pubkey
	wrong.Sandbox.Payer.MacaroonFile = c.Net.Merchant.AdminMacaroonFile
	wrong.Sandbox.Temporal.Namespace = "lntpay-absent"
	report = check.All(t.Context(), &wrong, nil, parts)
	require.False(t, report.OK)
	levels := map[string]check.Level{}
	for _, line := range report.Lines {
		levels[line.Subject] = line.Level
	}
	require.Equal(t, check.Error, levels["sandbox.node"])
	require.Equal(t, check.Warning, levels["sandbox.payer"], "another node's macaroon")
	require.Equal(t, check.Warning, levels["sandbox.payer.macaroon_file"], "an admin's")
	require.Equal(t, check.Note, levels["sandbox.temporal"])
}
