package devnet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// say prints a line of progress.
func (s *stack) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.o.Out, format+"\n", args...)
}

// took prints how long a component needed.
func (s *stack) took(name string, began time.Time) {
	s.say("  %-13s ready %5.1f s (at %.1f s)", name, time.Since(began).Seconds(), time.Since(s.began).Seconds())
}

// goLive writes dev.json for the first time.
func (s *stack) goLive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	dsn, err := s.db.dsn(runtimeRole, s.secrets.Roles[runtimeRole], sandboxDB)
	if err != nil {
		return err
	}
	api := "http://" + address(s.ports.API)
	s.json.APIURL, s.json.DocsURL = api, api+"/docs"
	s.json.OperatorURL = "http://" + address(s.ports.APIOperator)
	s.json.TemporalAddress = address(s.ports.Temporal.Frontend)
	s.json.TemporalUIURL = "http://" + address(s.ports.TemporalUI)
	s.json.TemporalNamespace = sandboxNamespace
	s.json.DatabaseURL = dsn
	s.json.Lnd = LndPair{Merchant: s.merchant, Payer: s.payer}
	s.json.Btcd = BtcdJSON{RPC: s.chain.RPC, User: s.chain.User, Password: s.chain.Password, Cert: s.chain.Cert}
	// The lock is held, so no process was restarted unseen between here and
	// the file.
	s.live = true

	return writeJSON(s.state.path("dev.json"), s.json)
}

// banner says where everything is and what to try.
func (s *stack) banner() {
	lines := []string{
		fmt.Sprintf("\nReady in %.1f s.\n", time.Since(s.began).Seconds()),
		"  API           " + s.json.APIURL + "/v1",
		"  Documentation " + s.json.DocsURL,
		"  Temporal UI   " + s.json.TemporalUIURL,
		"  Operator      " + s.json.OperatorURL + "/readyz, /metrics",
		"  Everything    " + s.state.path("dev.json"),
		"  Logs          " + s.state.path("logs"),
	}
	if key := s.json.APIKeys.Sandbox; key != "" {
		program := s.state.path("bin", "lntpay")
		if here, err := os.Getwd(); err == nil {
			if relative, err := filepath.Rel(here, program); err == nil && !strings.HasPrefix(relative, "..") {
				program = relative
			}
		}
		lines = append(lines,
			"  Key           "+key,
			"\nTry it: create a charge, pay its bolt11 from the other node, read the balance:\n",
			fmt.Sprintf("  curl -s %s/v1/charges -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{\"amount_sats\":1000}'",
				s.json.APIURL, key),
			"  "+program+" dev pay <bolt11>",
			fmt.Sprintf("  curl -s %s/v1/balance -H 'Authorization: Bearer %s'", s.json.APIURL, key),
			"\nTo see the signed webhook, run this in another terminal first:\n",
			"  "+program+" dev listen")
	}
	s.say("%s\n\nCtrl-C stops everything; the state stays in %s.", strings.Join(lines, "\n"), s.state.dir)
}

// removeIfThere removes a file that may be missing.
func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a file of the stack before: %w", err)
	}

	return nil
}

// readText reads a short file.
func readText(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}

	return strings.TrimSpace(string(text)), nil
}
