package lightning

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// othersMayRead are the permission bits that no key file should have.
const othersMayRead = 0o007

// LoadKeyRing reads the current and the retired preimage keys, each a file of
// 64 hex digits (surrounding space is ignored). A file that any user of the
// machine can read is used, with a warning: some secret mounts cannot do
// better. No error quotes a file's content.
func LoadKeyRing(currentFile string, oldFiles []string) (*KeyRing, error) {
	current, err := readKey(currentFile)
	if err != nil {
		return nil, err
	}
	old := make([][KeySize]byte, 0, len(oldFiles))
	for _, file := range oldFiles {
		key, err := readKey(file)
		if err != nil {
			return nil, err
		}
		old = append(old, key)
	}

	return NewKeyRing(current, old...)
}

// readKey reads one key file. The decoder's error is dropped on purpose: it
// names the offending character.
func readKey(file string) ([KeySize]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return [KeySize]byte{}, fmt.Errorf("lightning: preimage key: %w", err)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&othersMayRead != 0 {
		slog.Warn("preimage key file is open to every user of this machine",
			"file", file, "mode", info.Mode().Perm().String())
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != KeySize {
		return [KeySize]byte{}, fmt.Errorf("lightning: preimage key: %s must hold %d hex digits", file, 2*KeySize)
	}

	return [KeySize]byte(raw), nil
}
