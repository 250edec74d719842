package gate_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/gate"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

func TestAnInvoiceThenTheAnswer(t *testing.T) {
	t.Parallel()
	b := open(t, func(c *gate.Config) {
		c.Metadata = func(*http.Request) map[string]string {
			return map[string]string{"customer": "7", "l402_service": "not mine"}
		}
	})
	var payment *gate.Payment
	b.next = func(w http.ResponseWriter, r *http.Request) {
		payment, _ = gate.PaymentFrom(r.Context())
		w.WriteHeader(http.StatusTeapot)
	}
	before := time.Now()
	answer := b.get("/report?year=2026")
	equal(t, 2, len(answer.Header.Values("WWW-Authenticate")))
	read := refused(t, answer, http.StatusPaymentRequired, "payment_required", "")
	credential := b.pay(t, answer)
	equal(t, problem{
		Invoice: "lnbcrt1", Macaroon: credential.Macaroon.String(), AmountMsat: 21_000,
		ExpiresAt: time.Unix(1_800_000_000, 0).UTC(), ChargeID: "ch_01m829m1ezf6p8497reqzrs001",
	}, problem{Invoice: read.Invoice, Macaroon: read.Macaroon, AmountMsat: read.AmountMsat, ExpiresAt: read.ExpiresAt, ChargeID: read.ChargeID})
	equal(t, []lntpay.ChargeParams{{
		AmountMsat: 21_000, Description: "GET /report", ExpiresIn: 10 * time.Minute,
		Metadata: map[string]string{"l402_service": "lntpay", "l402_resource": "GET /report", "customer": "7"},
	}}, b.charges())
	var conditions []string
	for _, caveat := range credential.Macaroon.Caveats {
		conditions = append(conditions, caveat.Condition)
	}
	equal(t, []string{"services", "lntpay_resource", "lntpay_valid_until", "lntpay_amount_msat"}, conditions)

	// Another query is the same resource.
	answer = b.get("/report", credential)
	equal(t, http.StatusTeapot, answer.StatusCode)
	equal(t, 1, len(b.charges()))
	if payment.ValidUntil.Before(before.Add(59*time.Minute)) || payment.ValidUntil.After(time.Now().Add(time.Hour)) {
		t.Fatal(payment.ValidUntil)
	}
	hash := hex.EncodeToString(credential.Macaroon.ID.PaymentHash[:])
	equal(t, gate.Payment{
		ChargeID: read.ChargeID, PaymentHash: hash, AmountMsat: 21_000, Service: "lntpay", Resource: "GET /report",
		ValidUntil: payment.ValidUntil, Caveats: credential.Macaroon.Caveats,
	}, *payment)

	text, err := base64.RawURLEncoding.DecodeString(answer.Header.Get("Payment-Receipt"))
	noError(t, err)
	var receipt map[string]string
	noError(t, json.Unmarshal(text, &receipt))
	at, err := time.Parse(time.RFC3339, receipt["timestamp"])
	noError(t, err)
	if at.Before(before.Add(-time.Second)) || at.After(time.Now()) {
		t.Fatal(at)
	}
	delete(receipt, "timestamp")
	equal(t, map[string]string{"method": "lightning", "challengeId": read.ChargeID, "reference": hash, "status": "success"}, receipt)
	equal(t, "", b.log.String())
}

