package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

const sandboxInvoices = "/v1/sandbox/invoices"

func payPath(chargeID string) string { return "/v1/sandbox/charges/" + chargeID + "/pay" }

// sandboxInvoice makes one and returns its id.
func (b *bench) sandboxInvoice(body string) string {
	b.t.Helper()

	return b.object(b.post(sandboxInvoices, body), http.StatusCreated)["id"].(string)
}

func TestSandboxPay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.charge(`{"amount_msat":21000}`)
	for body, want := range map[string]payments.Msat{
		"": 0, `{}`: 0, `{"amount_msat":21000}`: 21_000, `{"amount_sats":25}`: 25_000, `{"amount_msat":null}`: 0,
	} {
		b.sandbox.asked = nil
		answer := b.object(b.post(payPath(id), body), http.StatusAccepted)
		require.Equal(t, id, answer["charge_id"])
		require.Equal(t, "sandbox_payment", answer["object"])
		require.Equal(t, "sandbox", answer["environment"])
		require.Equal(t, []payments.SandboxRequest{{Operation: payments.SandboxPay, ChargeID: id, AmountMsat: want}}, b.sandbox.asked, body)
	}
}

func TestSandboxPayRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.charge(`{"amount_msat":21000}`)
	other := b.newKey(b.newWorkspace(), nil, apikey.Scopes()...)
	b.writesNothing(func() {
		for body, code := range map[string]payments.Code{
			`{"amount_msat":20999}`:                  payments.CodeAmountOutOfRange,
			`{"amount_sats":20}`:                     payments.CodeAmountOutOfRange,
			`{"amount_msat":0}`:                      payments.CodeAmountOutOfRange,
			`{"amount_msat":-1}`:                     payments.CodeAmountOutOfRange,
			`{"amount_msat":99999999999999999999}`:   payments.CodeAmountOutOfRange,
			`{"amount_msat":21000.5}`:                payments.CodeInvalidRequest,
			`{"amount_msat":"21000"}`:                payments.CodeInvalidRequest,
			`{"amount_msat":21000,"amount_sats":21}`: payments.CodeInvalidRequest,
			`{"bolt11":"x"}`:                         payments.CodeInvalidRequest,
			`[]`:                                     payments.CodeInvalidRequest,
		} {
			b.refused(b.post(payPath(id), body), code)
		}
		b.refused(b.post(payPath(id), `{}`, idempotent("")), payments.CodeInvalidRequest)
		b.refused(b.post(payPath(id), "", withKey(other)), payments.CodeNotFound)
		for _, unknown := range []string{payments.NewID(payments.PrefixCharge), "ch_x", payments.NewID(payments.PrefixWithdrawal)} {
			b.refused(b.post(payPath(unknown), ""), payments.CodeNotFound)
		}
	})
	require.Zero(t, b.sandbox.count())
}

func TestSandboxInvoices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, behaviour := range payments.SandboxBehaviours() {
		answer := b.object(b.post(sandboxInvoices, `{"amount_sats":10,"behaviour":"`+string(behaviour)+`"}`), http.StatusCreated)
		require.Equal(t, "sandbox_invoice", answer["object"])
		require.Equal(t, string(behaviour), answer["behaviour"])
		require.EqualValues(t, 10_000, answer["amount_msat"])
	}
	b.writesNothing(func() {
		for body, code := range map[string]payments.Code{
			``:                                     payments.CodeInvalidRequest,
			`{}`:                                   payments.CodeInvalidRequest,
			`{"behaviour":"settle"}`:               payments.CodeInvalidRequest,
			`{"amount_msat":1}`:                    payments.CodeInvalidRequest,
			`{"amount_msat":1,"behaviour":"keep"}`: payments.CodeInvalidRequest,
			`{"amount_msat":1,"behaviour":1}`:      payments.CodeInvalidRequest,
			`{"amount_msat":1,"behaviour":"hold","x":1}`:   payments.CodeInvalidRequest,
			`{"amount_msat":0,"behaviour":"hold"}`:         payments.CodeAmountOutOfRange,
			`{"amount_sats":100000001,"behaviour":"hold"}`: payments.CodeAmountOutOfRange,
		} {
			b.refused(b.post(sandboxInvoices, body), code)
		}
	})
}

