package l402_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lntpay/lntpay/sdk/go/l402"
)

func fuzzedMacaroon(f *testing.F) *l402.Macaroon {
	f.Helper()
	macaroon, err := testKey.Mint(testCharge, paymentHash(), caveats()...)
	if err != nil {
		f.Fatal(err)
	}

	return macaroon
}

// FuzzFromHeader: what comes from outside is read or refused, what is read is
// written as the same token, and only what was minted is good.
func FuzzFromHeader(f *testing.F) {
	macaroon := fuzzedMacaroon(f)
	token, secret := macaroon.String(), hex.EncodeToString(preimage[:])
	f.Add((&l402.Credential{Macaroon: macaroon, Preimage: preimage}).String(), "")
	f.Add("LSAT AgEE:"+strings.Repeat("0", 64), macaroon.Hex())
	f.Add("l402 "+token+","+token+":"+strings.ToUpper(secret), macaroon.Attenuate(l402.Caveat{Condition: "preimage", Value: secret}).Hex())
	f.Add("L402 "+strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(token)+":"+secret, "zz")
	f.Add("Bearer x", "")
	f.Add("L402", "02")
	f.Fuzz(func(t *testing.T, authorization, inHex string) {
		header := http.Header{}
		if authorization != "" {
			header["Authorization"] = []string{authorization}
		}
		if inHex != "" {
			header["Macaroon"] = []string{inHex}
		}
		found, err := l402.FromHeader(header)
		if (err == nil) != (len(found) > 0) || len(found) > 5 {
			t.Fatal(found, err)
		}
		if err != nil && !errors.Is(err, l402.ErrNoCredential) && !errors.Is(err, l402.ErrMalformed) {
			t.Fatal(err)
		}
		for _, credential := range found {
			again, err := l402.ParseAuthorization(credential.String())
			if err != nil || len(again) != 1 || again[0].String() != credential.String() {
				t.Fatal(again, err)
			}
			err = testKey.Verify(credential, request())
			if err == nil && (credential.Macaroon.ID != macaroon.ID || !startsWith(credential.Macaroon.Caveats, macaroon.Caveats)) {
				t.Fatal("forged")
			}
			var reason l402.Reason
			if err != nil && !errors.As(err, &reason) {
				t.Fatal(err)
			}
		}
	})
}

func startsWith(all, first []l402.Caveat) bool {
	return len(all) >= len(first) && slices.Equal(all[:len(first)], first)
}

// FuzzMacaroon: the binary form has one reading, and what is read is written as
// it was, but for lengths that are longer than they need be.
func FuzzMacaroon(f *testing.F) {
	macaroon := fuzzedMacaroon(f)
	raw, err := base64.StdEncoding.DecodeString(macaroon.String())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)-1])
	f.Add(append(slices.Clone(raw), 0))
	f.Add([]byte{2})
	f.Add(slices.Concat([]byte{2, 1, 1, 'x'}, raw[1:]))
	f.Fuzz(func(t *testing.T, raw []byte) {
		read, err := l402.ParseMacaroon(base64.StdEncoding.EncodeToString(raw))
		urlRead, urlErr := l402.ParseMacaroon(base64.RawURLEncoding.EncodeToString(raw))
		if (err == nil) != (urlErr == nil) {
			t.Fatal(err, urlErr)
		}
		if err != nil {
			return
		}
		if read.String() != urlRead.String() {
			t.Fatal("the alphabet changes the token")
		}
		again, err := l402.ParseMacaroon(read.String())
		if err != nil || again.String() != read.String() || again.Location != read.Location || again.ID != read.ID || !slices.Equal(again.Caveats, read.Caveats) {
			t.Fatal(again, err)
		}
		if len(read.Caveats) > l402.MaxCaveats || len(raw) > l402.MaxMacaroonBytes+2 {
			t.Fatal("beyond the limits")
		}
		err = testKey.Verify(&l402.Credential{Macaroon: read, Preimage: preimage}, request())
		if err == nil && (read.ID != macaroon.ID || !startsWith(read.Caveats, macaroon.Caveats)) {
			t.Fatal("forged")
		}
	})
}

// FuzzTampered: with one bit changed a token is none, whatever it is changed
// to, unless only its hint at who minted it changes, which is not signed.
func FuzzTampered(f *testing.F) {
	f.Add(uint16(0), uint8(0), "city=Berlin")
	f.Add(uint16(40), uint8(3), "=")
	f.Add(uint16(1000), uint8(7), "weather_amount_msat=1")
	macaroon := fuzzedMacaroon(f)
	f.Fuzz(func(t *testing.T, at uint16, bit uint8, caveat string) {
		narrowed := macaroon
		if parsed, ok := l402.ParseCaveat(caveat); ok {
			narrowed = macaroon.Attenuate(parsed)
		}
		raw, err := base64.StdEncoding.DecodeString(narrowed.String())
		if err != nil {
			t.Fatal(err)
		}
		raw[int(at)%len(raw)] ^= 1 << (bit % 8)
		read, err := l402.ParseMacaroon(base64.StdEncoding.EncodeToString(raw))
		if err != nil {
			return
		}
		if err := testKey.Verify(&l402.Credential{Macaroon: read, Preimage: preimage}, request()); !errors.Is(err, l402.ErrBadSignature) {
			t.Fatal(err)
		}
	})
}

