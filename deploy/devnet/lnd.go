package devnet

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lightningnetwork/lnd/lnrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/lntpay/lntpay/deploy/devnet/tools"
)

// LndPorts are the ports of an lnd node on loopback.
type LndPorts struct{ RPC, REST, Peers int }

// Lnd is how a node is reached.
type Lnd struct {
	// RPC and REST are host:port.
	RPC  string `json:"rpc"`
	REST string `json:"rest"`
	// TLSCert and Macaroon are file paths; the macaroon is the admin's.
	TLSCert  string `json:"tls_cert"`
	Macaroon string `json:"macaroon"`
	// Pubkey is the node's identity in hex.
	Pubkey string `json:"pubkey"`

	name  string
	peers string
}

// LndOptions say how a node is run.
type LndOptions struct {
	// Name is its alias.
	Name  string
	Dir   string
	Ports LndPorts
	Chain *Btcd
	Log   string
	// Tools has the path of lnd.
	Tools map[tools.Name]string
}

// StartLnd runs an lnd node of its own on a regtest btcd, for tests. It
// returns once the node answers, which is before it is synced to the chain.
func StartLnd(ctx context.Context, name, dir string, ports LndPorts, chain *Btcd) (node *Lnd, stop func(), err error) {
	built, err := tools.Build(ctx, nil, tools.Lnd)
	if err != nil {
		return nil, nil, err
	}
	node, spec, err := lndSpec(LndOptions{
		Name: name, Dir: dir, Ports: ports, Chain: chain, Log: filepath.Join(dir, name+".log"), Tools: built,
	})
	if err != nil {
		return nil, nil, err
	}
	process, err := Start(ctx, spec)
	if err != nil {
		return nil, nil, err
	}
	if err := node.identify(ctx); err != nil {
		process.Stop()

		return nil, nil, err
	}

	return node, process.Stop, nil
}

// lndSettings is lnd.conf: a flag cannot say false, and everybody can read a
// password that is one. Nobody pays a node of ours
// without an invoice that we made, and it can say later how each HTLC ended.
const lndSettings = `[Application Options]
accept-keysend=false
accept-amp=false
store-final-htlc-resolutions=true

[btcd]
btcd.rpcuser=%s
btcd.rpcpass=%s
`

// lndSpec says how a node is run and reached.
func lndSpec(o LndOptions) (*Lnd, Spec, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, Spec{}, fmt.Errorf("find the folder of %s: %w", o.Name, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, Spec{}, fmt.Errorf("make the folder of %s: %w", o.Name, err)
	}
	settings := fmt.Sprintf(lndSettings, o.Chain.User, o.Chain.Password)
	if err := writeFile(filepath.Join(dir, "lnd.conf"), []byte(settings)); err != nil {
		return nil, Spec{}, err
	}
	node := &Lnd{
		RPC: address(o.Ports.RPC), REST: address(o.Ports.REST),
		TLSCert:  filepath.Join(dir, "tls.cert"),
		Macaroon: filepath.Join(dir, "data", "chain", "bitcoin", "regtest", "admin.macaroon"),
		name:     o.Name, peers: address(o.Ports.Peers),
	}
	args := []string{
		"--lnddir=" + dir, "--alias=" + o.Name, "--noseedbackup", "--nobootstrap", "--bitcoin.regtest",
		"--bitcoin.node=btcd", "--btcd.rpchost=" + o.Chain.RPC, "--btcd.rpccert=" + o.Chain.Cert,
		"--rpclisten=" + node.RPC, "--restlisten=" + node.REST, "--listen=" + node.peers,
		// Channels of a size that fits the largest charge, several at once, and
		// gossip and reconnects in seconds.
		"--protocol.wumbo-channels", "--maxpendingchannels=20", "--trickledelay=50", "--maxbackoff=3s",
	}

	return node, Spec{
		Name: "lnd_" + o.Name, Path: o.Tools[tools.Lnd], Args: func() []string { return args },
		Dir: dir, Log: o.Log, Keep: true, Ready: node.answers,
	}, nil
}

// Connect opens a connection to the node's gRPC. The caller closes it.
func (n *Lnd) Connect() (*grpc.ClientConn, error) {
	tls, err := credentials.NewClientTLSFromFile(n.TLSCert, "")
	if err != nil {
		return nil, fmt.Errorf("read the certificate of %s: %w", n.name, err)
	}
	macaroon, err := os.ReadFile(n.Macaroon)
	if err != nil {
		return nil, fmt.Errorf("read the macaroon of %s: %w", n.name, err)
	}
	conn, err := grpc.NewClient(n.RPC, grpc.WithTransportCredentials(tls),
		grpc.WithPerRPCCredentials(macaroonCredential(hex.EncodeToString(macaroon))))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", n.name, err)
	}

	return conn, nil
}

// macaroonCredential sends a macaroon the way lnd wants it: in hex, as
// metadata of every call.
type macaroonCredential string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (m macaroonCredential) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"macaroon": string(m)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (macaroonCredential) RequireTransportSecurity() bool { return true }

// with calls f with a client of the node.
func (n *Lnd) with(f func(lnrpc.LightningClient) error) error {
	conn, err := n.Connect()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()

	return f(lnrpc.NewLightningClient(conn))
}

// info asks the node who it is and how it is.
func (n *Lnd) info(ctx context.Context) (info *lnrpc.GetInfoResponse, err error) {
	err = n.with(func(lnd lnrpc.LightningClient) error {
		info, err = lnd.GetInfo(ctx, &lnrpc.GetInfoRequest{})

		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask %s for its state: %w", n.name, err)
	}

	return info, nil
}

// answers reports whether the node's RPC server is up.
func (n *Lnd) answers(ctx context.Context) error {
	_, err := n.info(ctx)

	return err
}

// synced reports whether the node has seen the whole chain.
func (n *Lnd) synced(ctx context.Context) error {
	info, err := n.info(ctx)
	if err == nil && !info.SyncedToChain {
		err = errors.New(n.name + " is not synced to the chain yet")
	}

	return err
}

// identify learns the node's pubkey.
func (n *Lnd) identify(ctx context.Context) error {
	info, err := n.info(ctx)
	if err != nil {
		return err
	}
	n.Pubkey = info.IdentityPubkey

	return nil
}
