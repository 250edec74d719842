package l402

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits on what is read from the outside.
const (
	// MaxCaveats is how many caveats a macaroon may have.
	MaxCaveats = 64
	// MaxMacaroonBytes is how long a macaroon may be.
	MaxMacaroonBytes = 8 << 10
)

// The tags of the binary format (macaroon-spec.md, "Macaroon V2 Binary
// Format"; libmacaroons doc/format.txt).
const (
	version2          = 2
	fieldEnd          = 0
	fieldLocation     = 1
	fieldIdentifier   = 2
	fieldVerification = 4
	fieldSignature    = 6
)

// keyGenerator turns a root key of any length into the first key of the chain,
// as all macaroon libraries do (libmacaroons macaroons.c; gopkg.in/macaroon.v2
// crypto.go), so that theirs verify ours.
const keyGenerator = "macaroons-key-generator"

// Macaroon is a bearer token that only its minter can make, and that anybody
// can narrow. It is as good as money: keep it out of logs.
type Macaroon struct {
	// Location hints at who minted it. It is not signed.
	Location string
	// ID is what the root key is found by and what the token is good for.
	ID Identifier
	// Caveats narrow it, one after the other.
	Caveats []Caveat

	signature [sha256.Size]byte
}

// mint makes a macaroon without caveats under its own root key.
func mint(rootKey []byte, id Identifier) *Macaroon {
	return &Macaroon{ID: id, signature: sign(hmacSHA256([]byte(keyGenerator), rootKey), id.bytes())}
}

// Attenuate is a copy with further caveats. It needs no key: the signature so
// far is the key of the next one.
func (m *Macaroon) Attenuate(caveats ...Caveat) *Macaroon {
	narrowed := *m
	narrowed.Caveats = slices.Concat(m.Caveats, caveats)
	for _, caveat := range caveats {
		narrowed.signature = sign(narrowed.signature[:], []byte(caveat.String()))
	}

	return &narrowed
}

// signedBy says whether the chain from rootKey ends in m's signature.
func (m *Macaroon) signedBy(rootKey []byte) bool {
	again := mint(rootKey, m.ID).Attenuate(m.Caveats...)

	return hmac.Equal(again.signature[:], m.signature[:])
}

func sign(key, message []byte) (sum [sha256.Size]byte) {
	copy(sum[:], hmacSHA256(key, message))

	return sum
}

func hmacSHA256(key, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)

	return mac.Sum(nil)
}

// String is the macaroon in base64, as headers carry it.
func (m *Macaroon) String() string { return base64.StdEncoding.EncodeToString(m.bytes()) }

func (m *Macaroon) bytes() []byte {
	out := []byte{version2}
	if m.Location != "" {
		out = appendField(out, fieldLocation, []byte(m.Location))
	}
	out = append(appendField(out, fieldIdentifier, m.ID.bytes()), fieldEnd)
	for _, caveat := range m.Caveats {
		out = append(appendField(out, fieldIdentifier, []byte(caveat.String())), fieldEnd)
	}
	out = append(out, fieldEnd)

	return appendField(out, fieldSignature, m.signature[:])
}

func appendField(out []byte, tag byte, data []byte) []byte {
	out = binary.AppendUvarint(append(out, tag), uint64(len(data)))

	return append(out, data...)
}

// errMacaroon is the cause of every macaroon that is not one.
var errMacaroon = errors.New("l402: not a macaroon")

// ParseMacaroon reads a macaroon in base64: of either alphabet, padded or not,
// since clients differ.
func ParseMacaroon(text string) (*Macaroon, error) {
	if base64.StdEncoding.DecodedLen(len(text)) > MaxMacaroonBytes+2 {
		return nil, fmt.Errorf("%w: too long", errMacaroon)
	}
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	raw, err := encoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil, fmt.Errorf("%w: not base64", errMacaroon)
	}

	return unmarshal(raw)
}

// unmarshal reads the binary format. What is signed must have one reading
// only, so fields out of place are refused.
func unmarshal(raw []byte) (*Macaroon, error) {
	if len(raw) == 0 || raw[0] != version2 {
		return nil, fmt.Errorf("%w: not of version 2", errMacaroon)
	}
	r := reader{rest: raw[1:]}
	var m Macaroon
	m.Location = string(r.optional(fieldLocation))
	id := r.required(fieldIdentifier)
	r.end()
	for !r.failed && len(r.rest) > 0 && r.rest[0] != fieldEnd {
		m.Caveats = append(m.Caveats, r.caveat())
		if len(m.Caveats) > MaxCaveats {
			return nil, fmt.Errorf("%w: more than %d caveats", errMacaroon, MaxCaveats)
		}
	}
	r.end()
	signature := r.required(fieldSignature)
	if r.failed || len(r.rest) > 0 || len(signature) != len(m.signature) {
		return nil, fmt.Errorf("%w: malformed", errMacaroon)
	}
	copy(m.signature[:], signature)
	var err error
	m.ID, err = parseIdentifier(id)

	return &m, err
}

// reader takes fields off the front. After the first failure it gives nothing.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) fail() []byte {
	r.rest, r.failed = nil, true

	return nil
}

// optional is the data of the next field if it has this tag.
func (r *reader) optional(tag byte) []byte {
	if r.failed || len(r.rest) == 0 || r.rest[0] != tag {
		return nil
	}
	size, read := binary.Uvarint(r.rest[1:])
	if read <= 0 || size > uint64(len(r.rest)-1-read) {
		return r.fail()
	}
	from := 1 + read
	data := r.rest[from : from+int(size)]
	r.rest = r.rest[from+int(size):]

	return data
}

func (r *reader) required(tag byte) []byte {
	if len(r.rest) == 0 || r.rest[0] != tag {
		return r.fail()
	}

	return r.optional(tag)
}

// end takes the end of a section.
func (r *reader) end() {
	if r.failed || len(r.rest) == 0 || r.rest[0] != fieldEnd {
		r.fail()

		return
	}
	r.rest = r.rest[1:]
}

// caveat takes a caveat of the first party; a third party's would need its
// discharge, which L402 has no place for.
func (r *reader) caveat() Caveat {
	if len(r.optional(fieldLocation)) > 0 {
		r.fail()
	}
	text := string(r.required(fieldIdentifier))
	if len(r.optional(fieldVerification)) > 0 {
		r.fail()
	}
	r.end()

	return parseCaveat(text)
}
