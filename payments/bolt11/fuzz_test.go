package bolt11_test

import (
	"encoding/hex"
	"errors"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/payments/bolt11"
)

var fuzzedNetworks = map[string]*chaincfg.Params{
	"mainnet": &chaincfg.MainNetParams, "testnet": &chaincfg.TestNet3Params,
	"signet": &chaincfg.SigNetParams, "regtest": &chaincfg.RegressionNetParams,
}

var amountOfText = regexp.MustCompile(`^ln(?:bcrt|bc|tbs|tb)([0-9]*)([munp]?)1`)

// exactAmount is the amount of an invoice in msat, by fractions of a bitcoin.
func exactAmount(t *testing.T, text string) *big.Rat {
	t.Helper()
	found := amountOfText.FindStringSubmatch(text[:strings.LastIndexByte(text, '1')+1])
	require.NotNil(t, found, text)
	if found[1] == "" {
		return new(big.Rat)
	}
	amount, ok := new(big.Rat).SetString(found[1])
	require.True(t, ok)
	unit := map[string]int64{"": 1, "m": 1e3, "u": 1e6, "n": 1e9, "p": 1e12}[found[2]]

	return amount.Mul(amount, big.NewRat(100_000_000_000, unit))
}

// judge holds what Decode says of a text against what must hold of any, and
// what it accepts against zpay32, by which lnd pays it.
func judge(t *testing.T, text, network string) (got bolt11.Invoice, accepted bool) {
	t.Helper()
	got, err := bolt11.Decode(text, network)
	if err != nil {
		require.True(t, errors.Is(err, bolt11.ErrInvalid) || errors.Is(err, bolt11.ErrWrongNetwork), err)
		require.Zero(t, got)

		return got, false
	}
	again, err := bolt11.Decode(got.Bolt11, network)
	require.NoError(t, err)
	require.Equal(t, got, again)
	require.Equal(t, strings.ToLower(got.Bolt11), got.Bolt11)
	require.LessOrEqual(t, len(got.Bolt11), bolt11.MaxLength)

	theirs, err := zpay32.Decode(got.Bolt11, fuzzedNetworks[network])
	require.NoError(t, err)
	var amount lnwire.MilliSatoshi
	if theirs.MilliSat != nil {
		amount = *theirs.MilliSat
	}
	require.EqualValues(t, amount, got.AmountMsat)
	exact := exactAmount(t, got.Bolt11)
	require.True(t, exact.IsInt() && exact.Num().IsInt64() && exact.Num().Int64() == int64(got.AmountMsat), "%s is not %d", exact, got.AmountMsat)
	require.True(t, got.AmountMsat >= 0 && got.AmountMsat <= payments.MaxMsat)
	require.Equal(t, *theirs.PaymentHash, got.PaymentHash)
	require.Equal(t, hex.EncodeToString(theirs.Destination.SerializeCompressed()), got.Destination)
	require.True(t, theirs.Timestamp.Equal(got.CreatedAt))
	require.Equal(t, theirs.Expiry(), got.ExpiresAt.Sub(got.CreatedAt))
	require.Equal(t, theirs.MinFinalCLTVExpiry(), uint64(got.MinFinalCLTV))
	if theirs.Description != nil {
		require.Equal(t, *theirs.Description, got.Description)
	} else {
		require.Empty(t, got.Description)
	}
	require.False(t, got.ExpiresAt.Before(got.CreatedAt))

	return got, true
}

// FuzzDecode: any text is refused, or read as zpay32 reads it, on one network.
func FuzzDecode(f *testing.F) {
	plain := regtest(f)
	for _, seed := range []string{
		"", "lightning:", example, strings.ToUpper(example), plain, "lightning:" + plain, tampered(plain, "lnbcrt0", ""),
		tampered(plain, "lnbcrt184467441", ""), tampered(plain, "lnbcrt", "xqd"+strings.Repeat("l", 13)), tampered(plain, "lnbcrt", "zqqqq"),
		regtest(f, zpay32.CLTVExpiry(1<<40)), regtest(f, features(lnwire.AMPRequired)), invoice(f, &chaincfg.SigNetParams),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		on := 0
		for network := range fuzzedNetworks {
			if _, accepted := judge(t, text, network); accepted {
				on++
			}
		}
		require.LessOrEqual(t, on, 1)
	})
}

// FuzzDecodeBehindTheChecksum reaches what random texts do not: amounts and
// fields under a checksum that is right.
func FuzzDecodeBehindTheChecksum(f *testing.F) {
	plain := regtest(f)
	for _, human := range []string{"", "1", "0", "15p", "2500u", "21000000", "184467441", "9223372036854775807", "18446744073709551610p", "0010p", "m", "1k"} {
		f.Add(human, []byte(nil))
	}
	for _, fields := range []string{"xqdlllllllllllll", "zqqqq", "xqpq", "cqpq", "9qqsqq", "dqqz", "fqqzq", "nqqqq", "sqqqq"} {
		f.Add("", bytesOf(fields))
		f.Add("1n", bytesOf(fields))
	}
	f.Fuzz(func(t *testing.T, human string, fields []byte) {
		for i := range len(human) {
			if human[i] < '!' || human[i] > '~' {
				t.Skip("bech32 has none of this")
			}
		}
		letters := make([]byte, len(fields))
		for i, field := range fields {
			letters[i] = charset[field&31]
		}
		judge(t, tampered(plain, "lnbcrt"+strings.ToLower(human), string(letters)), "regtest")
	})
}

func bytesOf(letters string) []byte {
	values := make([]byte, len(letters))
	for i := range letters {
		values[i] = byte(strings.IndexByte(charset, letters[i]))
	}

	return values
}

// FuzzInvoice: what lnd writes is read back as it was meant.
func FuzzInvoice(f *testing.F) {
	f.Add(uint64(0), uint32(3600), uint32(18), "tea")
	f.Add(uint64(1), uint32(1), uint32(0), "")
	f.Add(uint64(payments.MaxMsat), uint32(1<<31), uint32(65_532), strings.Repeat("é", 319))
	f.Add(uint64(payments.MaxMsat)+1, uint32(0), uint32(65_533), "\xff\x00")
	f.Fuzz(func(t *testing.T, msat uint64, expiryS, cltv uint32, description string) {
		if len(description) > 639 {
			t.Skip("zpay32 writes no such description")
		}
		options := []option{
			zpay32.Description(description), zpay32.Expiry(time.Duration(expiryS) * time.Second), zpay32.CLTVExpiry(uint64(cltv)),
		}
		if msat > 0 {
			options = append(options, amount(msat))
		}
		got, accepted := judge(t, regtest(t, options...), "regtest")
		require.Equal(t, msat <= uint64(payments.MaxMsat) && cltv <= 65_532 && utf8.ValidString(description), accepted)
		if !accepted {
			return
		}
		require.EqualValues(t, msat, got.AmountMsat)
		require.Equal(t, created.Add(time.Duration(expiryS)*time.Second).UTC(), got.ExpiresAt)
		require.Equal(t, cltv, got.MinFinalCLTV)
		require.Equal(t, description, got.Description)
		require.Equal(t, hash, got.PaymentHash)
		require.Equal(t, hex.EncodeToString(key.PubKey().SerializeCompressed()), got.Destination)
	})
}
