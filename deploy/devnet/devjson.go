package devnet

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lntpay/lntpay/deploy/devnet/internal/flock"
)

// DevJSON is .lntpay/dev.json: what a running stack tells tests, scripts and
// other commands about itself. It is rewritten whenever a process is started.
type DevJSON struct {
	// APIURL is without /v1.
	APIURL            string `json:"api_url"`
	OperatorURL       string `json:"operator_url"`
	DocsURL           string `json:"docs_url"`
	TemporalAddress   string `json:"temporal_address"`
	TemporalUIURL     string `json:"temporal_ui_url"`
	TemporalNamespace string `json:"temporal_namespace"`
	// DatabaseURL is the DSN of the runtime role.
	DatabaseURL string  `json:"database_url"`
	WorkspaceID string  `json:"workspace_id"`
	APIKeys     APIKeys `json:"api_keys"`
	// Processes are process ids by name; postgres is missing when the stack
	// uses one that it did not start.
	Processes map[string]int `json:"processes"`
	Lnd       LndPair        `json:"lnd"`
	Btcd      BtcdJSON       `json:"btcd"`

	// stateDir is where it was read.
	stateDir string
}

// APIKeys are the keys that the stack made for its user.
type APIKeys struct {
	Sandbox string `json:"sandbox"`
}

// LndPair are the two nodes of a stack.
type LndPair struct {
	Merchant *Lnd `json:"merchant"`
	Payer    *Lnd `json:"payer"`
}

// BtcdJSON is how btcd is reached.
type BtcdJSON struct {
	RPC      string `json:"rpc"`
	User     string `json:"user"`
	Password string `json:"password"`
	// Cert is a file path.
	Cert string `json:"cert"`
}

// ErrNotRunning says that there is no running stack.
var ErrNotRunning = errors.New("no development stack is running")

// FindRunning finds the running stack: in stateDir, or, when that is empty, in
// the .lntpay of the working directory or of a folder above it. A stack that
// was killed leaves its dev.json behind; its lock tells.
func FindRunning(stateDir string) (*DevJSON, error) {
	if stateDir == "" {
		var err error
		if stateDir, err = findState(); err != nil {
			return nil, err
		}
	}
	stateDir, err := filepath.Abs(stateDir)
	if err != nil {
		return nil, fmt.Errorf("find the state folder: %w", err)
	}
	found := &DevJSON{stateDir: stateDir}
	if err := readJSON(filepath.Join(stateDir, "dev.json"), found); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w in %s: start it with `lntpay dev`", ErrNotRunning, stateDir)
		}

		return nil, err
	}
	held, err := flock.Try(filepath.Join(stateDir, "lock"))
	if err == nil {
		_ = held.Release()

		return nil, fmt.Errorf("%w in %s any more: start it with `lntpay dev`", ErrNotRunning, stateDir)
	}
	if !errors.Is(err, flock.ErrHeld) {
		return nil, err
	}
	for name, node := range map[string]*Lnd{"merchant": found.Lnd.Merchant, "payer": found.Lnd.Payer} {
		if node != nil {
			node.name = name
		}
	}

	return found, nil
}

// findState walks up from the working directory to a folder with a dev.json.
func findState() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the state folder: %w", err)
	}
	for {
		if isRegular(filepath.Join(folder, DefaultStateDir, "dev.json")) {
			return filepath.Join(folder, DefaultStateDir), nil
		}
		// Inside the state folder itself, such as .lntpay/bin.
		if filepath.Base(folder) == DefaultStateDir && isRegular(filepath.Join(folder, "dev.json")) {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("%w here: start it with `lntpay dev`, or name its folder with --state-dir", ErrNotRunning)
		}
		folder = filepath.Dir(folder)
	}
}

// Environ is the configuration of the stack's api and worker, as LNTPAY_*
// variables by name, so that any other command can work on the same stack.
func (d *DevJSON) Environ() (map[string]string, error) {
	file, err := os.Open(filepath.Join(d.stateDir, envFile))
	if err != nil {
		return nil, fmt.Errorf("read the stack's configuration: %w", err)
	}
	defer func() { _ = file.Close() }()
	env := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			env[name] = value
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the stack's configuration: %w", err)
	}

	return env, nil
}

// Program is what the stack's api and worker are run from.
func (d *DevJSON) Program() string { return filepath.Join(d.stateDir, "bin", "lntpay") }

// AdminURL is the DSN of the superuser of the stack's Postgres, for a database
// of this name. Only a server that the stack started itself has one.
func (d *DevJSON) AdminURL(name string) (string, error) {
	if _, ours := d.Processes["postgres"]; !ours {
		return "", errors.New("the stack uses a Postgres that it did not start")
	}
	var made secrets
	if err := readJSON(filepath.Join(d.stateDir, "secrets.json"), &made); err != nil {
		return "", err
	}
	config, err := parsePostgres(d.DatabaseURL)
	if err != nil {
		return "", err
	}

	return postgresDSN(fmt.Sprintf("%s:%d", config.Host, config.Port), superuser, made.Postgres, name), nil
}

// chain is the stack's btcd.
func (d *DevJSON) chain() *Btcd {
	return &Btcd{RPC: d.Btcd.RPC, User: d.Btcd.User, Password: d.Btcd.Password, Cert: d.Btcd.Cert}
}
