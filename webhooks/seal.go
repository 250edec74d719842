package webhooks

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
)

const (
	sealKeyBytes = 32
	// sealVersion is the first byte of what is stored, so that another scheme
	// can follow.
	sealVersion = 1
)

// ErrSeal says that a sealed secret cannot be opened: another key, another
// endpoint, or damaged bytes.
var ErrSeal = errors.New("webhooks: sealed secret does not open with this key for this endpoint")

// Sealer keeps webhook secrets unreadable at rest: AES-256-GCM with the
// endpoint's id as associated data, so that a secret copied to another row does
// not open there. Other keys of an environment derive from its secret too.
type Sealer struct {
	aead cipher.AEAD
	key  []byte
}

// NewSealer makes a Sealer of a 32-byte key.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != sealKeyBytes {
		return nil, fmt.Errorf("webhooks: a secrets key has %d bytes, not %d", sealKeyBytes, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("webhooks: secrets key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("webhooks: secrets key: %w", err)
	}

	return &Sealer{aead: aead, key: bytes.Clone(key)}, nil
}

// LoadSealer makes a Sealer of a file that holds 32 bytes in hex. Its errors
// name the file, never what is in it.
func LoadSealer(file string) (*Sealer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the secrets key: %w", err)
	}
	text = bytes.TrimSpace(text)
	key := make([]byte, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(key, text); err != nil || len(key) != sealKeyBytes {
		return nil, fmt.Errorf("secrets key %s: want %d bytes in hex", file, sealKeyBytes)
	}

	return NewSealer(key)
}

// Seal encrypts an endpoint's secret for storing.
func (s *Sealer) Seal(endpointID, secret string) []byte {
	nonce := make([]byte, s.aead.NonceSize())
	// Never fails: crypto/rand.Read ends the program instead (Go 1.24).
	_, _ = rand.Read(nonce)
	sealed := append([]byte{sealVersion}, nonce...)

	return s.aead.Seal(sealed, nonce, []byte(secret), []byte(endpointID))
}

// Open decrypts what Seal made for the same endpoint.
func (s *Sealer) Open(endpointID string, sealed []byte) (string, error) {
	head := 1 + s.aead.NonceSize()
	if len(sealed) < head || sealed[0] != sealVersion {
		return "", ErrSeal
	}
	secret, err := s.aead.Open(nil, sealed[1:head], sealed[head:], []byte(endpointID))
	if err != nil {
		return "", ErrSeal
	}

	return string(secret), nil
}

// Derive is a key for another purpose (HKDF-SHA256, RFC 5869). Each label gives
// its own, and none tells of another.
func (s *Sealer) Derive(label string) (derived [32]byte) {
	// Fails only for more than 255 blocks.
	key, _ := hkdf.Key(sha256.New, s.key, nil, label, len(derived))
	copy(derived[:], key)

	return derived
}
