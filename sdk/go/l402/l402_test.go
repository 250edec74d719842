package l402_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lntpay/lntpay/sdk/go/l402"
)

const (
	testCharge   = "ch_01m829m1ezf6p8497reqzrs9mv"
	testService  = "weather"
	testResource = "GET /forecast"
)

var (
	testKey  = l402.NewKey([32]byte{1, 2, 3})
	preimage = l402.Preimage{4, 5, 6}
	now      = time.Unix(1_800_000_000, 0)
)

func paymentHash() string {
	hash := sha256.Sum256(preimage[:])

	return hex.EncodeToString(hash[:])
}

func caveats() []l402.Caveat {
	return []l402.Caveat{
		l402.Services(testService), l402.Resource(testService, testResource),
		l402.ValidUntil(testService, now.Add(time.Hour)), l402.Amount(testService, 21_000),
	}
}

func request() l402.Request {
	return l402.Request{
		Service: testService, NeedService: true, Resource: testResource, AmountMsat: 21_000, Now: now,
	}
}

func minted(t *testing.T, caveats ...l402.Caveat) *l402.Macaroon {
	t.Helper()
	macaroon, err := testKey.Mint(testCharge, paymentHash(), caveats...)
	if err != nil {
		t.Fatal(err)
	}

	return macaroon
}

func TestATokenIsReadBackAsItWasMinted(t *testing.T) {
	t.Parallel()
	macaroon := minted(t, caveats()...)
	header := http.Header{"Authorization": {(&l402.Credential{Macaroon: macaroon, Preimage: preimage}).String()}}
	credentials, err := l402.FromHeader(header)
	if err != nil || len(credentials) != 1 {
		t.Fatal(credentials, err)
	}
	if err := testKey.Verify(credentials[0], request()); err != nil {
		t.Fatal(err)
	}
	if got := credentials[0].Macaroon.ID.ChargeID(); got != testCharge {
		t.Fatalf("the charge is %s", got)
	}
}

