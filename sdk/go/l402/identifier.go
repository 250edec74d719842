package l402

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// identifierBytes is the length of version 0: u16 version, payment hash, token
// id (macaroon-spec.md, "Identifier Structure").
const identifierBytes = 2 + sha256.Size + 32

// Identifier says which payment a macaroon is worth, and which macaroon it is.
type Identifier struct {
	// PaymentHash is that of the invoice.
	PaymentHash [sha256.Size]byte
	// TokenID tells tokens apart. Ours begin with the id of the charge.
	TokenID [32]byte
}

func (id Identifier) bytes() []byte {
	out := make([]byte, 0, identifierBytes)
	out = binary.BigEndian.AppendUint16(out, 0)
	out = append(out, id.PaymentHash[:]...)

	return append(out, id.TokenID[:]...)
}

func parseIdentifier(raw []byte) (id Identifier, err error) {
	if len(raw) != identifierBytes || binary.BigEndian.Uint16(raw) != 0 {
		return id, fmt.Errorf("%w: its identifier is not of version 0", errMacaroon)
	}
	copy(id.PaymentHash[:], raw[2:])
	copy(id.TokenID[:], raw[2+sha256.Size:])

	return id, nil
}

// crockford is the alphabet of LNTPay's ids: Crockford's base32 in lower case
// (the TypeID specification).
const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

const (
	chargePrefix = "ch_"
	uuidBytes    = 16
	uuidChars    = 26
	bitsPerChar  = 5
	// lastBits is by how much 26 characters are more than 128 bits.
	lastBits = uuidChars*bitsPerChar - 8*uuidBytes
)

// ChargeID is the id of the charge that was to be paid, such as ch_01m829….
func (id Identifier) ChargeID() string {
	var out strings.Builder
	out.WriteString(chargePrefix)
	bits, held := uint32(0), lastBits
	for _, b := range id.TokenID[:uuidBytes] {
		bits, held = bits<<8|uint32(b), held+8
		for held >= bitsPerChar {
			held -= bitsPerChar
			out.WriteByte(crockford[bits>>held&(1<<bitsPerChar-1)])
		}
	}

	return out.String()
}

// chargeUUID reads the 128 bits of a charge's id.
func chargeUUID(chargeID string) (uuid [uuidBytes]byte, err error) {
	text, found := strings.CutPrefix(chargeID, chargePrefix)
	if !found || len(text) != uuidChars {
		return uuid, fmt.Errorf("l402: %q is not the id of a charge", chargeID)
	}
	bits, held, n := uint32(0), -lastBits, 0
	for i := range len(text) {
		value := strings.IndexByte(crockford, text[i])
		if value < 0 || (i == 0 && value>>(bitsPerChar-lastBits) != 0) {
			return uuid, fmt.Errorf("l402: %q is not the id of a charge", chargeID)
		}
		bits, held = bits<<bitsPerChar|uint32(value), held+bitsPerChar
		if held >= 8 {
			held -= 8
			uuid[n] = byte(bits >> held)
			n++
		}
	}

	return uuid, nil
}

// Preimage is what paying the invoice reveals. It is the proof of payment: keep
// it out of logs.
type Preimage [32]byte

// Pays says whether this is the preimage of a payment hash.
func (p Preimage) Pays(paymentHash [sha256.Size]byte) bool { return sha256.Sum256(p[:]) == paymentHash }

// ParsePreimage reads 64 hex digits.
func ParsePreimage(text string) (p Preimage, err error) {
	if len(text) != hex.EncodedLen(len(p)) {
		return p, errors.New("l402: a preimage has 64 hex digits")
	}
	if _, err := hex.Decode(p[:], []byte(text)); err != nil {
		return p, errors.New("l402: a preimage has 64 hex digits")
	}

	return p, nil
}
