package lightning

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/lntpay/lntpay/payments"
)

// ErrUnknownKey is Derive's answer for a key id that the ring does not hold.
var ErrUnknownKey = errors.New("lightning: no preimage key with this id")

// errSecret refuses to serialise a secret: a preimage in a workflow argument
// or an HTTP body must fail loudly, not be stored as a placeholder.
var errSecret = errors.New("lightning: a secret is not serialised")

const redacted = "[redacted]"

// Domain separators: no digest of a key can be mistaken for another.
const (
	keyIDLabel       = "lntpay preimage key id"
	fingerprintLabel = "lntpay preimage key fingerprint"
	// sandboxLabel is an HMAC's first part where a charge has its environment:
	// no environment is called so.
	sandboxLabel = "lntpay sandbox invoice"
)

// KeySize is the length of a preimage key in bytes.
const KeySize = 32

// KeyRing derives the preimages of charges, and of sandbox invoices, from keys
// that only the worker holds: the current one, and retired ones that open
// charges still need.
// Guard a key as money: whoever has it can take payments on their way. A
// KeyRing is immutable and prints as "[redacted]".
type KeyRing struct {
	current string
	keys    map[string][KeySize]byte
}

// NewKeyRing makes a ring of the current key and any retired ones. It refuses
// an all-zero key and one that is given twice.
func NewKeyRing(current [KeySize]byte, old ...[KeySize]byte) (*KeyRing, error) {
	ring := &KeyRing{current: KeyID(current), keys: map[string][KeySize]byte{}}
	for _, key := range append([][KeySize]byte{current}, old...) {
		if key == ([KeySize]byte{}) {
			return nil, errors.New("lightning: a preimage key is all zeros")
		}
		id := KeyID(key)
		if _, twice := ring.keys[id]; twice {
			return nil, fmt.Errorf("lightning: preimage key %s is given twice", id)
		}
		ring.keys[id] = key
	}

	return ring, nil
}

// KeyID names a key without revealing it: the first 8 bytes of
// SHA-256("lntpay preimage key id" ‖ key), in hex. It is charge.key_id.
func KeyID(key [KeySize]byte) string {
	sum := sha256.Sum256(append([]byte(keyIDLabel), key[:]...))

	return hex.EncodeToString(sum[:8])
}

// CurrentKeyID is the id of the key that new charges use.
func (r *KeyRing) CurrentKeyID() string { return r.current }

// Fingerprints are the digests that the database pins, by key id:
// SHA-256("lntpay preimage key fingerprint" ‖ key).
func (r *KeyRing) Fingerprints() map[string][sha256.Size]byte {
	prints := make(map[string][sha256.Size]byte, len(r.keys))
	for id, key := range r.keys {
		prints[id] = sha256.Sum256(append([]byte(fingerprintLabel), key[:]...))
	}

	return prints
}

// Derive computes the preimage of a charge: HMAC-SHA256(key, environment ‖
// 0x00 ‖ node ‖ 0x00 ‖ charge id). The parts must not be empty or hold a zero
// byte, so no two triples share an encoding. ErrUnknownKey when the ring does
// not hold keyID.
func (r *KeyRing) Derive(
	keyID string, environment payments.Environment, node, chargeID string,
) (Preimage, error) {
	return r.derive(keyID, string(environment), node, chargeID)
}

// DeriveSandbox computes the preimage of a sandbox invoice: HMAC-SHA256(key,
// "lntpay sandbox invoice" ‖ 0x00 ‖ id). See Derive.
func (r *KeyRing) DeriveSandbox(keyID, invoiceID string) (Preimage, error) {
	return r.derive(keyID, sandboxLabel, invoiceID)
}

func (r *KeyRing) derive(keyID string, parts ...string) (Preimage, error) {
	key, ok := r.keys[keyID]
	if !ok {
		return Preimage{}, fmt.Errorf("%w: %q", ErrUnknownKey, keyID)
	}
	for _, part := range parts {
		if part == "" || strings.ContainsRune(part, 0) {
			return Preimage{}, errors.New("lightning: a part of the preimage's name is empty or holds a zero byte")
		}
	}
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(strings.Join(parts, "\x00")))

	return Preimage(mac.Sum(nil)), nil
}

// String hides the keys.
func (r *KeyRing) String() string { return redacted }

// GoString hides the keys from %#v.
func (r *KeyRing) GoString() string { return redacted }

// Format hides the keys from every verb.
func (r *KeyRing) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the keys from slog.
func (r *KeyRing) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON always fails.
func (r *KeyRing) MarshalJSON() ([]byte, error) { return nil, errSecret }

// Hash is the payment hash that the preimage unlocks.
func (p Preimage) Hash() Hash { return sha256.Sum256(p[:]) }

// String hides the preimage. Use hex.EncodeToString(p[:]) where it must be
// given away.
func (p Preimage) String() string { return redacted }

// GoString hides the preimage from %#v.
func (p Preimage) GoString() string { return redacted }

// Format hides the preimage from every verb, %x and %d too.
func (p Preimage) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the preimage from slog.
func (p Preimage) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON always fails: see errSecret.
func (p Preimage) MarshalJSON() ([]byte, error) { return nil, errSecret }

// String is the hash in lowercase hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads a payment hash from 64 hex digits.
func ParseHash(text string) (Hash, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(Hash{}) {
		return Hash{}, errors.New("lightning: a payment hash is 64 hex digits")
	}

	return Hash(raw), nil
}
