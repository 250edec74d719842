package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"hash/crc32"
	"strings"

	"github.com/lntpay/lntpay/payments"
)

const (
	brand    = "lnt_"
	alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	// randomChars of base62 carry 256.03 bits.
	randomChars = 43
	// checksumChars of base62 hold any CRC-32.
	checksumChars = 6
	lastChars     = 4
)

// NewKey makes a secret of env: lnt_<environment>_, 256 random bits in base62
// and a checksum. Only the SHA-256 and the last four characters are to be kept.
func NewKey(env payments.Environment) (secret string, hash []byte, last4 string) {
	body := brand + string(env) + "_" + randomBase62(randomChars)
	secret = body + checksum(body)
	sum := sha256.Sum256([]byte(secret))

	return secret, sum[:], secret[len(secret)-lastChars:]
}

// Parse reads the environment and the SHA-256 of a key; ok is false for what
// cannot be a key, a typo included, so that the database is not asked.
func Parse(secret string) (env payments.Environment, hash [sha256.Size]byte, ok bool) {
	for _, candidate := range []payments.Environment{payments.Sandbox, payments.Production} {
		prefix := brand + string(candidate) + "_"
		if !strings.HasPrefix(secret, prefix) || len(secret) != len(prefix)+randomChars+checksumChars {
			continue
		}
		body, sum := secret[:len(prefix)+randomChars], secret[len(prefix)+randomChars:]
		if subtle.ConstantTimeCompare([]byte(sum), []byte(checksum(body))) != 1 {
			return "", hash, false
		}

		return candidate, sha256.Sum256([]byte(secret)), true
	}

	return "", hash, false
}

// checksum covers the prefix too: a sandbox key cannot be edited into one of
// production.
func checksum(body string) string {
	rest := crc32.ChecksumIEEE([]byte(body))
	var digits [checksumChars]byte
	for i := checksumChars - 1; i >= 0; i-- {
		digits[i] = alphabet[rest%uint32(len(alphabet))]
		rest /= uint32(len(alphabet))
	}

	return string(digits[:])
}

// randomBase62 draws each character evenly: bytes past the last multiple of 62
// are thrown away. rand.Read never fails; it ends the process instead.
func randomBase62(length int) string {
	const fair = 256 - 256%len(alphabet)
	text := make([]byte, 0, length)
	for draw := make([]byte, 2*length); len(text) < length; {
		_, _ = rand.Read(draw)
		for _, b := range draw {
			if int(b) < fair && len(text) < length {
				text = append(text, alphabet[int(b)%len(alphabet)])
			}
		}
	}

	return string(text)
}
