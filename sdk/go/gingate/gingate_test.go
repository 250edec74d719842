package gingate_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/gate"
	"github.com/lntpay/lntpay/sdk/go/gingate"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

var preimage = l402.Preimage{4, 5, 6}

// till makes charges that all have the one preimage.
type till struct{}

func (till) Create(context.Context, lntpay.ChargeParams, ...lntpay.WriteOption) (*lntpay.Charge, error) {
	hash := sha256.Sum256(preimage[:])

	return &lntpay.Charge{ID: "ch_01m829m1ezf6p8497reqzrs9mv", Bolt11: "lnbcrt1", PaymentHash: hex.EncodeToString(hash[:])}, nil
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	const ok, spent = http.StatusOK, http.StatusPaymentRequired
	for name, test := range map[string]struct {
		handler      gin.HandlerFunc
		first, again int
	}{
		"answered":        {func(c *gin.Context) { c.String(ok, "paid") }, ok, spent},
		"silent":          {func(*gin.Context) {}, ok, spent},
		"refused":         {func(c *gin.Context) { c.AbortWithStatus(http.StatusNotFound) }, http.StatusNotFound, spent},
		"failed":          {func(c *gin.Context) { c.Status(http.StatusBadGateway) }, http.StatusBadGateway, http.StatusBadGateway},
		"panicked":        {func(*gin.Context) { panic("in a test") }, http.StatusInternalServerError, http.StatusInternalServerError},
		"panicked midway": {func(c *gin.Context) { c.String(ok, "much of it"); panic("in a test") }, ok, spent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			paid, err := gate.New(gate.Config{Charges: till{}, Key: l402.NewKey([32]byte{1}), Price: gate.Fixed(21_000), Once: true})
			if err != nil {
				t.Fatal(err)
			}
			router := gin.New()
			router.Use(gin.CustomRecovery(func(c *gin.Context, _ any) { c.AbortWithStatus(http.StatusInternalServerError) }))
			router.GET("/report", gingate.Middleware(paid), func(c *gin.Context) {
				if payment, ok := gate.PaymentFrom(c.Request.Context()); !ok || payment.Resource != "GET /report" {
					t.Error("no payment: ", payment)
				}
				test.handler(c)
			})
			get := func(authorization string) *http.Response {
				r := httptest.NewRequest(http.MethodGet, "/report", nil)
				r.Header.Set("Authorization", authorization)
				answer := httptest.NewRecorder()
				router.ServeHTTP(answer, r)

				return answer.Result()
			}
			answer := get("")
			if answer.StatusCode != http.StatusPaymentRequired {
				t.Fatal(answer.Status)
			}
			challenge, err := l402.ParseChallenge(answer.Header)
			if err != nil {
				t.Fatal(err)
			}
			credential := &l402.Credential{Macaroon: challenge.Macaroon, Preimage: preimage}
			for _, want := range []int{test.first, test.again} {
				if got := get(credential.String()).StatusCode; got != want {
					t.Fatalf("got %d, want %d", got, want)
				}
			}
		})
	}
}

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	m.Run()
}