func TestSandboxRelease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.sandboxInvoice(`{"amount_msat":10000,"behaviour":"hold"}`)
	other := b.newKey(b.newWorkspace(), nil, apikey.Scopes()...)
	for verb, operation := range map[string]payments.SandboxOperation{
		"release": payments.SandboxRelease, "cancel": payments.SandboxCancel,
	} {
		path := sandboxInvoices + "/" + id + "/" + verb
		for _, body := range []string{"", "{}"} {
			b.sandbox.asked = nil
			require.Equal(t, id, b.object(b.post(path, body), http.StatusOK)["id"])
			require.Equal(t, []payments.SandboxRequest{{Operation: operation, InvoiceID: id}}, b.sandbox.asked)
		}
		b.writesNothing(func() {
			b.refused(b.post(path, `{"x":1}`), payments.CodeInvalidRequest)
			b.refused(b.post(path, "", withKey(other)), payments.CodeNotFound)
			b.refused(b.post(sandboxInvoices+"/"+payments.NewID(payments.PrefixSandboxInvoice)+"/"+verb, ""), payments.CodeNotFound)
			b.refused(b.post(sandboxInvoices+"/sbi_x/"+verb, ""), payments.CodeNotFound)
		})
	}
}

// A repeat gets the answer again: of success, of the worker's refusal, and of
// an attempt whose outcome was unknown.
func TestSandboxReplay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	charge := b.charge(`{"amount_msat":21000}`)
	held := b.sandboxInvoice(`{"amount_msat":10000,"behaviour":"hold"}`)
	for path, body := range map[string]string{
		payPath(charge): `{"amount_msat":22000}`, sandboxInvoices: `{"amount_sats":1,"behaviour":"fail"}`,
		sandboxInvoices + "/" + held + "/release": "{}", sandboxInvoices + "/" + held + "/cancel": "{}",
	} {
		replays := func(key string) (first reply) {
			t.Helper()
			before := b.sandbox.count()
			first = b.post(path, body, idempotent(key))
			b.writesNothing(func() {
				again := b.post(path, body, idempotent(key))
				require.Equal(t, first.status, again.status)
				require.Equal(t, first.body, again.body)
				require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
				b.refused(b.post(path, body+" ", idempotent(key)), payments.CodeIdempotencyKeyReused)
			})
			require.Equal(t, before+1, b.sandbox.count())

			return first
		}
		require.Less(t, replays("done").status, http.StatusBadRequest)
		b.sandbox.refuse = payments.NewProblem(payments.CodeNoPayerNode, "None.")
		b.refused(replays("refused"), payments.CodeNoPayerNode)
		b.sandbox.refuse = nil
		b.sandbox.plan(failBefore)
		b.refused(b.post(path, body, idempotent("away")), payments.CodeServiceUnavailable)
		require.Less(t, replays("away").status, http.StatusBadRequest)
	}
}

// Where real money is there is no sandbox, whatever a key may do.
func TestSandboxIsNotInProduction(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) {
		served := o.Environments[payments.Sandbox]
		served.Store = &store.Store{Queries: served.Store.Queries, Pool: served.Store.Pool, Environment: payments.Production}
		o.Environments[payments.Production] = served
	})
	charge := b.charge(`{"amount_msat":21000}`)
	held := b.sandboxInvoice(`{"amount_msat":10000,"behaviour":"hold"}`)
	production := &store.Store{Queries: b.store.Queries, Pool: b.store.Pool, Environment: payments.Production}
	_, all, err := apikey.CreateKey(t.Context(), production, store.Operator{Name: "test", Reason: "test"}, b.workspace, "test", scopeTexts(), nil)
	require.NoError(t, err)
	_, few, err := apikey.CreateKey(t.Context(), production, store.Operator{Name: "test", Reason: "test"}, b.workspace, "test", []string{"keys:read"}, nil)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(all, "lnt_production_"))
	b.writesNothing(func() {
		for _, path := range []string{
			payPath(charge), sandboxInvoices, sandboxInvoices + "/" + held + "/release", sandboxInvoices + "/" + held + "/cancel",
		} {
			b.refused(b.post(path, `not even JSON`, withKey(all)), payments.CodeNotFound)
			b.refused(b.post(path, ``, withKey(few)), payments.CodeNotFound)
		}
	})
}

func scopeTexts() (texts []string) {
	for _, scope := range apikey.Scopes() {
		texts = append(texts, string(scope))
	}

	return texts
}