// FuzzAttenuate: nothing that a holder can add makes a token good for what it
// was not good for.
func FuzzAttenuate(f *testing.F) {
	for _, caveat := range []string{
		"services=weather:0,news:0", "services=", "services=weather:1", "weather_resource=GET /admin", "weather_valid_until=9999999999", "weather_valid_until=+1800000001",
		"weather_amount_msat=0x1", "weather_amount_msat=-1", "weather_capabilities=add,, add", "preimage=", "colour=blue", "=", "weather_amount_msat= 21000", "", "news_amount_msat=1",
	} {
		f.Add(caveat, "weather_resource=GET /forecast", "weather", "GET /forecast", "add", int64(21_000), int64(0))
		f.Add(caveat, caveat, "news", "GET /admin", "", int64(1), int64(3600))
	}
	f.Fuzz(func(t *testing.T, first, second, service, resource, capability string, amount, seconds int64) {
		asked := l402.Request{
			Service: service, NeedService: amount%2 == 0, Resource: resource, Capability: capability, AmountMsat: amount, Now: now.Add(time.Duration(seconds%7200) * time.Second),
		}
		all := caveats()
		token := minted(t, all...)
		before := testKey.Verify(&l402.Credential{Macaroon: token, Preimage: preimage}, asked)
		for _, text := range []string{first, second} {
			caveat, ok := l402.ParseCaveat(text)
			if !ok {
				caveat = l402.Caveat{Value: text}
			}
			if caveat.String() != text {
				t.Fatalf("%q is written %q", text, caveat)
			}
			all = append(all, caveat)
			token = token.Attenuate(caveat)
		}
		after := testKey.Verify(&l402.Credential{Macaroon: token, Preimage: preimage}, asked)
		if errors.Is(after, l402.ErrBadSignature) {
			t.Fatal("anybody may narrow a token")
		}
		// A caveat that the token had not is a new condition, which may be that
		// of another service or one that was missing.
		if before != nil && after == nil && !errors.Is(before, l402.ErrWrongResource) && !errors.Is(before, l402.ErrWrongService) && !errors.Is(before, l402.ErrUnderpaid) {
			t.Fatalf("%v, and nothing after %q", before, all)
		}
		if service == testService && before != nil && after == nil {
			t.Fatalf("%v, and nothing after %q", before, all)
		}
		read, err := l402.ParseMacaroon(token.String())
		if err == nil && !slices.Equal(read.Caveats, all) {
			t.Fatalf("%q is read as %q", all, read.Caveats)
		}
	})
}

// FuzzChallenge: a challenge is found among an answer's headers, and what is
// found is what was offered.
func FuzzChallenge(f *testing.F) {
	macaroon := fuzzedMacaroon(f)
	f.Add(l402.Challenge{Macaroon: macaroon, Invoice: "lnbcrt1invoice"}.String(), "lnbcrt1invoice")
	f.Add(`LSAT macaroon="AgEE", invoice="x"`, "")
	f.Add(`Bearer realm="L402 macaroon="`, "a\"b")
	f.Add(`L402 invoice="a", invoice="b", token="`+macaroon.String()+`"`, "x")
	f.Fuzz(func(t *testing.T, value, invoice string) {
		read, err := l402.ParseChallenge(http.Header{"Www-Authenticate": {value}})
		if err == nil {
			again, err := l402.ParseChallenge(http.Header{"Www-Authenticate": {read.String()}})
			if err != nil || again.String() != read.String() {
				t.Fatal(again, err)
			}
		}
		header := http.Header{"Www-Authenticate": {`Bearer realm="x"`}}
		l402.Challenge{Macaroon: macaroon, Invoice: invoice}.SetHeader(header)
		read, err = l402.ParseChallenge(header)
		if invoice == "" || strings.Contains(invoice, `"`) {
			return // No invoice is so.
		}
		if err != nil || read.Invoice != invoice || read.Macaroon.String() != macaroon.String() {
			t.Fatal(read, err)
		}
	})
}

// FuzzKey: a secret is read from hex, or not at all.
func FuzzKey(f *testing.F) {
	f.Add(strings.Repeat("ab", 32), testCharge, paymentHash())
	f.Add(" "+strings.Repeat("AB", 32)+"\n", "ch_7zzzzzzzzzzzzzzzzzzzzzzzzz", strings.ToUpper(paymentHash()))
	f.Add("", "ch_8zzzzzzzzzzzzzzzzzzzzzzzzz", "")
	f.Fuzz(func(t *testing.T, key, chargeID, hash string) {
		secret, err := l402.ParseKey(key)
		raw, notHex := hex.DecodeString(strings.TrimSpace(key))
		if (err == nil) != (notHex == nil && len(raw) == 32) {
			t.Fatal(err, notHex)
		}
		_, preimageErr := l402.ParsePreimage(hash)
		raw, notHex = hex.DecodeString(hash)
		if (preimageErr == nil) != (notHex == nil && len(raw) == 32) {
			t.Fatal(preimageErr, notHex)
		}
		token, mintErr := secret.Mint(chargeID, hash)
		if mintErr != nil {
			return
		}
		if token.ID.ChargeID() != chargeID || hex.EncodeToString(token.ID.PaymentHash[:]) != strings.ToLower(hash) {
			t.Fatal("another charge")
		}
		read, err := l402.ParseMacaroon(token.String())
		if err != nil || read.ID != token.ID {
			t.Fatal(read, err)
		}
	})
}
