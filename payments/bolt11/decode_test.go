package bolt11_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/payments/bolt11"
)

// example is of BOLT 11: 2500 µBTC for a cup of coffee, within a minute.
const example = "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5" +
	"rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh"

var (
	key, _  = btcec.PrivKeyFromBytes([]byte(strings.Repeat("k", 32)))
	hash    = [32]byte{1, 2, 3}
	created = time.Unix(1_800_000_000, 0)
)

type option = func(*zpay32.Invoice)

// invoice writes one as lnd does; nothing has a payment address by itself.
func invoice(t testing.TB, net *chaincfg.Params, options ...option) string {
	t.Helper()
	made, err := zpay32.NewInvoice(net, hash, created, append([]option{zpay32.Description("tea")}, options...)...)
	require.NoError(t, err)
	text, err := made.Encode(zpay32.MessageSigner{SignCompact: func(message []byte) ([]byte, error) {
		return ecdsa.SignCompact(key, chainhash.HashB(message), true), nil
	}})
	require.NoError(t, err)

	return text
}

func regtest(t testing.TB, options ...option) string {
	t.Helper()

	return invoice(t, &chaincfg.RegressionNetParams, append([]option{zpay32.PaymentAddr(hash)}, options...)...)
}

func features(bits ...lnwire.FeatureBit) option {
	return zpay32.Features(lnwire.NewFeatureVector(lnwire.NewRawFeatureVector(bits...), lnwire.Features))
}

func amount(msat uint64) option { return zpay32.Amount(lnwire.MilliSatoshi(msat)) }

const charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// tampered gives an invoice another human-readable part and more fields, with
// a checksum that is right. The signature then names another payee.
func tampered(text, human, fields string) string {
	const signature, checksum = 104, 6
	data := text[strings.LastIndexByte(text, '1')+1 : len(text)-checksum]
	data = data[:len(data)-signature] + fields + data[len(data)-signature:]
	check := 1
	add := func(value int) {
		top := check >> 25
		check = (check&0x1ffffff)<<5 ^ value
		for i, generator := range []int{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				check ^= generator
			}
		}
	}
	for _, c := range []byte(human) {
		add(int(c >> 5))
	}
	add(0)
	for _, c := range []byte(human) {
		add(int(c & 31))
	}
	for _, c := range []byte(data) {
		add(strings.IndexByte(charset, c))
	}
	for range checksum {
		add(0)
	}
	check ^= 1
	end := make([]byte, checksum)
	for i := range end {
		end[i] = charset[check>>(5*(checksum-1-i))&31]
	}

	return human + "1" + data + string(end)
}

func TestDecode(t *testing.T) {
	t.Parallel()
	got, err := bolt11.Decode(example, "mainnet")
	require.NoError(t, err)
	require.Equal(t, bolt11.Invoice{
		Bolt11:      example,
		PaymentHash: [32]byte(mustHex(t, "0001020304050607080900010203040506070809000102030405060708090102")),
		Destination: "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad",
		AmountMsat:  250_000_000, MinFinalCLTV: 24, Description: "1 cup coffee",
		CreatedAt: time.Unix(1496314658, 0).UTC(), ExpiresAt: time.Unix(1496314658+60, 0).UTC(),
	}, got)

	plain := regtest(t)
	got, err = bolt11.Decode(plain, "regtest")
	require.NoError(t, err)
	require.Zero(t, got.AmountMsat)
	require.Equal(t, created.Add(time.Hour).UTC(), got.ExpiresAt, "an hour where nothing is said")
	require.Equal(t, hex.EncodeToString(key.PubKey().SerializeCompressed()), got.Destination)

	got, err = bolt11.Decode(regtest(t, zpay32.CLTVExpiry(600), zpay32.Expiry(90*time.Second), amount(1)), "regtest")
	require.NoError(t, err)
	require.EqualValues(t, 1, got.AmountMsat)
	require.EqualValues(t, 600, got.MinFinalCLTV)
	require.Equal(t, created.Add(90*time.Second).UTC(), got.ExpiresAt)
	require.True(t, got.FitsCLTVLimit(0))
	require.True(t, got.FitsCLTVLimit(604))
	require.False(t, got.FitsCLTVLimit(603), "lnd adds three blocks and wants one more")
}

func mustHex(t *testing.T, text string) []byte {
	t.Helper()
	bytes, err := hex.DecodeString(text)
	require.NoError(t, err)

	return bytes
}