func TestWhatATokenOpens(t *testing.T) {
	t.Parallel()
	const code, paid, invalid = "payment_required", http.StatusOK, http.StatusUnauthorized
	changed := func(change func(*l402.Credential)) func(*l402.Credential) *http.Request {
		return func(c *l402.Credential) *http.Request {
			change(c)

			return request(http.MethodGet, "/report", c)
		}
	}
	headers := func(pairs ...string) func(*l402.Credential) *http.Request {
		return func(c *l402.Credential) *http.Request {
			token, preimage := c.Macaroon.String(), hex.EncodeToString(c.Preimage[:])
			raw, _ := base64.StdEncoding.DecodeString(c.Macaroon.Attenuate(l402.Caveat{Condition: "preimage", Value: preimage}).String())
			r := request(http.MethodGet, "/report")
			for i := 0; i < len(pairs); i += 2 {
				r.Header.Add(pairs[i], strings.NewReplacer("$token", token, "$preimage", preimage, "$hex", hex.EncodeToString(raw)).Replace(pairs[i+1]))
			}

			return r
		}
	}
	for name, test := range map[string]struct {
		request func(*l402.Credential) *http.Request
		status  int
		reason  string
	}{
		"as bought":            {changed(func(*l402.Credential) {}), paid, ""},
		"LSAT":                 {headers("Authorization", "LSAT $token:$preimage"), paid, ""},
		"lower case":           {headers("Authorization", "l402 $token:$preimage"), paid, ""},
		"twice, as Aperture":   {headers("Authorization", "LSAT $token:$preimage", "Authorization", "L402 $token:$preimage"), paid, ""},
		"Bearer before":        {headers("Authorization", "Bearer abc", "Authorization", "L402 $token:$preimage"), paid, ""},
		"gRPC":                 {headers("Macaroon", "$hex"), paid, ""},
		"gRPC over REST":       {headers("Authorization", "Bearer abc", "Grpc-Metadata-Macaroon", "$hex"), paid, ""},
		"after a broken one":   {headers("Authorization", "L402 abc:def", "Authorization", "L402 $token:$preimage"), paid, ""},
		"after a forged one":   {headers("Authorization", "L402 $token:"+strings.Repeat("0", 64), "Authorization", "L402 $token:$preimage"), paid, ""},
		"none":                 {headers(), http.StatusPaymentRequired, ""},
		"Bearer only":          {headers("Authorization", "Bearer abc"), http.StatusPaymentRequired, ""},
		"malformed":            {headers("Authorization", "L402 abc:def"), invalid, "malformed"},
		"no preimage":          {headers("Authorization", "L402 $token"), invalid, "malformed"},
		"a wrong preimage":     {changed(func(c *l402.Credential) { c.Preimage[9]++ }), invalid, "wrong_preimage"},
		"another hash":         {changed(func(c *l402.Credential) { c.Macaroon.ID.PaymentHash[0]++ }), invalid, "bad_signature"},
		"another method":       {func(c *l402.Credential) *http.Request { return request(http.MethodPost, "/report", c) }, http.StatusPaymentRequired, "wrong_resource"},
		"another path":         {func(c *l402.Credential) *http.Request { return request(http.MethodGet, "/admin", c) }, http.StatusPaymentRequired, "wrong_resource"},
		"the path, spelt else": {func(c *l402.Credential) *http.Request { return request(http.MethodGet, "/r%65port", c) }, http.StatusPaymentRequired, "wrong_resource"},
		"widened": {changed(func(c *l402.Credential) {
			c.Macaroon = c.Macaroon.Attenuate(l402.Amount("lntpay", 1_000_000))
		}), http.StatusPaymentRequired, "widened"},
		"narrowed to nothing": {changed(func(c *l402.Credential) {
			c.Macaroon = c.Macaroon.Attenuate(l402.ValidUntil("lntpay", time.Now()))
		}), http.StatusPaymentRequired, "expired"},
		"narrowed": {changed(func(c *l402.Credential) {
			c.Macaroon = c.Macaroon.Attenuate(l402.ValidUntil("lntpay", time.Now().Add(time.Minute)), l402.Caveat{Condition: "colour", Value: "blue"})
		}), paid, ""},
		"genuine beside a forged one": {func(c *l402.Credential) *http.Request {
			forged := *c
			forged.Preimage[0]++

			return request(http.MethodGet, "/other", c, &forged)
		}, http.StatusPaymentRequired, "wrong_resource"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, nil)
			answer := b.do(test.request(b.pay(t, b.get("/report"))))
			switch test.status {
			case paid:
				equal(t, paid, answer.StatusCode)
				equal(t, 1, len(b.charges()))
			case invalid:
				refused(t, answer, invalid, "invalid_token", test.reason)
				equal(t, []string{"L402"}, answer.Header.Values("WWW-Authenticate"))
				equal(t, 1, len(b.charges()))
			default:
				refused(t, answer, test.status, code, test.reason)
				equal(t, 2, len(b.charges()))
			}
		})
	}
}

// A new invoice pays for what a token that is no longer good was for.
func TestARefusedTokenIsReplaced(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	first := b.pay(t, b.get("/a"))
	answer := b.get("/b", first)
	read := refused(t, answer, http.StatusPaymentRequired, "payment_required", "wrong_resource")
	if !strings.Contains(read.Detail, "wrong_resource") {
		t.Fatal(read.Detail)
	}
	second := b.pay(t, answer)
	equal(t, http.StatusOK, b.get("/b", first, second).StatusCode)
	equal(t, http.StatusOK, b.get("/a", second, first).StatusCode)
}