func TestWhatATokenIsGoodFor(t *testing.T) {
	t.Parallel()
	attenuate := func(caveats ...l402.Caveat) func(*l402.Credential, *l402.Request) {
		return func(c *l402.Credential, _ *l402.Request) { c.Macaroon = c.Macaroon.Attenuate(caveats...) }
	}
	asked := func(change func(*l402.Request)) func(*l402.Credential, *l402.Request) {
		return func(_ *l402.Credential, r *l402.Request) { change(r) }
	}
	for name, test := range map[string]struct {
		change func(*l402.Credential, *l402.Request)
		want   error
	}{
		"as minted":           {func(*l402.Credential, *l402.Request) {}, nil},
		"cheaper":             {asked(func(r *l402.Request) { r.AmountMsat = 1 }), nil},
		"dearer":              {asked(func(r *l402.Request) { r.AmountMsat = 21_001 }), l402.ErrUnderpaid},
		"other resource":      {asked(func(r *l402.Request) { r.Resource = "GET /admin" }), l402.ErrWrongResource},
		"other service":       {asked(func(r *l402.Request) { r.Service = "news" }), l402.ErrWrongService},
		"at the end":          {asked(func(r *l402.Request) { r.Now = now.Add(time.Hour) }), l402.ErrExpired},
		"the last second":     {asked(func(r *l402.Request) { r.Now = now.Add(time.Hour - time.Second) }), nil},
		"wrong preimage":      {func(c *l402.Credential, _ *l402.Request) { c.Preimage[0]++ }, l402.ErrWrongPreimage},
		"narrowed in time":    {attenuate(l402.ValidUntil(testService, now.Add(time.Minute))), nil},
		"narrowed to nothing": {attenuate(l402.ValidUntil(testService, now)), l402.ErrExpired},
		"later end":           {attenuate(l402.ValidUntil(testService, now.Add(2*time.Hour))), l402.ErrWidened},
		"higher amount":       {attenuate(l402.Amount(testService, 1_000_000)), l402.ErrWidened},
		"another resource":    {attenuate(l402.Resource(testService, "GET /admin")), l402.ErrWidened},
		"more services":       {attenuate(l402.Services(testService, "news")), l402.ErrWidened},
		"same services":       {attenuate(l402.Services(testService)), nil},
		"no number":           {attenuate(l402.Caveat{Condition: testService + "_valid_until", Value: "never"}), l402.ErrWidened},
		"unknown caveat":      {attenuate(l402.Caveat{Condition: "colour", Value: "blue"}), nil},
		"no caveat":           {attenuate(l402.Caveat{Value: "just text"}), nil},
		"its preimage":        {attenuate(l402.Caveat{Condition: "preimage", Value: hex.EncodeToString(preimage[:])}), nil},
		"another's preimage":  {attenuate(l402.Caveat{Condition: "preimage", Value: strings.Repeat("0", 64)}), l402.ErrWrongPreimage},
		"capability":          {asked(func(r *l402.Request) { r.Capability = "add" }), nil},
		"changed caveat": {func(c *l402.Credential, _ *l402.Request) {
			c.Macaroon.Caveats = append([]l402.Caveat{}, c.Macaroon.Caveats...)
			c.Macaroon.Caveats[1].Value = "GET /admin"
		}, l402.ErrBadSignature},
		"removed caveat": {func(c *l402.Credential, _ *l402.Request) { c.Macaroon.Caveats = c.Macaroon.Caveats[:3] }, l402.ErrBadSignature},
		"another payment": {func(c *l402.Credential, _ *l402.Request) {
			c.Preimage = l402.Preimage{9}
			c.Macaroon.ID.PaymentHash = sha256.Sum256(c.Preimage[:])
		}, l402.ErrBadSignature},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			credential, asked := &l402.Credential{Macaroon: minted(t, caveats()...), Preimage: preimage}, request()
			test.change(credential, &asked)
			if err := testKey.Verify(credential, asked); !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestACapabilityMustBeAmongThoseOfTheToken(t *testing.T) {
	t.Parallel()
	credential := &l402.Credential{
		Macaroon: minted(t, append(caveats(), l402.Capabilities(testService, "add", "subtract"))...), Preimage: preimage,
	}
	asked := request()
	for capability, want := range map[string]error{"add": nil, "subtract": nil, "divide": l402.ErrWrongCapability} {
		asked.Capability = capability
		if err := testKey.Verify(credential, asked); !errors.Is(err, want) {
			t.Fatalf("%s: got %v, want %v", capability, err, want)
		}
	}
}

// A token that lacks a caveat is not one of this use of the key.
func TestRequiredCaveats(t *testing.T) {
	t.Parallel()
	for i, want := range []error{l402.ErrWrongService, l402.ErrWrongResource, nil, l402.ErrUnderpaid} {
		some := slices.Delete(caveats(), i, i+1)
		credential := &l402.Credential{Macaroon: minted(t, some...), Preimage: preimage}
		if err := testKey.Verify(credential, request()); !errors.Is(err, want) {
			t.Errorf("without %s: got %v, want %v", caveats()[i], err, want)
		}
	}
}

func TestAnotherKeyMintsForgeries(t *testing.T) {
	t.Parallel()
	forged, err := l402.NewKey([32]byte{7}).Mint(testCharge, paymentHash(), caveats()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := testKey.Verify(&l402.Credential{Macaroon: forged, Preimage: preimage}, request()); !errors.Is(err, l402.ErrBadSignature) {
		t.Fatal(err)
	}
}

func TestWhereCredentialsAreFound(t *testing.T) {
	t.Parallel()
	macaroon := minted(t, caveats()...)
	token, secret := macaroon.String(), hex.EncodeToString(preimage[:])
	paid := macaroon.Attenuate(l402.Caveat{Condition: "preimage", Value: secret})
	urlSafe := strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(token)
	for name, test := range map[string]struct {
		header http.Header
		found  int
		err    error
	}{
		"none":              {http.Header{}, 0, l402.ErrNoCredential},
		"another scheme":    {http.Header{"Authorization": {"Bearer abc"}}, 0, l402.ErrNoCredential},
		"L402":              {http.Header{"Authorization": {"L402 " + token + ":" + secret}}, 1, nil},
		"lower case":        {http.Header{"Authorization": {"l402 " + token + ":" + strings.ToUpper(secret)}}, 1, nil},
		"LSAT":              {http.Header{"Authorization": {"LSAT " + token + ":" + secret}}, 1, nil},
		"URL alphabet":      {http.Header{"Authorization": {"L402 " + urlSafe + ":" + secret}}, 1, nil},
		"both, as Aperture": {http.Header{"Authorization": {"LSAT " + token + ":" + secret, "L402 " + token + ":" + secret}}, 2, nil},
		"two macaroons":     {http.Header{"Authorization": {"L402 " + token + "," + token + ":" + secret}}, 2, nil},
		"too many":          {http.Header{"Authorization": {"L402 " + strings.Repeat(token+",", 9) + token + ":" + secret}}, 4, nil},
		"gRPC":              {http.Header{"Macaroon": {paid.Hex()}}, 1, nil},
		"gRPC over REST":    {http.Header{"Grpc-Metadata-Macaroon": {paid.Hex()}}, 1, nil},
		"gRPC, not paid":    {http.Header{"Macaroon": {macaroon.Hex()}}, 0, l402.ErrMalformed},
		"no preimage":       {http.Header{"Authorization": {"L402 " + token}}, 0, l402.ErrMalformed},
		"short preimage":    {http.Header{"Authorization": {"L402 " + token + ":ab"}}, 0, l402.ErrMalformed},
		"not base64":        {http.Header{"Authorization": {"L402 %%%:" + secret}}, 0, l402.ErrMalformed},
		"cut off":           {http.Header{"Authorization": {"L402 " + token[:40] + ":" + secret}}, 0, l402.ErrMalformed},
		"empty":             {http.Header{"Authorization": {"L402 :" + secret}}, 0, l402.ErrMalformed},
		"too long":          {http.Header{"Authorization": {"L402 " + strings.Repeat("A", 20_000) + ":" + secret}}, 0, l402.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := l402.FromHeader(test.header)
			if !errors.Is(err, test.err) || len(found) != test.found {
				t.Fatalf("got %d and %v", len(found), err)
			}
			for _, credential := range found {
				if err := testKey.Verify(credential, request()); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestAChallengeIsReadBack(t *testing.T) {
	t.Parallel()
	macaroon := minted(t, caveats()...)
	header := http.Header{}
	l402.Challenge{Macaroon: macaroon, Invoice: "lnbcrt1invoice"}.SetHeader(header)
	want := fmt.Sprintf(`L402 version="0", token="%[1]s", macaroon="%[1]s", invoice="lnbcrt1invoice"`, macaroon)
	if got := header.Get("WWW-Authenticate"); got != want {
		t.Fatalf("got %s", got)
	}
	for _, form := range []string{want, header.Values("WWW-Authenticate")[1], `l402 token="` + macaroon.String() + `",invoice="lnbcrt1invoice"`} {
		challenge, err := l402.ParseChallenge(http.Header{"Www-Authenticate": {form}})
		if err != nil || challenge.Macaroon.String() != macaroon.String() || challenge.Invoice != "lnbcrt1invoice" {
			t.Fatal(form, challenge, err)
		}
	}
	if _, err := l402.ParseChallenge(http.Header{"Www-Authenticate": {`Bearer realm="x"`, `L402 token="!"`}}); err == nil {
		t.Fatal("read a challenge that is none")
	}
}

func TestWhatCannotBeMinted(t *testing.T) {
	t.Parallel()
	for name, mint := range map[string]func() error{
		"a withdrawal": func() error { _, err := testKey.Mint("wd_01m829m1ezf6p8497reqzrs9mv", paymentHash()); return err },
		"no id":        func() error { _, err := testKey.Mint("", paymentHash()); return err },
		"beyond 128 bits": func() error {
			_, err := testKey.Mint("ch_z1m829m1ezf6p8497reqzrs9mv", paymentHash())

			return err
		},
		"no hash":   func() error { _, err := testKey.Mint(testCharge, "ab"); return err },
		"long hash": func() error { _, err := testKey.Mint(testCharge, paymentHash()+"ab"); return err },
		"long": func() error {
			_, err := testKey.Mint(testCharge, paymentHash(), l402.Resource("s", strings.Repeat("x", 9000)))
			return err
		},
		"many caveats": func() error {
			_, err := testKey.Mint(testCharge, paymentHash(), make([]l402.Caveat, 65)...)
			return err
		},
	} {
		if mint() == nil {
			t.Errorf("%s was minted", name)
		}
	}
}

func TestKeysAreHexAndSecret(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("ab", 32)
	key, err := l402.ParseKey(secret + "\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(key), fmt.Sprintf("%v %+v %#v %s", key, key, key, key)} {
		if strings.Contains(text, "ab") || strings.Contains(text, "171") {
			t.Fatalf("the key is in %q", text)
		}
	}
	for _, bad := range []string{"", "ab", strings.Repeat("zz", 32)} {
		if _, err := l402.ParseKey(bad); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
}
