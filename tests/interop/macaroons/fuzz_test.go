package macaroons_test

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/macaroon.v2"

	"github.com/lntpay/lntpay/sdk/go/l402"
)

const charge = "ch_01m829m1ezf6p8497reqzrs9mv"

var (
	key  = l402.NewKey([32]byte{1, 2, 3})
	hash = strings.Repeat("ab", 32)
)

func minted(t testing.TB, caveats ...l402.Caveat) []byte {
	t.Helper()
	token, err := key.Mint(charge, hash, caveats...)
	require.NoError(t, err)

	return raw(t, token)
}

func raw(t testing.TB, token *l402.Macaroon) []byte {
	t.Helper()
	bytes, err := base64.StdEncoding.DecodeString(token.String())
	require.NoError(t, err)

	return bytes
}

// agree checks that both have read the same of a token.
func agree(t *testing.T, ours *l402.Macaroon, theirs *macaroon.Macaroon) {
	t.Helper()
	require.Equal(t, theirs.Location(), ours.Location)
	id := slices.Concat([]byte{0, 0}, ours.ID.PaymentHash[:], ours.ID.TokenID[:])
	require.Equal(t, theirs.Id(), id)
	require.Len(t, ours.Caveats, len(theirs.Caveats()))
	for i, caveat := range theirs.Caveats() {
		require.Equal(t, string(caveat.Id), ours.Caveats[i].String())
		require.Empty(t, caveat.VerificationId)
	}
	again, err := theirs.MarshalBinary()
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(again), hex.EncodeToString(raw(t, ours)), "written alike, the signature too")
}

// FuzzMacaroon: whatever sdk/go/l402 reads, the library reads as well, and as
// the same token.
func FuzzMacaroon(f *testing.F) {
	plain := minted(f)
	full := minted(f, l402.Services("weather"), l402.Resource("weather", "GET /forecast"), l402.Caveat{Condition: "a", Value: strings.Repeat("x", 300)})
	for _, seed := range [][]byte{plain, full, plain[:40], slices.Concat([]byte{2, 1, 1, 'x'}, plain[1:]), {2}, nil, append(slices.Clone(plain), 0)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		ours, err := l402.ParseMacaroon(base64.StdEncoding.EncodeToString(bytes))
		if err != nil {
			return
		}
		var theirs macaroon.Macaroon
		require.NoError(t, theirs.UnmarshalBinary(bytes))
		agree(t, ours, &theirs)
	})
}

// FuzzCaveats: tokens that the library narrows are read, and ours by it.
func FuzzCaveats(f *testing.F) {
	f.Add("weather_resource=GET /forecast", "colour=blue", "https://example.com")
	f.Add("", "=", "")
	f.Add("a\x00=\xff", "no condition", "é")
	f.Fuzz(func(t *testing.T, first, second, location string) {
		token, err := key.Mint(charge, hash)
		require.NoError(t, err)
		var theirs macaroon.Macaroon
		require.NoError(t, theirs.UnmarshalBinary(raw(t, token)))
		theirs.SetLocation(location)
		for _, text := range []string{first, second} {
			require.NoError(t, theirs.AddFirstPartyCaveat([]byte(text)))
			caveat, ok := l402.ParseCaveat(text)
			if !ok {
				caveat = l402.Caveat{Value: text}
			}
			token = token.Attenuate(caveat)
		}
		bytes, err := theirs.MarshalBinary()
		require.NoError(t, err)
		read, err := l402.ParseMacaroon(base64.StdEncoding.EncodeToString(bytes))
		if len(bytes) > l402.MaxMacaroonBytes {
			return
		}
		require.NoError(t, err)
		agree(t, read, &theirs)
		token.Location = location
		require.Equal(t, token.String(), read.String(), "narrowed alike")
	})
}
