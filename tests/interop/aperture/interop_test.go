package aperture

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	aperturel402 "github.com/lightninglabs/aperture/l402"
	"github.com/lightninglabs/aperture/mint"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"
	"gopkg.in/macaroon.v2"

	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/gate"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

const (
	service  = "weather"
	resource = "GET /forecast"
	chargeID = "ch_01m829m1ezf6p8497reqzrs9mv"
)

var secret = [32]byte{1, 2, 3}

// till makes charges with real invoices, and can pay them.
type till struct {
	mu        sync.Mutex
	preimages map[string]lntypes.Preimage
	made      int
}

func (s *till) Create(_ context.Context, params lntpay.ChargeParams, _ ...lntpay.WriteOption) (*lntpay.Charge, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	preimage := lntypes.Preimage{byte(s.made), 7}
	invoice, err := invoiceOf(preimage, lnwire.MilliSatoshi(params.AmountMsat))
	if err != nil {
		return nil, err
	}
	if s.preimages == nil {
		s.preimages = map[string]lntypes.Preimage{}
	}
	s.preimages[invoice] = preimage

	return &lntpay.Charge{
		ID: chargeID, AmountMsat: params.AmountMsat, Bolt11: invoice, PaymentHash: preimage.Hash().String(),
		ExpiresAt: time.Now().Add(params.ExpiresIn),
	}, nil
}

// pay is the preimage of an invoice that was made here.
func (s *till) pay(invoice string) (lntypes.Preimage, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	preimage, known := s.preimages[invoice]

	return preimage, known
}

func invoiceOf(preimage lntypes.Preimage, amount lnwire.MilliSatoshi) (string, error) {
	node, _ := btcec.PrivKeyFromBytes([]byte{5, 6, 7})
	invoice, err := zpay32.NewInvoice(&chaincfg.RegressionNetParams, preimage.Hash(), time.Now(),
		zpay32.Amount(amount), zpay32.Description("a test"), zpay32.PaymentAddr([32]byte{1}),
		zpay32.Features(lnwire.NewFeatureVector(lnwire.NewRawFeatureVector(lnwire.PaymentAddrRequired, lnwire.TLVOnionPayloadRequired), lnwire.Features)))
	if err != nil {
		return "", err
	}

	return invoice.Encode(zpay32.MessageSigner{SignCompact: func(message []byte) ([]byte, error) {
		return ecdsa.SignCompact(node, chainhash.HashB(message), true), nil
	}})
}

