package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/payments"
)

// route is one operation of the API.
type route struct {
	method string
	path   string
	scope  apikey.Scope
	handle handler
}

// sandboxPath begins the paths that exist for keys of the sandbox only.
const sandboxPath = "/v1/sandbox/"

// routeStream is the one operation whose answer may take hours.
const routeStream = "/v1/events/stream"

// routes is the whole table: what is not here does not exist.
func routes() []route {
	return []route{
		{http.MethodPost, "/v1/charges", apikey.ChargesWrite, (*Server).createCharge},
		{http.MethodGet, "/v1/charges", apikey.ChargesRead, (*Server).listCharges},
		{http.MethodGet, "/v1/charges/usage", apikey.ChargesRead, (*Server).chargeUsage},
		{http.MethodGet, "/v1/charges/:id", apikey.ChargesRead, (*Server).getCharge},
		{http.MethodPost, "/v1/charges/:id/cancel", apikey.ChargesWrite, (*Server).cancelCharge},
		{http.MethodPost, "/v1/l402/challenges", apikey.ChargesWrite, (*Server).createChallenge},
		{http.MethodDelete, "/v1/l402/challenges/:id", apikey.ChargesWrite, (*Server).revokeChallenge},
		{http.MethodPost, "/v1/l402/verify", apikey.ChargesRead, (*Server).verifyL402},
		{http.MethodPost, "/v1/withdrawals", apikey.WithdrawalsWrite, (*Server).createWithdrawal},
		{http.MethodGet, "/v1/withdrawals", apikey.WithdrawalsRead, (*Server).listWithdrawals},
		{http.MethodPost, "/v1/withdrawals/quote", apikey.WithdrawalsRead, (*Server).quoteWithdrawal},
		{http.MethodGet, "/v1/withdrawals/:id", apikey.WithdrawalsRead, (*Server).getWithdrawal},
		{http.MethodGet, "/v1/balance", apikey.LedgerRead, (*Server).getBalance},
		{http.MethodGet, "/v1/ledger/transfers", apikey.LedgerRead, (*Server).listTransfers},
		{http.MethodPost, "/v1/keys", apikey.KeysWrite, (*Server).createKey},
		{http.MethodGet, "/v1/keys", apikey.KeysRead, (*Server).listKeys},
		{http.MethodDelete, "/v1/keys/:id", apikey.KeysWrite, (*Server).deleteKey},
		{http.MethodPost, "/v1/webhooks/endpoints", apikey.WebhooksWrite, (*Server).createEndpoint},
		{http.MethodGet, "/v1/webhooks/endpoints", apikey.WebhooksRead, (*Server).listEndpoints},
		{http.MethodGet, "/v1/webhooks/endpoints/:id", apikey.WebhooksRead, (*Server).getEndpoint},
		{http.MethodPatch, "/v1/webhooks/endpoints/:id", apikey.WebhooksWrite, (*Server).updateEndpoint},
		{http.MethodDelete, "/v1/webhooks/endpoints/:id", apikey.WebhooksWrite, (*Server).deleteEndpoint},
		{http.MethodPost, "/v1/webhooks/endpoints/:id/rotate-secret", apikey.WebhooksWrite, (*Server).rotateSecret},
		{http.MethodPost, "/v1/webhooks/endpoints/:id/test", apikey.WebhooksWrite, (*Server).testEndpoint},
		{http.MethodGet, "/v1/webhooks/deliveries", apikey.WebhooksRead, (*Server).listDeliveries},
		{http.MethodGet, "/v1/webhooks/deliveries/:id", apikey.WebhooksRead, (*Server).getDelivery},
		{http.MethodPost, "/v1/webhooks/deliveries/:id/redeliver", apikey.WebhooksWrite, (*Server).redeliver},
		{http.MethodPost, "/v1/sandbox/charges/:id/pay", apikey.ChargesWrite, (*Server).paySandboxCharge},
		{http.MethodPost, "/v1/sandbox/invoices", apikey.WithdrawalsWrite, (*Server).createSandboxInvoice},
		{http.MethodPost, "/v1/sandbox/invoices/:id/release", apikey.WithdrawalsWrite, (*Server).releaseSandboxInvoice},
		{http.MethodPost, "/v1/sandbox/invoices/:id/cancel", apikey.WithdrawalsWrite, (*Server).cancelSandboxInvoice},
		{http.MethodGet, "/v1/events", apikey.WebhooksRead, (*Server).listEvents},
		{http.MethodGet, routeStream, apikey.WebhooksRead, (*Server).streamEvents},
		{http.MethodGet, "/v1/events/:id", apikey.WebhooksRead, (*Server).getEvent},
	}
}

func init() { gin.SetMode(gin.ReleaseMode) } //nolint:gochecknoinits // Gin's mode is global.

// Handler is the public API.
func (s *Server) Handler() http.Handler {
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.Use(identify, s.sayGoodbye, s.record, s.observe, s.recoverPanics, limitBodyTime)
	engine.NoRoute(func(c *gin.Context) {
		writeProblem(c, payments.NewProblem(payments.CodeNotFound, "There is no such path."))
	})
	engine.NoMethod(func(c *gin.Context) {
		writeProblem(c, payments.NewProblem(payments.CodeMethodNotAllowed, "The Allow header names the methods of this path."))
	})
	for _, r := range routes() {
		engine.Handle(r.method, r.path, s.authenticated(r))
	}
	engine.GET("/docs", gin.WrapH(docs()))
	engine.GET("/docs/*asset", gin.WrapH(docs()))
	engine.GET("/openapi.json", func(c *gin.Context) { c.Data(http.StatusOK, contentJSON, s.openAPI) })

	return engine
}
