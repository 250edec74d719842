package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/telemetry"
)

// looks are texts with a secret in them, which is SECRET in the name of its kind.
var looks = map[string]string{
	"an API key":         "key lnt_sandbox_SECRETxyz0123456789 is revoked",
	"a production key":   "lnt_production_SECRET",
	"a webhook secret":   "signed with whsec_SECRET+/abc=",
	"a bearer":           "Authorization: Bearer SECRET",
	"basic":              "authorization: basic SECRET==",
	"an L402 token":      "L402 SECRET:0123456789abcdef",
	"a DSN":              "connect to postgres://lntpay:SECRET@127.0.0.1:5432/lntpay_sandbox",
	"a keyword DSN":      "host=db user=lntpay password=SECRET dbname=x",
	"a macaroon in hex":  "metadata macaroon 0201036C6E6402F801030A105EC0DE",
	"a macaroon, base64": "AgEDbG5kAvgBAwoQSECRETSECRETSECRET==",
}

func TestRedact(t *testing.T) {
	for kind, text := range looks {
		clean := telemetry.Redact(text)
		require.Contains(t, clean, "[redacted]", kind)
		require.NotContains(t, clean, "SECRET", kind)
		require.NotContains(t, strings.ToUpper(clean), "5EC0DE", kind)
	}
	for _, text := range []string{
		"", "charge ch_01jb paid", "https://example.com:8443/hook", "ask for the basics", "lnt_", "password= ",
		"payment_hash 8c0ff33c8c0ff33c8c0ff33c8c0ff33c8c0ff33c8c0ff33c8c0ff33c8c0ff33c",
	} {
		require.Equal(t, text, telemetry.Redact(text))
	}
}

func TestNoLineOfTheLogHoldsASecret(t *testing.T) {
	for kind, text := range looks {
		var out bytes.Buffer
		log, err := telemetry.NewLogger(&out, "debug")
		require.NoError(t, err)
		ctx := telemetry.WithFields(t.Context(), slog.String("field", text))
		log = log.With("with", text)
		log.InfoContext(ctx, text, "text", text, "error", errors.New(text), "struct", struct{ Text string }{text},
			"map", map[string]any{"a": []string{text}}, slog.Group("group", "text", text), "bytes", json.RawMessage(`"`+text+`"`))
		require.NotContains(t, out.String(), "SECRET", kind)
		require.NotContains(t, strings.ToUpper(out.String()), "5EC0DE", kind)
		require.True(t, json.Valid(out.Bytes()), out.String())
	}
}

func TestNoValueIsShownUnderTheNameOfASecret(t *testing.T) {
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, "info")
	require.NoError(t, err)
	for _, name := range []string{"preimage", "client_secret", "password", "spend_macaroon", "Authorization", "database_url"} {
		log.Info("line", name, "deadbeef")
	}
	log.Info("line", "payment_hash", "f00d", "count", 3, "nothing", nil)
	require.NotContains(t, out.String(), "deadbeef")
	require.Contains(t, out.String(), `"payment_hash":"f00d","count":3,"nothing":null`)
}

func TestALineHasTheFieldsOfItsContext(t *testing.T) {
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, "info")
	require.NoError(t, err)
	log = telemetry.WithContext(log).With("environment", "sandbox")
	ctx := telemetry.WithFields(t.Context(), slog.String("environment", "twice"), slog.String("request_id", "req_1"))
	below, cancel := context.WithCancel(ctx)
	defer cancel()
	telemetry.Set(below, telemetry.Resource("ch_1"), slog.String("request_id", "req_2"))
	log.InfoContext(ctx, "line", "charge_id", "given")
	require.Contains(t, out.String(), `"environment":"sandbox","charge_id":"given","request_id":"req_2"}`)
	out.Reset()
	log.Info("line")
	require.Contains(t, out.String(), `"msg":"line","environment":"sandbox"}`)
}

func TestAWorkflowIDNamesItsPayment(t *testing.T) {
	for id, want := range map[string]string{
		"charge/ch_1": "charge_id=ch_1", "withdrawal/wd_1": "withdrawal_id=wd_1", "delivery/dlv_1": "delivery_id=dlv_1",
		"node-watcher/my_node": "", "sweeper/alice": "", "": "",
	} {
		field, ok := telemetry.ResourceOf(id)
		require.Equal(t, want != "", ok, id)
		if ok {
			require.Equal(t, want, field.String())
		}
	}
}