func TestTheLifetimeOfAToken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lifetime, expiry, want time.Duration
	}{
		"default":         {0, 0, 10 * time.Minute},
		"short":           {6 * time.Minute, 0, 3 * time.Minute},
		"shortest":        {time.Minute, 0, time.Minute},
		"long":            {240 * time.Hour, 0, 10 * time.Minute},
		"invoices longer": {240 * time.Hour, 48 * time.Hour, 48 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := open(t, func(c *gate.Config) { c.Lifetime, c.InvoiceExpiry = test.lifetime, test.expiry })
				credential := b.pay(t, b.get("/"))
				equal(t, test.want, b.charges()[0].ExpiresIn)
				if test.lifetime == 0 {
					test.lifetime = time.Hour
				}
				time.Sleep(test.lifetime - time.Second)
				equal(t, http.StatusOK, b.get("/", credential).StatusCode)
				time.Sleep(time.Second)
				refused(t, b.get("/", credential), http.StatusPaymentRequired, "payment_required", "expired")
			})
		})
	}
}

// LNTPay may take its time: what counts for the buyer is when the invoice is there.
func TestATokenLivesAsLongAsItsInvoiceCanBePaid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, func(c *gate.Config) { c.Lifetime = time.Minute })
		b.create = func(context.Context) error {
			time.Sleep(4 * time.Second)

			return nil
		}
		asked := b.get("/")
		time.Sleep(b.charges()[0].ExpiresIn - time.Second)
		equal(t, http.StatusOK, b.get("/", b.pay(t, asked)).StatusCode)
	})
}

func TestThePriceIsAFunction(t *testing.T) {
	t.Parallel()
	prices := map[string]int64{"/cheap": 1_000, "/dear": 5_000, "/free": 0, "/wrong": -1}
	b := open(t, func(c *gate.Config) {
		c.Resource = func(*http.Request) string { return "everything" }
		c.Price = func(r *http.Request) (int64, error) {
			if r.Method == http.MethodOptions {
				return 0, nil
			}
			price, known := prices[r.URL.Path]
			if !known {
				return 0, errTest
			}

			return price, nil
		}
	})
	cheap, dear := b.pay(t, b.get("/cheap")), b.pay(t, b.get("/dear"))
	equal(t, 5_000, b.charges()[1].AmountMsat)
	equal(t, http.StatusOK, b.get("/cheap", dear).StatusCode)
	read := refused(t, b.get("/dear", cheap), http.StatusPaymentRequired, "payment_required", "underpaid")
	equal(t, 5_000, read.AmountMsat)

	made := len(b.charges())
	b.next = func(w http.ResponseWriter, r *http.Request) {
		_, paid := gate.PaymentFrom(r.Context())
		equal(t, false, paid)
		w.WriteHeader(http.StatusNoContent)
	}
	for _, free := range []*http.Request{
		request(http.MethodGet, "/free"), request(http.MethodGet, "/free", cheap), request(http.MethodOptions, "/dear"),
	} {
		answer := b.do(free)
		equal(t, http.StatusNoContent, answer.StatusCode)
		equal(t, "", answer.Header.Get("Payment-Receipt"))
	}
	equal(t, "", b.log.String())
	refused(t, b.get("/wrong"), http.StatusInternalServerError, "internal_error", "")
	refused(t, b.get("/unknown", cheap), http.StatusInternalServerError, "internal_error", "")
	equal(t, made, len(b.charges()))
	if !strings.Contains(b.log.String(), errTest.Error()) {
		t.Fatal(b.log)
	}
}

// A token outlives its key as long as that is an old one.
func TestOldKeys(t *testing.T) {
	t.Parallel()
	credential := func() *l402.Credential { b := open(t, nil); return b.pay(t, b.get("/")) }()
	newKey := l402.NewKey([32]byte{9})
	rotated := open(t, func(c *gate.Config) { c.Key, c.OldKeys = newKey, []l402.Key{l402.NewKey([32]byte{8}), testKey} })
	equal(t, http.StatusOK, rotated.get("/", credential).StatusCode)
	refused(t, rotated.get("/other", credential), http.StatusPaymentRequired, "payment_required", "wrong_resource")
	minted := rotated.pay(t, rotated.get("/"))
	equal(t, http.StatusOK, rotated.get("/", minted).StatusCode)
	gone := open(t, func(c *gate.Config) { c.Key = newKey })
	refused(t, gone.get("/", credential), http.StatusUnauthorized, "invalid_token", "bad_signature")
	equal(t, http.StatusOK, gone.get("/", minted).StatusCode)
}