func TestForms(t *testing.T) {
	t.Parallel()
	plain := regtest(t)
	for name, text := range map[string]string{
		"as it is": plain, "upper case": strings.ToUpper(plain), "space around": " \t\n" + plain + "\r\n ",
		"scheme": "lightning:" + plain, "scheme, upper case": strings.ToUpper("lightning:" + plain), "mixed scheme": "LightNing:" + plain,
		"all of it": " LIGHTNING:" + strings.ToUpper(plain) + " ",
	} {
		got, err := bolt11.Decode(text, "regtest")
		require.NoError(t, err, name)
		require.Equal(t, plain, got.Bolt11, name)
	}
}

// TestNetworks: the whole human-readable part decides, never its beginning.
func TestNetworks(t *testing.T) {
	t.Parallel()
	texts := map[string]string{}
	for network, net := range map[string]*chaincfg.Params{
		"mainnet": &chaincfg.MainNetParams, "testnet": &chaincfg.TestNet3Params, "signet": &chaincfg.SigNetParams,
		"regtest": &chaincfg.RegressionNetParams, "simnet": &chaincfg.SimNetParams,
	} {
		texts[network] = invoice(t, net, zpay32.PaymentAddr(hash))
		texts[network+" with amount"] = invoice(t, net, zpay32.PaymentAddr(hash), amount(20_000))
	}
	for _, network := range []string{"mainnet", "testnet", "signet", "regtest"} {
		for of, text := range texts {
			_, err := bolt11.Decode(text, network)
			if strings.HasPrefix(of, network) {
				require.NoError(t, err, "%s on %s", of, network)
			} else {
				require.ErrorIs(t, err, bolt11.ErrWrongNetwork, "%s on %s", of, network)
			}
		}
	}
	_, err := bolt11.Decode(texts["regtest"], "")
	require.ErrorIs(t, err, bolt11.ErrUnknownNetwork)
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	plain := regtest(t)
	for human, want := range map[string]payments.Msat{
		"": 0, "1": 100_000_000_000, "1m": 100_000_000, "1u": 100_000, "1n": 100, "10p": 1, "2500u": 250_000_000, "0010p": 1,
		"21000000": payments.MaxMsat, "21000000000m": payments.MaxMsat, "21000000000000000n": payments.MaxMsat,
	} {
		got, err := bolt11.Decode(tampered(plain, "lnbcrt"+human, ""), "regtest")
		require.NoError(t, err, human)
		require.Equal(t, want, got.AmountMsat, human)
	}
	for human, want := range map[string]error{
		"21000001": bolt11.ErrAmountOutOfRange, "21000000001m": bolt11.ErrAmountOutOfRange, "21000000000000001u": bolt11.ErrAmountOutOfRange,
		// What lnd would multiply to 0.26 and to 25 bitcoin.
		"184467441": bolt11.ErrAmountOutOfRange, "9223372036854775807": bolt11.ErrAmountOutOfRange,
		"184467440738m": bolt11.ErrAmountOutOfRange, "18446744073709551610p": bolt11.ErrAmountOutOfRange,
		"0": bolt11.ErrInvalid, "0m": bolt11.ErrInvalid, "0p": bolt11.ErrInvalid, "1p": bolt11.ErrInvalid, "15p": bolt11.ErrInvalid,
		"m": bolt11.ErrInvalid, "1k": bolt11.ErrInvalid, "1mm": bolt11.ErrInvalid, "-1m": bolt11.ErrInvalid, "+1m": bolt11.ErrInvalid,
		"1.5m": bolt11.ErrInvalid, "18446744073709551616": bolt11.ErrInvalid,
	} {
		_, err := bolt11.Decode(tampered(plain, "lnbcrt"+human, ""), "regtest")
		require.ErrorIs(t, err, want, human)
		require.ErrorIs(t, err, bolt11.ErrInvalid, human)
		require.Equal(t, errors.Is(want, bolt11.ErrAmountOutOfRange), errors.Is(err, bolt11.ErrAmountOutOfRange), human)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	plain := regtest(t)
	bare := func(options ...option) string { return invoice(t, &chaincfg.RegressionNetParams, options...) }
	path := func(change func(*zpay32.BlindedPaymentPath)) option {
		p := &zpay32.BlindedPaymentPath{
			HTLCMaxMsat: 1, Features: lnwire.EmptyFeatureVector(), FirstEphemeralBlindingPoint: key.PubKey(),
			Hops: []*sphinx.BlindedHopInfo{{BlindedNodePub: key.PubKey(), CipherText: []byte{1}}},
		}
		change(p)

		return zpay32.WithBlindedPaymentPath(p)
	}
	good := path(func(*zpay32.BlindedPaymentPath) {})
	_, err := bolt11.Decode(bare(good), "regtest")
	require.NoError(t, err, "a blinded path is as good as a payment address")
	_, err = bolt11.Decode(bare(good, good), "regtest")
	require.NoError(t, err)
	nums, err := btcec.ParsePubKey(mustHex(t, "02667a98ef82ecb522f803b17a74f14508a48b25258f9831dd6e95f5e299dfd54e"))
	require.NoError(t, err)

	for name, text := range map[string]string{
		"empty":                 "",
		"space":                 "  ",
		"scheme alone":          "lightning:",
		"scheme twice":          "lightning:lightning:" + plain,
		"no separator":          "lnbcrt",
		"words":                 "not an invoice",
		"an address":            "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
		"another chain":         tampered(plain, "lnltc", ""),
		"prefix of a network":   tampered(plain, "lnb", ""),
		"more than a network":   tampered(plain, "lnbcrtx", ""),
		"mixed case":            strings.ToUpper(plain[:20]) + plain[20:],
		"Kelvin sign":           strings.Replace(strings.ToUpper(plain), "K", "\u212a", 1),
		"checksum":              plain[:len(plain)-1] + "q",
		"cut":                   plain[:len(plain)-20],
		"without data":          tampered(plain, "lnbcrt", "")[:20],
		"too long":              strings.Repeat("q", bolt11.MaxLength+1),
		"field cut":             tampered(plain, "lnbcrt", "xq"),
		"neither addr nor path": bare(),
		"unknown feature":       regtest(t, features(lnwire.FeatureBit(1000))),
		"AMP required":          regtest(t, features(lnwire.AMPRequired)),
		"AMP":                   regtest(t, features(lnwire.AMPOptional)),
		"final delta, 17 bits":  regtest(t, zpay32.CLTVExpiry(65_536+40)),
		"final delta, padded":   regtest(t, zpay32.CLTVExpiry(65_533)),
		"expiry of 64 bits":     tampered(plain, "lnbcrt", "xqd"+strings.Repeat("l", 13)),
		"path without hops":     bare(path(func(p *zpay32.BlindedPaymentPath) { p.Hops = nil })),
		"path without room":     bare(path(func(p *zpay32.BlindedPaymentPath) { p.HTLCMinMsat = 2 })),
		"path of many blocks":   bare(path(func(p *zpay32.BlindedPaymentPath) { p.CltvExpiryDelta = 65_534 })),
		"path to nobody":        bare(path(func(p *zpay32.BlindedPaymentPath) { p.Hops[0].BlindedNodePub = nums })),
		"paths that differ": bare(good, path(func(p *zpay32.BlindedPaymentPath) {
			p.Features = lnwire.NewFeatureVector(lnwire.NewRawFeatureVector(lnwire.MPPOptional), lnwire.Features)
		})),
		"path, unknown feature": bare(path(func(p *zpay32.BlindedPaymentPath) {
			p.Features = lnwire.NewFeatureVector(lnwire.NewRawFeatureVector(1000), lnwire.Features)
		})),
	} {
		_, err := bolt11.Decode(text, "regtest")
		require.ErrorIs(t, err, bolt11.ErrInvalid, name)
		require.NotErrorIs(t, err, bolt11.ErrWrongNetwork, name)
	}
	// Of another network, but not an invoice there either.
	_, err = bolt11.Decode(example[:len(example)-1]+"q", "regtest")
	require.ErrorIs(t, err, bolt11.ErrInvalid)
	// An unknown feature that may be ignored is.
	_, err = bolt11.Decode(regtest(t, features(lnwire.FeatureBit(1001))), "regtest")
	require.NoError(t, err)
}

func TestCheckLife(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]error{
		-1 << 63: bolt11.ErrExpired, -time.Second: bolt11.ErrExpired, bolt11.MinLife - 1: bolt11.ErrExpired,
		bolt11.MinLife: nil, time.Hour: nil, bolt11.MaxLife: nil,
		bolt11.MaxLife + 1: bolt11.ErrInvalid, 1<<63 - 1: bolt11.ErrInvalid,
	} {
		require.ErrorIs(t, bolt11.CheckLife(created.Add(left), created), want, left.String())
	}
}
