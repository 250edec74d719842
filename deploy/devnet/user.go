package devnet

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// User is another user of this machine that a program runs as.
type User struct {
	// Name is its login name.
	Name     string
	UID, GID uint32
}

// systemStateDir holds what another user must reach when we are root and the
// state folder lies where that user may not go, such as below /root.
const systemStateDir = "/var/lib/lntpay-dev"

// postgresUser is who Postgres runs as: nil, which is ourselves, unless we are
// root, because initdb and postgres refuse to run as root.
func postgresUser() (*User, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}

		return &User{Name: name, UID: uint32(uid), GID: uint32(gid)}, nil
	}

	return nil, errors.New("Postgres refuses to run as root, and there is neither a user postgres nor a user nobody: " +
		"run lntpay dev as an ordinary user, or give a running Postgres with --database-url")
}

// canReach reports whether u may enter a folder and all folders above it.
func (u *User) canReach(folder string) bool {
	for ; ; folder = filepath.Dir(folder) {
		info, err := os.Stat(folder)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it will be made, for this user
		}
		if err != nil || !u.canEnter(info) {
			return false
		}
		if folder == filepath.Dir(folder) {
			return true
		}
	}
}

// dataDir gives the folder for u's data that belongs to a state folder: name
// in it where u can go there, else one below systemStateDir. The choice is
// recorded in the state folder, because it must not change when permissions do.
func (u *User) dataDir(state, name string) (string, error) {
	record := filepath.Join(state, name+".path")
	if text, err := os.ReadFile(record); err == nil {
		return string(text), nil
	}
	folder := filepath.Join(state, name)
	if u != nil && !u.canReach(state) {
		sum := sha256.Sum256([]byte(state))
		folder = filepath.Join(systemStateDir, hex.EncodeToString(sum[:8]), name)
		// What lies there without a record is of a state folder that was removed.
		if err := os.RemoveAll(folder); err != nil {
			return "", fmt.Errorf("remove the data of a removed state folder: %w", err)
		}
	}
	if err := os.WriteFile(record, []byte(folder), 0o600); err != nil {
		return "", fmt.Errorf("record where %s keeps its data: %w", name, err)
	}

	return folder, nil
}

// own makes a folder that only u may enter.
func (u *User) own(folder string) error {
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return fmt.Errorf("make a data folder: %w", err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make a data folder: %w", err)
	}
	if u == nil {
		return nil
	}
	if err := os.Chown(folder, int(u.UID), int(u.GID)); err != nil {
		return fmt.Errorf("give a data folder to %s: %w", u.Name, err)
	}

	return nil
}

// write writes a file that only u may read.
func (u *User) write(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write for %s: %w", u.name(), err)
	}
	if u == nil {
		return nil
	}
	if err := os.Chown(path, int(u.UID), int(u.GID)); err != nil {
		return fmt.Errorf("give a file to %s: %w", u.Name, err)
	}

	return nil
}

// name is u's name in a message.
func (u *User) name() string {
	if u == nil {
		return "ourselves"
	}

	return u.Name
}
