package l402

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Key is the secret of a minter: 32 random bytes. Whoever has it can make
// tokens for nothing. A macaroon's own root key derives from it, so that nothing
// need be stored.
type Key struct{ secret [32]byte }

// The labels of what derives from a key.
const (
	labelRootKey = "lntpay l402 root key v1"
	labelTokenID = "lntpay l402 token id v1" //nolint:gosec // A label, no secret.
)

// NewKey is the key of 32 secret bytes.
func NewKey(secret [32]byte) Key { return Key{secret} }

// ParseKey reads a key from 64 hex digits, such as `openssl rand -hex 32`
// prints.
func ParseKey(text string) (Key, error) {
	var key Key
	text = strings.TrimSpace(text)
	if len(text) != hex.EncodedLen(len(key.secret)) {
		return key, errors.New("l402: a key has 64 hex digits (openssl rand -hex 32)")
	}
	if _, err := hex.Decode(key.secret[:], []byte(text)); err != nil {
		return key, errors.New("l402: a key has 64 hex digits (openssl rand -hex 32)")
	}

	return key, nil
}

// String keeps the secret out of logs.
func (Key) String() string { return "l402.Key(secret)" }

// GoString keeps the secret out of logs.
func (k Key) GoString() string { return k.String() }

func (k Key) derive(label string, data []byte) []byte {
	return hmacSHA256(k.secret[:], append([]byte(label+"\x00"), data...))
}

func (k Key) rootKey(id Identifier) []byte { return k.derive(labelRootKey, id.bytes()) }

// Mint makes the token of a charge. It is worth nothing until the charge is
// paid. The same charge and caveats give the same token.
func (k Key) Mint(chargeID, paymentHash string, caveats ...Caveat) (*Macaroon, error) {
	if len(caveats) > MaxCaveats {
		return nil, fmt.Errorf("l402: more than %d caveats", MaxCaveats)
	}
	for _, caveat := range caveats {
		if parseCaveat(caveat.String()) != caveat || caveat.Condition == bare {
			return nil, fmt.Errorf("l402: the caveat %q is not condition=value", caveat)
		}
	}
	uuid, err := chargeUUID(chargeID)
	if err != nil {
		return nil, err
	}
	var id Identifier
	hash, err := hex.DecodeString(paymentHash)
	if err != nil || len(hash) != sha256.Size {
		return nil, fmt.Errorf("l402: the payment hash of %s is not 64 hex digits", chargeID)
	}
	copy(id.PaymentHash[:], hash)
	unique := k.derive(labelTokenID, slices.Concat(uuid[:], id.PaymentHash[:]))
	copy(id.TokenID[:], uuid[:])
	copy(id.TokenID[uuidBytes:], unique)
	minted := mint(k.rootKey(id), id).Attenuate(caveats...)
	if len(minted.bytes()) > MaxMacaroonBytes {
		return nil, fmt.Errorf("l402: the caveats make a macaroon of more than %d bytes", MaxMacaroonBytes)
	}

	return minted, nil
}

// Verify says whether a credential is minted by this key, paid, and good for a
// request. The error is a [Reason].
func (k Key) Verify(credential *Credential, request Request) error {
	m := credential.Macaroon
	if !m.signedBy(k.rootKey(m.ID)) {
		return ErrBadSignature
	}
	if !credential.Preimage.Pays(m.ID.PaymentHash) {
		return ErrWrongPreimage
	}

	return request.judge(m.Caveats, credential.Preimage)
}
