package apikey_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/payments"
)

// FuzzParse: what is no key of its environment by every character is refused
// before a database is asked, and what is one is hashed as it stands.
func FuzzParse(f *testing.F) {
	for _, environment := range []payments.Environment{payments.Sandbox, payments.Production} {
		secret, _, _ := apikey.NewKey(environment)
		f.Add(secret, uint16(0), byte(0))
		f.Add(secret, uint16(len(secret)-1), byte('0'))
		f.Add(strings.ToUpper(secret), uint16(9), byte('z'))
	}
	f.Add("lnt_sandbox_", uint16(3), byte(' '))
	f.Fuzz(func(t *testing.T, secret string, at uint16, other byte) {
		environment, hash, ok := apikey.Parse(secret)
		if !ok {
			require.Empty(t, environment)
			require.Zero(t, hash)

			return
		}
		require.True(t, strings.HasPrefix(secret, "lnt_"+string(environment)+"_"))
		require.Equal(t, sha256.Sum256([]byte(secret)), hash)
		changed := []byte(secret)
		changed[int(at)%len(changed)] = other
		if string(changed) == secret {
			return
		}
		_, _, ok = apikey.Parse(string(changed))
		require.False(t, ok, "a typo is noticed")
	})
}
