package webhooks_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/webhooks"
)

func TestSealer(t *testing.T) {
	t.Parallel()
	s, err := webhooks.NewSealer([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	other, err := webhooks.NewSealer([]byte(strings.Repeat("o", 32)))
	require.NoError(t, err)
	sealed := s.Seal("we_1", "whsec_abc")
	require.NotContains(t, string(sealed), "whsec_")
	require.NotEqual(t, sealed, s.Seal("we_1", "whsec_abc"), "a nonce is used once")

	secret, err := s.Open("we_1", sealed)
	require.NoError(t, err)
	require.Equal(t, "whsec_abc", secret)

	damaged := append([]byte(nil), sealed...)
	damaged[len(damaged)-1] ^= 1
	unknown := append([]byte{9}, sealed[1:]...)
	for name, open := range map[string]func() (string, error){
		"another endpoint": func() (string, error) { return s.Open("we_2", sealed) },
		"another key":      func() (string, error) { return other.Open("we_1", sealed) },
		"damaged":          func() (string, error) { return s.Open("we_1", damaged) },
		"unknown version":  func() (string, error) { return s.Open("we_1", unknown) },
		"short":            func() (string, error) { return s.Open("we_1", sealed[:5]) },
		"nothing":          func() (string, error) { return s.Open("we_1", nil) },
	} {
		_, err := open()
		require.ErrorIs(t, err, webhooks.ErrSeal, name)
	}
}

func TestLoadSealer(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		content string
		ok      bool
	}{
		"good":          {strings.Repeat("ab", 32), true},
		"with newline":  {strings.Repeat("AB", 32) + "\n", true},
		"short":         {strings.Repeat("ab", 16), false},
		"long":          {strings.Repeat("ab", 33), false},
		"odd":           {strings.Repeat("ab", 32) + "a", false},
		"not hex":       {strings.Repeat("zz", 32), false},
		"empty":         {"", false},
		"raw 32 binary": {strings.Repeat("\x01", 32), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "key")
			require.NoError(t, os.WriteFile(file, []byte(tt.content), 0o600))
			s, err := webhooks.LoadSealer(file)
			if tt.ok {
				require.NoError(t, err)
				require.NotNil(t, s)

				return
			}
			require.ErrorContains(t, err, file)
			if tt.content != "" {
				require.NotContains(t, err.Error(), tt.content)
			}
		})
	}
	_, err := webhooks.LoadSealer(filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = webhooks.NewSealer([]byte("short"))
	require.Error(t, err)
}