func open(t *testing.T, charges gate.Charger, next http.Handler, once bool) http.Handler {
	t.Helper()
	paid, err := gate.New(gate.Config{
		Charges: charges, Key: l402.NewKey(secret), Service: service, Price: gate.Fixed(21_000), Once: once,
		Capabilities: []string{"read"}, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)

	return paid.Handler(next)
}

// minted is a token of ours, as Aperture's library for macaroons reads it, with
// its preimage.
func minted(t *testing.T) (*macaroon.Macaroon, lntypes.Preimage) {
	t.Helper()
	charges := &till{}
	answer := httptest.NewRecorder()
	open(t, charges, http.NotFoundHandler(), false).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/forecast", nil))
	require.Equal(t, http.StatusPaymentRequired, answer.Code)
	challenge, err := l402.ParseChallenge(answer.Header())
	require.NoError(t, err)
	preimage, known := charges.pay(challenge.Invoice)
	require.True(t, known)

	return theirs(t, challenge.Macaroon), preimage
}

func theirs(t *testing.T, ours *l402.Macaroon) *macaroon.Macaroon {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(ours.String())
	require.NoError(t, err)
	var read macaroon.Macaroon
	require.NoError(t, read.UnmarshalBinary(raw))

	return &read
}

// rootKey is written out here once more: it is what an operator would give to
// another minter.
func rootKey(id []byte) (key [32]byte) {
	mac := hmac.New(sha256.New, secret[:])
	mac.Write([]byte("lntpay l402 root key v1\x00"))
	mac.Write(id)
	copy(key[:], mac.Sum(nil))

	return key
}

func TestMacaroonV2VerifiesOurs(t *testing.T) {
	t.Parallel()
	token, _ := minted(t)
	key := rootKey(token.Id())
	caveats, err := token.VerifySignature(key[:], nil)
	require.NoError(t, err)
	require.Len(t, caveats, 5)
	require.NoError(t, token.AddFirstPartyCaveat([]byte(service+"_capabilities=read")))
	_, err = token.VerifySignature(key[:], nil)
	require.NoError(t, err)
	key[0]++
	_, err = token.VerifySignature(key[:], nil)
	require.Error(t, err)
}

func TestApertureReadsOurCredentials(t *testing.T) {
	t.Parallel()
	token, preimage := minted(t)
	raw, err := token.MarshalBinary()
	require.NoError(t, err)
	ours, err := l402.ParseMacaroon(base64.StdEncoding.EncodeToString(raw))
	require.NoError(t, err)
	credential := &l402.Credential{Macaroon: ours, Preimage: l402.Preimage(preimage)}
	header := http.Header{"Authorization": {credential.String()}}
	read, proof, err := aperturel402.FromHeader(&header)
	require.NoError(t, err)
	require.Equal(t, preimage, proof)
	require.Equal(t, token.Signature(), read.Signature())
}

// secrets are those of Aperture's mint; ours derive from one.
type secrets struct{ mint.SecretStore }

func (secrets) GetSecret(_ context.Context, hash [sha256.Size]byte) ([32]byte, error) {
	return known[hash], nil
}

// known maps the hash of an identifier, by which Aperture asks, to its root key.
var known = map[[sha256.Size]byte][32]byte{}

func TestAperturesMintVerifiesOurs(t *testing.T) {
	t.Parallel()
	token, preimage := minted(t)
	known[sha256.Sum256(token.Id())] = rootKey(token.Id())
	now := time.Now()
	verifier := mint.New(&mint.Config{Secrets: secrets{}, Now: func() time.Time { return now }})
	params := &mint.VerificationParams{Macaroon: token, Preimage: preimage, TargetService: service}
	require.NoError(t, verifier.VerifyL402(t.Context(), params))
	params.TargetService = "news"
	require.Error(t, verifier.VerifyL402(t.Context(), params))
	params.TargetService = service
	now = now.Add(time.Hour)
	require.ErrorContains(t, verifier.VerifyL402(t.Context(), params), "expired")
}

func TestApertureSatisfiesOurCaveats(t *testing.T) {
	t.Parallel()
	token, _ := minted(t)
	var caveats []aperturel402.Caveat
	for _, raw := range token.Caveats() {
		caveat, err := aperturel402.DecodeCaveat(string(raw.Id))
		require.NoError(t, err)
		caveats = append(caveats, caveat)
	}
	satisfiers := func(service, capability string, now time.Time) []aperturel402.Satisfier {
		return []aperturel402.Satisfier{
			aperturel402.NewServicesSatisfier(service), aperturel402.NewCapabilitiesSatisfier(service, capability),
			aperturel402.NewTimeoutSatisfier(service, func() time.Time { return now }),
		}
	}
	require.NoError(t, aperturel402.VerifyCaveats(caveats, satisfiers(service, "read", time.Now())...))
	require.Error(t, aperturel402.VerifyCaveats(caveats, satisfiers(service, "write", time.Now())...))
	require.Error(t, aperturel402.VerifyCaveats(caveats, satisfiers("news", "read", time.Now())...))
	require.Error(t, aperturel402.VerifyCaveats(caveats, satisfiers(service, "read", time.Now().Add(time.Hour))...))
}

// Aperture's SetHeader sends the token twice, as LSAT and as L402; its gRPC
// clients send it in hex, with the preimage as a caveat.
func TestOurGateTakesWhatApertureSends(t *testing.T) {
	t.Parallel()
	token, preimage := minted(t)
	gated := open(t, &till{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }), false)
	status := func(r *http.Request) int {
		answer := httptest.NewRecorder()
		gated.ServeHTTP(answer, r)

		return answer.Code
	}
	r := httptest.NewRequest(http.MethodGet, "/forecast", nil)
	require.NoError(t, aperturel402.SetHeader(&r.Header, token, preimage))
	require.Len(t, r.Header.Values("Authorization"), 2)
	require.Equal(t, http.StatusTeapot, status(r))
	paid := token.Clone()
	require.NoError(t, aperturel402.AddFirstPartyCaveats(paid, aperturel402.NewCaveat(aperturel402.PreimageKey, preimage.String())))
	raw, err := paid.MarshalBinary()
	require.NoError(t, err)
	for _, name := range []string{aperturel402.HeaderMacaroon, aperturel402.HeaderMacaroonMD} {
		r := httptest.NewRequest(http.MethodGet, "/forecast", nil)
		r.Header.Set(name, hex.EncodeToString(raw))
		require.Equal(t, http.StatusTeapot, status(r), name)
	}
	// Narrowed by their library, ours still sees it.
	require.NoError(t, aperturel402.AddFirstPartyCaveats(token, aperturel402.NewCaveat(service+"_valid_until", "1")))
	r = httptest.NewRequest(http.MethodGet, "/forecast", nil)
	require.NoError(t, aperturel402.SetHeader(&r.Header, token, preimage))
	require.Equal(t, http.StatusPaymentRequired, status(r))
}
