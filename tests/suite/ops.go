package suite

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ops"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// Ops runs `lntpay ops` on the stack and returns what it prints.
func (c *Client) Ops(t *testing.T, args ...string) string {
	t.Helper()
	cmd := ops.Command(func(ctx context.Context, _ string, fn func(context.Context, ops.Backend) error) error {
		return fn(ctx, ops.Backend{
			Store: c.Store, Nudger: &workflows.Starter{Client: c.Temporal, Environment: payments.Sandbox},
		})
	})
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append(args, "--by", "e2e", "--reason", "a test"))
	require.NoError(t, cmd.ExecuteContext(t.Context()), out.String())

	return out.String()
}