func TestServicesAndCapabilities(t *testing.T) {
	t.Parallel()
	weather := open(t, func(c *gate.Config) {
		c.Service, c.Capabilities = "weather", []string{"read", "write"}
		c.Capability = func(r *http.Request) string { return r.URL.Query().Get("do") }
	})
	credential := weather.pay(t, weather.get("/?do=read"))
	equal(t, "weather_capabilities=read,write", credential.Macaroon.Caveats[4].String())
	for _, target := range []string{"/?do=read", "/?do=write", "/"} {
		equal(t, http.StatusOK, weather.get(target, credential).StatusCode)
	}
	narrow := &l402.Credential{Macaroon: credential.Macaroon.Attenuate(l402.Capabilities("weather", "read")), Preimage: credential.Preimage}
	equal(t, http.StatusOK, weather.get("/?do=read", narrow).StatusCode)
	refused(t, weather.get("/?do=write", narrow), http.StatusPaymentRequired, "payment_required", "wrong_capability")
	// No token of this gate would open it: none is sold.
	made := len(weather.charges())
	refused(t, weather.get("/?do=delete"), http.StatusInternalServerError, "internal_error", "")
	equal(t, made, len(weather.charges()))
	news := open(t, func(c *gate.Config) { c.Service = "news" })
	refused(t, news.get("/", credential), http.StatusPaymentRequired, "payment_required", "wrong_service")
}

func TestTheResourceIsWhatTheClientAskedFor(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/":                     "GET /",
		"/a/../b//c?x=1":        "GET /a/../b//c",
		"/a%2Fb/%E2%82%AC#part": "GET /a%2Fb/%E2%82%AC#part",
		"http://host/a?b":       "GET /a",
		"http://host?/a":        "GET /",
		"http://host?b=http://": "GET /",
		"http://host":           "GET /",
		"/to?next=http://x/y":   "GET /to",
		"/to/http://x/y":        "GET /to/http://x/y",
	} {
		b := open(t, nil)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RequestURI = target
		b.do(r)
		equal(t, want, b.charges()[0].Description)
	}
	b := open(t, nil)
	r := httptest.NewRequest(http.MethodGet, "/a%2Fb?c", nil)
	r.RequestURI = ""
	b.do(r)
	// A mux that takes a prefix off does not make one resource of two.
	b.handler = http.StripPrefix("/v1", b.handler)
	b.get("/v1/a")
	equal(t, []string{"GET /a%2Fb", "GET /v1/a"}, []string{b.charges()[0].Description, b.charges()[1].Description})
}

// Two requests that a handler tells apart by their path are two resources, however
// odd their first line is.
func TestATokenOpensNoOtherPath(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/a#b", "http://host?/a", "http://host?c=/a", "/?/a"} {
		parsed, err := url.ParseRequestURI(target)
		noError(t, err)
		if parsed.Path == "/a" {
			t.Fatal(target, " is /a")
		}
		b := open(t, nil)
		r := request(http.MethodGet, "/", b.pay(t, b.get("/a")))
		r.RequestURI, r.URL = target, parsed
		refused(t, b.do(r), http.StatusPaymentRequired, "payment_required", "wrong_resource")
	}
}

func TestWhatIsLongOrNoText(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	long := "/" + strings.Repeat("é", 400)
	r := request(http.MethodGet, "/")
	r.RequestURI = long
	answer := b.do(r)
	credential := b.pay(t, answer)
	params := b.charges()[0]
	equal(t, 639, len(params.Description))
	equal(t, 499, len(params.Metadata["l402_resource"]))
	r = request(http.MethodGet, "/", credential)
	r.RequestURI = long
	equal(t, http.StatusOK, b.do(r).StatusCode)
	r.RequestURI = long[:601]
	refused(t, b.do(r), http.StatusPaymentRequired, "payment_required", "wrong_resource")
	refused(t, b.get("/"+strings.Repeat("a", 1024)), http.StatusRequestURITooLong, "invalid_request", "")
	equal(t, 2, len(b.charges()))
	equal(t, "", b.log.String())
}

func TestNoInvoiceCanBeMade(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		create func(context.Context) error
		after  string
	}{
		"LNTPay is away": {func(context.Context) error { return errTest }, "1"},
		"LNTPay is busy": {func(context.Context) error {
			return &lntpay.Error{Code: lntpay.ErrRateLimited, RetryAfter: 7 * time.Second}
		}, "7"},
		"LNTPay is confused": {func(context.Context) error { return &lntpay.Error{Code: lntpay.ErrInternal, Status: 500} }, "1"},
		"LNTPay is slow": {func(ctx context.Context) error {
			<-ctx.Done()

			return ctx.Err()
		}, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := open(t, nil)
				b.create = test.create
				began := time.Now()
				answer := b.get("/")
				refused(t, answer, http.StatusServiceUnavailable, "service_unavailable", "")
				equal(t, test.after, answer.Header.Get("Retry-After"))
				if time.Since(began) > 5*time.Second || b.log.Len() == 0 {
					t.Fatal(time.Since(began), b.log)
				}
			})
		})
	}
}

