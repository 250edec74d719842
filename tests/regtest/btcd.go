package regtest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"time"
)

// The RPC login of a btcd that lives for one test run on loopback.
const (
	rpcUser = "regtest"
	rpcPass = "regtest"
)

// btcd is the chain. Its certificate is made here: it must stay the same when
// btcd starts again with a mining address, and be known to lnd before.
type btcd struct {
	machine
	at        place
	tool      string
	cert, key []byte
	http      *http.Client
}

// newBtcd reserves the place and makes the certificate.
func newBtcd(h host, tool string) (*btcd, error) {
	at, err := h.place("btcd", "rpc", "p2p")
	if err != nil {
		return nil, err
	}
	b := &btcd{at: at, tool: tool}
	if b.cert, b.key, err = certificate(at.host); err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b.cert) {
		return nil, errors.New("the new certificate does not parse")
	}
	b.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}

	return b, nil
}

// run starts btcd, with an address that blocks pay when there is one already,
// and waits until it answers.
func (b *btcd) run(ctx context.Context, h host, miningAddress string) error {
	args := []string{
		"--regtest", "--txindex", "--nodnsseed",
		"--datadir=" + b.at.dir + "/chain", "--logdir=" + b.at.dir + "/logs",
		"--rpcuser=" + rpcUser, "--rpcpass=" + rpcPass,
		"--rpccert=" + b.at.dir + "/rpc.cert", "--rpckey=" + b.at.dir + "/rpc.key",
		"--rpclisten=" + b.at.bindAddress("rpc"), "--listen=" + b.at.bindAddress("p2p"),
	}
	if miningAddress != "" {
		args = append(args, "--miningaddr="+miningAddress)
	}
	started, err := h.run(ctx, b.at, program{
		tool: b.tool, args: args,
		files: map[string][]byte{"rpc.cert": b.cert, "rpc.key": b.key},
	})
	if err != nil {
		return err
	}
	b.machine = started

	return b.wait(ctx)
}

func (b *btcd) wait(ctx context.Context) error {
	return until(ctx, func() error { return b.call(ctx, "getblockcount", nil) })
}

// call makes one JSON-RPC call; answer may be nil.
func (b *btcd) call(ctx context.Context, method string, answer any, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, "https://"+b.at.localAddress("rpc"), bytes.NewReader(body),
	)
	if err != nil {
		return err
	}
	request.SetBasicAuth(rpcUser, rpcPass)
	response, err := b.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var result struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	if err := json.Unmarshal(text, &result); err != nil {
		return fmt.Errorf("btcd %s: %s: %w", method, response.Status, err)
	}
	if result.Error != nil {
		return fmt.Errorf("btcd %s: %s", method, result.Error.Message)
	}
	if answer == nil {
		return nil
	}

	return json.Unmarshal(result.Result, answer)
}

// certificate makes a self-signed one for a host name and loopback.
func certificate(hostName string) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hostName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		DNSNames: []string{hostName, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return nil, nil, err
	}

	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), nil
}
