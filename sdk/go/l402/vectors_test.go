package l402_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/lntpay/lntpay/sdk/go/l402"
)

// vectorsFile is shared with the JavaScript SDK: tokens of one are those of
// the other.
const vectorsFile = "../../testdata/l402.json"

var update = flag.Bool("update", false, "write "+vectorsFile+" anew")

type vectors struct {
	Key         string   `json:"key"`
	ChargeID    string   `json:"charge_id"`
	PaymentHash string   `json:"payment_hash"`
	Preimage    string   `json:"preimage"`
	Caveats     []string `json:"caveats"`
	Macaroon    string   `json:"macaroon"`
	Invoice     string   `json:"invoice"`
	Challenge   string   `json:"www_authenticate"`
	// Cases are requests for service, priced amount_msat, at now.
	Cases []vector `json:"cases"`
}

type vector struct {
	Name          string `json:"name"`
	Authorization string `json:"authorization"`
	Service       string `json:"service"`
	Resource      string `json:"resource"`
	AmountMsat    int64  `json:"amount_msat"`
	Now           int64  `json:"now"`
	// Reason is empty when the token is good.
	Reason string `json:"reason"`
}

func newVectors(t *testing.T) vectors {
	t.Helper()
	macaroon := minted(t, caveats()...)
	credential := func(m *l402.Macaroon) string { return (&l402.Credential{Macaroon: m, Preimage: preimage}).String() }
	forged, err := l402.NewKey([32]byte{7}).Mint(testCharge, paymentHash(), caveats()...)
	if err != nil {
		t.Fatal(err)
	}
	widen := func(caveat l402.Caveat) string { return credential(macaroon.Attenuate(caveat)) }
	good := vector{"as minted", credential(macaroon), testService, testResource, 21_000, now.Unix(), ""}
	v := vectors{
		Key:      "0102030000000000000000000000000000000000000000000000000000000000",
		ChargeID: testCharge, PaymentHash: paymentHash(),
		Preimage: "0405060000000000000000000000000000000000000000000000000000000000",
		Macaroon: macaroon.String(), Invoice: "lnbcrt210n1invoice",
		Challenge: l402.Challenge{Macaroon: macaroon, Invoice: "lnbcrt210n1invoice"}.String(),
		Cases:     []vector{good},
	}
	for _, caveat := range caveats() {
		v.Caveats = append(v.Caveats, caveat.String())
	}
	add := func(name, reason string, change func(*vector)) {
		changed := good
		changed.Name, changed.Reason = name, reason
		change(&changed)
		v.Cases = append(v.Cases, changed)
	}
	with := func(authorization string) func(*vector) {
		return func(c *vector) { c.Authorization = authorization }
	}
	add("former name of the scheme", "", with("LSAT"+good.Authorization[4:]))
	add("narrowed", "", with(widen(l402.ValidUntil(testService, now.Add(time.Minute)))))
	add("unknown caveat", "", with(widen(l402.Caveat{Condition: "colour", Value: "blue"})))
	add("cheaper", "", func(c *vector) { c.AmountMsat = 1000 })
	add("dearer", "underpaid", func(c *vector) { c.AmountMsat = 21_001 })
	add("other resource", "wrong_resource", func(c *vector) { c.Resource = "GET /admin" })
	add("other service", "wrong_service", func(c *vector) { c.Service = "news" })
	add("late", "expired", func(c *vector) { c.Now += 3600 })
	add("widened in time", "widened", with(widen(l402.ValidUntil(testService, now.Add(2*time.Hour)))))
	add("widened in amount", "widened", with(widen(l402.Amount(testService, 1_000_000))))
	add("widened to a resource", "widened", with(widen(l402.Resource(testService, "GET /admin"))))
	add("widened to a service", "widened", with(widen(l402.Services(testService, "news"))))
	add("of another key", "bad_signature", with(credential(forged)))
	add("wrong preimage", "wrong_preimage", with((&l402.Credential{Macaroon: macaroon, Preimage: l402.Preimage{9}}).String()))
	add("no preimage", "malformed", with("L402 "+macaroon.String()))
	add("not base64", "malformed", with("L402 %%%:"+v.Preimage))

	return v
}

// Both SDKs mint and judge as the committed vectors say.
func TestVectors(t *testing.T) {
	t.Parallel()
	want, err := json.MarshalIndent(newVectors(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(vectorsFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Fatal("sdk/testdata/l402.json is not what this code mints (write it anew by -update)")
	}
	for _, c := range newVectors(t).Cases {
		asked := l402.Request{
			Service: c.Service, NeedService: true, Resource: c.Resource, AmountMsat: c.AmountMsat, Now: time.Unix(c.Now, 0),
		}
		credentials, err := l402.ParseAuthorization(c.Authorization)
		if err == nil {
			err = testKey.Verify(credentials[0], asked)
		}
		if want := l402.Reason(c.Reason); (want == "") != (err == nil) || (want != "" && !errors.Is(err, want)) {
			t.Errorf("%s: got %v, want %q", c.Name, err, c.Reason)
		}
	}
}