// What a token opens does not need LNTPay.
func TestATokenIsJudgedOffline(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	credential := b.pay(t, b.get("/"))
	b.create = func(context.Context) error { return errTest }
	equal(t, http.StatusOK, b.get("/", credential).StatusCode)
}

// A charge that a client does not wait for is given up, and nothing is logged.
// A client that leaves makes no place for another charge before LNTPay is done
// with its own.
func TestAClientThatLeaves(t *testing.T) {
	t.Parallel()
	b := open(t, func(c *gate.Config) { c.MaxMinting = 1 })
	ctx, leave := context.WithCancel(t.Context())
	entered, made := make(chan struct{}), make(chan struct{})
	b.create = func(ctx context.Context) error {
		leave()
		close(entered)
		<-made

		return ctx.Err()
	}
	answered := make(chan *http.Response)
	go func() { answered <- b.do(request(http.MethodGet, "/").WithContext(ctx)) }()
	<-entered
	refused(t, b.get("/"), http.StatusServiceUnavailable, "service_unavailable", "")
	close(made)
	refused(t, <-answered, http.StatusPaymentRequired, "payment_required", "")
	equal(t, "", b.log.String())
}

func TestAtMostSoManyChargesAreInTheMaking(t *testing.T) {
	t.Parallel()
	b := open(t, func(c *gate.Config) { c.MaxMinting = 2 })
	entered, leave := make(chan struct{}), make(chan struct{})
	b.create = func(context.Context) error {
		entered <- struct{}{}
		<-leave

		return nil
	}
	answers := make(chan *http.Response)
	for range 2 {
		go func() { answers <- b.get("/") }()
		<-entered
	}
	answer := b.get("/")
	refused(t, answer, http.StatusServiceUnavailable, "service_unavailable", "")
	equal(t, "1", answer.Header.Get("Retry-After"))
	close(leave)
	for range 2 {
		refused(t, <-answers, http.StatusPaymentRequired, "payment_required", "")
	}
	b.create = nil
	refused(t, b.get("/"), http.StatusPaymentRequired, "payment_required", "")
}

// Not even what goes wrong puts a token into the log.
func TestTheLogHasNoTokens(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	credential := b.pay(t, b.get("/"))
	b.create = func(context.Context) error { return errTest }
	refused(t, b.get("/other", credential), http.StatusServiceUnavailable, "service_unavailable", "")
	log := b.log.String()
	for _, secret := range []string{credential.Macaroon.String(), hex.EncodeToString(credential.Preimage[:])} {
		if log == "" || strings.Contains(log, secret) {
			t.Fatal(log)
		}
	}
}

func TestWhatIsNoGate(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*gate.Config){
		"no charges":                 func(c *gate.Config) { c.Charges = nil },
		"no key":                     func(c *gate.Config) { c.Key = l402.Key{} },
		"an old key that is none":    func(c *gate.Config) { c.OldKeys = []l402.Key{{}} },
		"no price":                   func(c *gate.Config) { c.Price = nil },
		"a service that is a list":   func(c *gate.Config) { c.Service = "a,b" },
		"a service with a tier":      func(c *gate.Config) { c.Service = "a:0" },
		"a long service":             func(c *gate.Config) { c.Service = strings.Repeat("a", 65) },
		"a capability that is none":  func(c *gate.Config) { c.Capabilities = []string{"read", ""} },
		"a moment":                   func(c *gate.Config) { c.Lifetime = 59 * time.Second },
		"a negative lifetime":        func(c *gate.Config) { c.Lifetime = -time.Hour },
		"invoices beyond the tokens": func(c *gate.Config) { c.Lifetime, c.InvoiceExpiry = time.Hour, 2*time.Hour },
		"invoices of a moment":       func(c *gate.Config) { c.InvoiceExpiry = time.Second },
		"invoices for a month":       func(c *gate.Config) { c.Lifetime, c.InvoiceExpiry = 9000*time.Hour, 720*time.Hour },
		"nothing at a time":          func(c *gate.Config) { c.MaxMinting = -1 },
	} {
		config := gate.Config{Charges: &till{}, Key: testKey, Price: gate.Fixed(1)}
		change(&config)
		if _, err := gate.New(config); err == nil || !strings.HasPrefix(err.Error(), "gate: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
