package lightning_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
)

var (
	keyA = [lightning.KeySize]byte{0xaa, 31: 1}
	keyB = [lightning.KeySize]byte{0xbb, 31: 2}
)

// TestDeriveIsStable pins the derivation: a change would make the preimages
// of open charges unreachable.
func TestDeriveIsStable(t *testing.T) {
	t.Parallel()
	ring, err := lightning.NewKeyRing(keyA, keyB)
	require.NoError(t, err)
	require.Equal(t, "751edf822bc2ed52", ring.CurrentKeyID())
	p, err := ring.Derive(ring.CurrentKeyID(), payments.Sandbox, "merchant", "ch_1")
	require.NoError(t, err)
	require.Equal(t, "5b095c8700edbd5aa2e57ec1594d9700ac8f969b51a32d23054eaefe213f8ec7", p.Hash().String())
	p, err = ring.DeriveSandbox(ring.CurrentKeyID(), "sbi_1")
	require.NoError(t, err)
	require.Equal(t, "20987d3649c8cf4598c3cb536532fb4bb43de46f0223a7d5a267aa36e0d8e7bc", p.Hash().String())
	fingerprint := ring.Fingerprints()[ring.CurrentKeyID()]
	require.Equal(t, "e9aeddf608ca4b45", hex.EncodeToString(fingerprint[:8]))
}

func TestDeriveSeparates(t *testing.T) {
	t.Parallel()
	ring, err := lightning.NewKeyRing(keyA, keyB)
	require.NoError(t, err)
	seen := map[lightning.Hash]string{}
	for _, key := range [][lightning.KeySize]byte{keyA, keyB} {
		for _, name := range [][3]string{
			{"sandbox", "n", "c"}, {"production", "n", "c"}, {"sandbox", "n2", "c"}, {"sandbox", "n", "c2"},
			{"sandbox", "nc", "c"}, {"sandboxn", "n", "c"},
		} {
			p, err := ring.Derive(lightning.KeyID(key), payments.Environment(name[0]), name[1], name[2])
			require.NoError(t, err)
			label := lightning.KeyID(key) + strings.Join(name[:], "/")
			require.NotContains(t, seen, p.Hash(), "%s and %s", seen[p.Hash()], label)
			seen[p.Hash()] = label
		}
	}
	for _, name := range []string{"c", "c2"} {
		p, err := ring.DeriveSandbox(ring.CurrentKeyID(), name)
		require.NoError(t, err)
		require.NotContains(t, seen, p.Hash(), "sandbox invoice %s", name)
		seen[p.Hash()] = name
	}
	_, err = ring.DeriveSandbox(ring.CurrentKeyID(), "n\x00c")
	require.Error(t, err)
	for _, name := range [][3]string{
		{"", "n", "c"}, {"sandbox", "", "c"}, {"sandbox", "n", ""}, {"sandbox", "n\x00c", "c"}, {"sandbox", "n", "\x00"},
	} {
		_, err := ring.Derive(ring.CurrentKeyID(), payments.Environment(name[0]), name[1], name[2])
		require.Error(t, err)
	}
	_, err = ring.Derive("0000000000000000", payments.Sandbox, "n", "c")
	require.ErrorIs(t, err, lightning.ErrUnknownKey)
}

func TestKeyRingRefuses(t *testing.T) {
	t.Parallel()
	_, err := lightning.NewKeyRing(keyA, keyA)
	require.Error(t, err, "twice")
	_, err = lightning.NewKeyRing([lightning.KeySize]byte{})
	require.Error(t, err, "zeros")
}

// TestSecretsDoNotPrint tries every common way to write a value down.
func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	ring, err := lightning.NewKeyRing(keyA)
	require.NoError(t, err)
	secret := lightning.Preimage(keyA)
	for _, value := range []any{ring, secret, &secret, struct{ P lightning.Preimage }{secret}, lightning.NewInvoice{Preimage: secret}} {
		var text strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q"} {
			fmt.Fprintf(&text, verb+"\n", value)
		}
		logger := slog.New(slog.NewJSONHandler(&text, nil))
		logger.Info("x", "value", value)
		slog.New(slog.NewTextHandler(&text, nil)).Info("x", "value", value)
		encoded, err := json.Marshal(value)
		require.Error(t, err)
		text.Write(encoded)
		// keyA begins with the byte 170 = 0xaa.
		require.NotContains(t, strings.ToLower(text.String()), "aa")
		require.NotContains(t, text.String(), "170")
	}
}

func TestLoadKeyRing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), mode))

		return path
	}
	good := write("a", fmt.Sprintf("%x\n", keyA), 0o600)
	open := write("b", fmt.Sprintf(" %x ", keyB), 0o644)
	ring, err := lightning.LoadKeyRing(good, []string{open})
	require.NoError(t, err)
	require.Equal(t, lightning.KeyID(keyA), ring.CurrentKeyID())
	require.Contains(t, ring.Fingerprints(), lightning.KeyID(keyB))

	for name, content := range map[string]string{
		"short": "abcd", "long": strings.Repeat("a", 66), "empty": "", "not hex": strings.Repeat("z", 64),
		"zeros": strings.Repeat("0", 64),
	} {
		_, err := lightning.LoadKeyRing(write(name, content, 0o600), nil)
		require.Error(t, err, name)
		if content != "" {
			require.NotContains(t, err.Error(), content, name)
		}
	}
	_, err = lightning.LoadKeyRing(filepath.Join(dir, "missing"), nil)
	require.Error(t, err)
}

func TestParseHash(t *testing.T) {
	t.Parallel()
	hash := lightning.Preimage(keyA).Hash()
	parsed, err := lightning.ParseHash(hash.String())
	require.NoError(t, err)
	require.Equal(t, hash, parsed)
	for _, wrong := range []string{"", "ab", strings.Repeat("g", 64), strings.Repeat("a", 66)} {
		_, err := lightning.ParseHash(wrong)
		require.Error(t, err)
	}
}
