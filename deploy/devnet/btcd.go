package devnet

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lntpay/lntpay/deploy/devnet/tools"
)

// BtcdPorts are the ports of btcd on loopback.
type BtcdPorts struct{ RPC, Peers int }

// Btcd is how a regtest btcd is reached.
type Btcd struct {
	// RPC is host:port.
	RPC            string
	User, Password string
	// Cert is the path of its certificate.
	Cert string

	dir     string
	process *Process
}

// BtcdOptions say how btcd is run.
type BtcdOptions struct {
	Dir      string
	Ports    BtcdPorts
	Password string
	Log      string
	// Tools has the path of btcd.
	Tools map[tools.Name]string
}

// StartBtcd runs a regtest btcd of its own in dir, for tests. It can mine once
// it has an address to mine to: see Btcd.MineTo, which Fund calls.
func StartBtcd(ctx context.Context, dir string, ports BtcdPorts) (chain *Btcd, stop func(), err error) {
	built, err := tools.Build(ctx, nil, tools.Btcd)
	if err != nil {
		return nil, nil, err
	}
	chain, spec, err := btcdSpec(BtcdOptions{
		Dir: dir, Ports: ports, Password: "devnet", Log: filepath.Join(dir, "btcd.log"), Tools: built,
	})
	if err != nil {
		return nil, nil, err
	}
	if chain.process, err = Start(ctx, spec); err != nil {
		return nil, nil, err
	}

	return chain, chain.process.Stop, nil
}

// btcdSpec says how btcd is run and reached.
func btcdSpec(o BtcdOptions) (*Btcd, Spec, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, Spec{}, fmt.Errorf("find the folder of btcd: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, Spec{}, fmt.Errorf("make the folder of btcd: %w", err)
	}
	chain := &Btcd{
		RPC: address(o.Ports.RPC), User: "lntpay", Password: o.Password, Cert: filepath.Join(dir, "rpc.cert"), dir: dir,
	}
	// The password is in a file because everybody can read arguments.
	config := filepath.Join(dir, "btcd.conf")
	text := fmt.Sprintf("[Application Options]\nrpcuser=%s\nrpcpass=%s\n", chain.User, chain.Password)
	if err := writeFile(config, []byte(text)); err != nil {
		return nil, Spec{}, err
	}
	args := func() []string {
		args := []string{
			"--regtest", "--txindex", "--nodnsseed", "--configfile=" + config,
			"--datadir=" + filepath.Join(dir, "data"), "--logdir=" + filepath.Join(dir, "logs"),
			"--rpclisten=" + chain.RPC, "--rpccert=" + chain.Cert, "--rpckey=" + filepath.Join(dir, "rpc.key"),
			"--listen=" + address(o.Ports.Peers),
		}
		if to := chain.miningAddress(); to != "" {
			args = append(args, "--miningaddr="+to)
		}

		return args
	}

	return chain, Spec{
		Name: "btcd", Path: o.Tools[tools.Btcd], Args: args, Dir: dir, Log: o.Log, Keep: true,
		Ready: func(ctx context.Context) error {
			_, err := chain.Height(ctx)

			return err
		},
	}, nil
}

// miningAddress is where new coins go, empty until MineTo.
func (b *Btcd) miningAddress() string {
	text, _ := os.ReadFile(filepath.Join(b.dir, "mining-address"))

	return strings.TrimSpace(string(text))
}

// MineTo sets where new coins go. btcd takes the address by flag only, so it
// is restarted.
func (b *Btcd) MineTo(ctx context.Context, to string) error {
	if err := os.WriteFile(filepath.Join(b.dir, "mining-address"), []byte(to), 0o600); err != nil {
		return fmt.Errorf("keep the mining address: %w", err)
	}
	if err := b.process.Restart(ctx); err != nil {
		return err
	}

	return b.process.WaitReady(ctx)
}

// Mine mines n blocks and returns their hashes.
func (b *Btcd) Mine(ctx context.Context, n int) ([]string, error) {
	if n < 1 || n > 10_000 {
		return nil, fmt.Errorf("mine %d blocks: choose a number from 1 to 10000", n)
	}
	var hashes []string
	if err := b.call(ctx, &hashes, "generate", n); err != nil {
		return nil, fmt.Errorf("mine %d blocks: %w", n, err)
	}

	return hashes, nil
}

// Height is the number of the newest block.
func (b *Btcd) Height(ctx context.Context) (int, error) {
	var height int
	if err := b.call(ctx, &height, "getblockcount"); err != nil {
		return 0, fmt.Errorf("ask btcd for its height: %w", err)
	}

	return height, nil
}

// call is one JSON-RPC call within 30 s.
func (b *Btcd) call(ctx context.Context, result any, method string, params ...any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": 1, "method": method, "params": append([]any{}, params...)})
	if err != nil {
		return fmt.Errorf("write the call: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+b.RPC, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the call: %w", err)
	}
	request.SetBasicAuth(b.User, b.Password)
	client, err := b.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("call btcd: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusUnauthorized {
		return errors.New("btcd refuses our password")
	}
	var answer struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read btcd's answer (%s): %w", response.Status, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("btcd: %s", answer.Error.Message)
	}
	if err := json.Unmarshal(answer.Result, result); err != nil {
		return fmt.Errorf("read btcd's answer: %w", err)
	}

	return nil
}

// client trusts btcd's own certificate and nothing else.
func (b *Btcd) client() (*http.Client, error) {
	pem, err := os.ReadFile(b.Cert)
	if err != nil {
		return nil, fmt.Errorf("read btcd's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", b.Cert)
	}

	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}}, nil
}
