package devnet

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// DefaultStateDir is the state folder's name in the repository.
const DefaultStateDir = ".lntpay"

// state is the folder that holds everything a stack keeps.
type state struct{ dir string }

// openState makes the folder. Root's is open to pass through, because Postgres
// runs as another user inside it; what is secret in it is not readable.
func openState(dir string) (state, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return state{}, fmt.Errorf("find the state folder: %w", err)
	}
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	for _, folder := range []string{dir, filepath.Join(dir, "logs"), filepath.Join(dir, "bin")} {
		if err := os.MkdirAll(folder, mode); err != nil {
			return state{}, fmt.Errorf("make the state folder: %w", err)
		}
	}
	// Nothing in it belongs into a repository, wherever it lies.
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), 0o600); err != nil {
		return state{}, fmt.Errorf("prepare the state folder: %w", err)
	}

	return state{dir: dir}, nil
}

func (s state) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

func (s state) log(name string) string { return s.path("logs", name+".log") }

// secrets are the passwords that a stack made for itself, once.
type secrets struct {
	Postgres string            `json:"postgres"`
	Roles    map[string]string `json:"roles"`
	Btcd     string            `json:"btcd"`
}

// secrets reads the passwords and makes them the first time.
func (s state) secrets() (secrets, error) {
	var made secrets
	err := readJSON(s.path("secrets.json"), &made)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return made, err
	}
	made = secrets{
		Postgres: randomHex(16), Btcd: randomHex(16),
		Roles: map[string]string{ownerRole: randomHex(16), runtimeRole: randomHex(16), temporalRole: randomHex(16)},
	}

	return made, writeJSON(s.path("secrets.json"), made)
}

// keyFile makes a file of 32 random bytes in hex once and gives its path.
func (s state) keyFile(name string) (string, error) {
	path := s.path(name)
	if isRegular(path) {
		return path, nil
	}

	return path, writeFile(path, []byte(randomHex(32)+"\n"))
}

// installSelf copies the running program to bin/lntpay, which api and worker
// are run from: `go run` removes its binary, and a build must not pull the
// rug from under running processes.
func (s state) installSelf() (string, error) {
	target := s.path("bin", "lntpay")
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the running program: %w", err)
	}
	own, err := os.Stat(self)
	if err != nil {
		return "", fmt.Errorf("find the running program: %w", err)
	}
	if installed, err := os.Stat(target); err == nil && os.SameFile(own, installed) {
		return target, nil
	}
	if err := copyProgram(self, target); err != nil {
		return "", fmt.Errorf("copy the running program to %s: %w", target, err)
	}

	return target, nil
}

// copyProgram writes a copy beside its target and renames it: a running
// program's file cannot be written to.
func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	if err := errors.Join(err, target.Close()); err != nil {
		return err
	}

	return os.Rename(to+".new", to)
}

// writeFile replaces a file that is for our eyes only, whole or not at all.
func writeFile(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}

	return nil
}

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}

	return writeFile(path, append(text, '\n'))
}

func readJSON(path string, value any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if err := json.Unmarshal(text, value); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}

	return nil
}

func isRegular(path string) bool {
	info, err := os.Stat(path)

	return err == nil && info.Mode().IsRegular()
}

// randomHex is n random bytes in hex.
func randomHex(n int) string {
	bytes := make([]byte, n)
	_, _ = rand.Read(bytes) // never fails, crypto/rand

	return hex.EncodeToString(bytes)
}
