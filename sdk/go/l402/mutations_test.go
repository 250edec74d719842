package l402_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/lntpay/lntpay/sdk/go/l402"
)

// mutationsFile holds tokens that were changed at random, and what they are
// worth: both SDKs must judge them alike.
const mutationsFile = "../../testdata/l402_mutations.json"

const mutationsCount = 250

type mutation struct {
	Authorization string `json:"authorization"`
	// Reason is empty when the token is good.
	Reason string `json:"reason"`
}

// newMutations are made by a seed, so that they are the same each time.
func newMutations(t *testing.T) []mutation {
	t.Helper()
	random := rand.New(rand.NewPCG(402, 1))
	texts := []string{
		"weather_valid_until=+1800000001", "weather_valid_until=1800000001 ", "weather_amount_msat=-0", "weather_amount_msat=00021000", "weather_amount_msat=9223372036854775807",
		"weather_amount_msat=0x1", "services=", "services=weather", "services= weather:7 ,weather", "services=weather:0,,", "weather_capabilities=", "weather_resource=",
		"preimage=" + hex.EncodeToString(preimage[:]), "preimage=" + strings.Repeat("0", 64), "preimage=" + strings.Repeat("f", 64), "preimage=", "=", "==", "a", "\xff=\xfe", "weather_resource=GET /forecast", "é=ä",
	}
	all := make([]mutation, mutationsCount)
	for i := range all {
		token := minted(t, caveats()...)
		for range random.IntN(3) {
			caveat, ok := l402.ParseCaveat(texts[random.IntN(len(texts))])
			if !ok {
				caveat = l402.Caveat{Value: texts[random.IntN(len(texts))]}
			}
			token = token.Attenuate(caveat)
		}
		raw, err := base64.StdEncoding.DecodeString(token.String())
		if err != nil {
			t.Fatal(err)
		}
		raw = mutate(random, raw)
		scheme := []string{"L402 ", "LSAT ", "l402  "}[random.IntN(3)]
		encoding := []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding}[random.IntN(4)]
		all[i].Authorization = scheme + encoding.EncodeToString(raw) + ":" + hex.EncodeToString(preimage[:])
		all[i].Reason = reasonOf(t, all[i].Authorization)
	}

	return all
}

// mutate changes none, one or some bytes, or the length.
func mutate(random *rand.Rand, raw []byte) []byte {
	switch random.IntN(6) {
	case 0, 1:
	case 2:
		raw[random.IntN(len(raw))] ^= 1 << random.IntN(8)
	case 3:
		for range 1 + random.IntN(4) {
			raw[random.IntN(len(raw))] = byte(random.IntN(256))
		}
	case 4:
		raw = raw[:random.IntN(len(raw))]
	case 5:
		at := random.IntN(len(raw))
		raw = append(raw[:at:at], append([]byte{byte(random.IntN(8))}, raw[at:]...)...)
	}

	return raw
}

func reasonOf(t *testing.T, authorization string) string {
	t.Helper()
	credentials, err := l402.ParseAuthorization(authorization)
	if err == nil {
		err = testKey.Verify(credentials[0], request())
	}
	var reason l402.Reason
	if err != nil && !errors.As(err, &reason) {
		t.Fatal(err)
	}

	return string(reason)
}

// The JavaScript SDK has the same test.
func TestMutations(t *testing.T) {
	t.Parallel()
	all := newMutations(t)
	want, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(mutationsFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(mutationsFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Fatal("sdk/testdata/l402_mutations.json is not what this code judges (write it anew by -update)")
	}
	reasons := map[string]int{}
	for _, one := range all {
		reasons[one.Reason]++
	}
	for _, reason := range []string{"", "malformed", "bad_signature", "widened", "wrong_preimage"} {
		if reasons[reason] == 0 {
			t.Errorf("no token is %q: %v", reason, reasons)
		}
	}
}
