package apikey_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/payments"
)

func TestNewKeyParses(t *testing.T) {
	t.Parallel()
	for _, env := range []payments.Environment{payments.Sandbox, payments.Production} {
		secret, hash, last4 := apikey.NewKey(env)
		require.Regexp(t, `^lnt_`+string(env)+`_[0-9A-Za-z]{49}$`, secret)
		require.True(t, strings.HasSuffix(secret, last4))
		require.Len(t, last4, 4)
		parsed, parsedHash, ok := apikey.Parse(secret)
		require.True(t, ok)
		require.Equal(t, env, parsed)
		require.Equal(t, hash, parsedHash[:])
		require.Equal(t, sha256.Sum256([]byte(secret)), parsedHash)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	secret, _, _ := apikey.NewKey(payments.Sandbox)
	refused := map[string]string{
		"empty":               "",
		"prefix only":         "lnt_sandbox_",
		"cut":                 secret[:len(secret)-1],
		"longer":              secret + "a",
		"moved to production": strings.Replace(secret, "sandbox", "production", 1),
		"other brand":         strings.Replace(secret, "lnt_", "sk_", 1),
		"space":               " " + secret[1:],
	}
	for name, text := range refused {
		_, _, ok := apikey.Parse(text)
		require.False(t, ok, name)
	}
}

// TestParseRefusesEveryTypo changes each character in turn.
func TestParseRefusesEveryTypo(t *testing.T) {
	t.Parallel()
	secret, _, _ := apikey.NewKey(payments.Sandbox)
	for i := range secret {
		typo := []byte(secret)
		typo[i] = 'x'
		if secret[i] == 'x' {
			typo[i] = 'y'
		}
		_, _, ok := apikey.Parse(string(typo))
		require.False(t, ok, "position %d", i)
	}
}
