package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/check"
)

// The same fault, told by the check and by a start that it forbids: at once,
// with every other, and without asking anybody.
func TestCheckAndStart(t *testing.T) {
	for variable, value := range map[string]string{
		"DATABASE_URL": "postgres://lntpay:hunter2@127.0.0.1:1/x", "TEMPORAL_ADDRESS": "127.0.0.1:1", "TEMPORAL_NAMESPACE": "x",
		"SECRETS_KEY_FILE": "/none",
	} {
		t.Setenv("LNTPAY_SANDBOX_"+variable, value)
	}
	const fault = "error    sandbox.secrets_key_file: open /none: no such file or directory"
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		root := rootCommand()
		root.SetOut(&out)
		root.SetArgs(args)
		err := root.ExecuteContext(t.Context())

		return out.String(), err
	}
	out, err := run("check", "api")
	require.ErrorContains(t, err, "3 errors")
	require.Equal(t, 1, exitCode(err))
	require.Contains(t, out, fault)
	require.Contains(t, out, "\nerror    sandbox.database_url: ")
	require.Contains(t, out, "\nerror    sandbox.temporal: ")
	require.NotContains(t, out, "hunter2")
	out, err = run("check", "--json")
	require.Error(t, err)
	var report check.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.False(t, report.OK)
	_, err = run("check", "gateway")
	require.Error(t, err)

	_, err = run("api")
	require.ErrorContains(t, err, fault)
	_, err = run("worker")
	require.ErrorContains(t, err, fault)
	require.ErrorContains(t, err, "sandbox.preimage_key_file is required")

	t.Setenv("LNTPAY_SANDBOX_NODE_ADDR", "x")
	out, err = run("check")
	require.Error(t, err)
	require.Contains(t, out, "error    settings: unknown setting: LNTPAY_SANDBOX_NODE_ADDR\n1 errors")
}
