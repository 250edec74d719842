package regtest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/lntpay/lntpay/lightning"
)

const (
	certPath     = "tls.cert"
	macaroonPath = "data/chain/bitcoin/regtest/admin.macaroon"
)

// Lnd is one of the nodes. The clients are for tests to do what LNTPay
// does not; they have the admin macaroon.
type Lnd struct {
	machine
	at   place
	conn *grpc.ClientConn
	// serverName is what the certificate is for; the address' host if empty.
	serverName string

	// Config is for lightning.Connect, with one macaroon that allows
	// ReceivePermissions and one that allows SpendPermissions, and nothing else.
	Config lightning.Config
	// AdminMacaroonFile opens everything.
	AdminMacaroonFile string
	// Lightning, Router and Invoices are raw clients.
	Lightning lnrpc.LightningClient
	Router    routerrpc.RouterClient
	Invoices  invoicesrpc.InvoicesClient
}

// runLnd starts a node and waits until it answers, not until it is synced.
// dir is where its certificate and macaroon are copied to.
func runLnd(ctx context.Context, h host, tool, name, dir string, chain *btcd, extra ...string) (*Lnd, error) {
	at, err := h.place(name, "rpc", "rest", "p2p")
	if err != nil {
		return nil, err
	}
	args := append([]string{
		"--lnddir=" + at.dir, "--noseedbackup", "--alias=" + name,
		"--bitcoin.regtest", "--bitcoin.node=btcd",
		"--btcd.rpchost=" + chain.at.peerAddress("rpc"),
		"--btcd.rpcuser=" + rpcUser, "--btcd.rpcpass=" + rpcPass,
		"--btcd.rpccert=" + at.dir + "/btcd.cert",
		"--rpclisten=" + at.bindAddress("rpc"), "--restlisten=" + at.bindAddress("rest"),
		"--listen=" + at.bindAddress("p2p"), "--tlsextradomain=" + at.host,
		"--trickledelay=50", "--protocol.wumbo-channels", "--maxpendingchannels=10",
		// accept-keysend and accept-amp are off by default; lnd's command line
		// refuses "=false".
		"--store-final-htlc-resolutions",
	}, extra...)
	started, err := h.run(ctx, at, program{
		tool: tool, args: args, files: map[string][]byte{"btcd.cert": chain.cert},
	})
	if err != nil {
		return nil, err
	}
	n := &Lnd{machine: started, at: at, Config: lightning.Config{
		Name: name, Network: "regtest", Address: at.localAddress("rpc"),
		TLSCertFile: filepath.Join(dir, name+".cert"),
	}, AdminMacaroonFile: filepath.Join(dir, name+".macaroon")}
	if err := n.open(ctx); err != nil {
		return nil, fmt.Errorf("lnd %s: %w\n%s", name, err, started.tail(ctx))
	}

	return n, nil
}

// open copies the credentials out and dials.
func (n *Lnd) open(ctx context.Context) error {
	for path, local := range map[string]string{
		certPath: n.Config.TLSCertFile, macaroonPath: n.AdminMacaroonFile,
	} {
		err := until(ctx, func() error {
			if err := n.alive(ctx); err != nil {
				return err
			}

			return n.copyOut(ctx, path, local)
		})
		if err != nil {
			return err
		}
	}
	if err := n.dial(ctx); err != nil {
		return err
	}
	var err error
	if n.Config.MacaroonFile, err = n.Bake(ctx, "receive", lightning.ReceivePermissions()); err != nil {
		return err
	}
	n.Config.SpendMacaroonFile, err = n.Bake(ctx, "spend", lightning.SpendPermissions())

	return err
}

// dial makes the clients, and waits until the node says who it is.
func (n *Lnd) dial(ctx context.Context) (err error) {
	if n.conn, err = n.Connect(); err != nil {
		return err
	}
	n.Lightning = lnrpc.NewLightningClient(n.conn)
	n.Router = routerrpc.NewRouterClient(n.conn)
	n.Invoices = invoicesrpc.NewInvoicesClient(n.conn)

	return until(ctx, func() error {
		info, err := n.Lightning.GetInfo(ctx, &lnrpc.GetInfoRequest{})
		n.Config.Pubkey = info.GetIdentityPubkey()

		return err
	})
}

// Connect dials the node with the admin macaroon. Whoever calls it closes the
// connection.
func (n *Lnd) Connect() (*grpc.ClientConn, error) {
	creds, err := credentials.NewClientTLSFromFile(n.Config.TLSCertFile, n.serverName)
	if err != nil {
		return nil, err
	}
	macaroon, err := os.ReadFile(n.AdminMacaroonFile)
	if err != nil {
		return nil, err
	}

	return grpc.NewClient(n.Config.Address, grpc.WithTransportCredentials(creds),
		grpc.WithPerRPCCredentials(macaroonHex(hex.EncodeToString(macaroon))))
}

// copyOut copies a file, which lnd may not have written whole yet.
func (n *Lnd) copyOut(ctx context.Context, path, local string) error {
	content, err := n.read(ctx, path)
	if err != nil {
		return err
	}
	if len(content) == 0 || path == certPath && !strings.Contains(string(content), "END CERTIFICATE") {
		return fmt.Errorf("%s is not written yet", path)
	}

	return os.WriteFile(local, content, 0o600)
}

// synced waits until the node has seen the chain's tip.
func (n *Lnd) synced(ctx context.Context, height uint32) error {
	return until(ctx, func() error {
		info, err := n.Lightning.GetInfo(ctx, &lnrpc.GetInfoRequest{})
		if err != nil {
			return err
		}
		if !info.SyncedToChain || info.BlockHeight < height {
			return fmt.Errorf("%s is at block %d of %d, synced: %t",
				n.Config.Name, info.BlockHeight, height, info.SyncedToChain)
		}

		return nil
	})
}

// Bake writes a macaroon with the given URIs next to the admin one and gives
// back its path.
func (n *Lnd) Bake(ctx context.Context, name string, uris []string) (string, error) {
	request := &lnrpc.BakeMacaroonRequest{}
	for _, uri := range uris {
		request.Permissions = append(request.Permissions, &lnrpc.MacaroonPermission{Entity: "uri", Action: uri})
	}
	answer, err := n.Lightning.BakeMacaroon(ctx, request)
	if err != nil {
		return "", fmt.Errorf("bake macaroon %s: %w", name, err)
	}
	macaroon, err := hex.DecodeString(answer.Macaroon)
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(n.AdminMacaroonFile), n.Config.Name+"."+name+".macaroon")

	return path, os.WriteFile(path, macaroon, 0o600)
}

// macaroonHex sends a macaroon with every call.
type macaroonHex string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (m macaroonHex) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"macaroon": string(m)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (m macaroonHex) RequireTransportSecurity() bool { return true }

// pollEvery is how often until asks again.
const pollEvery = 50 * time.Millisecond

// errGone ends until: the program has exited.
var errGone = errors.New("it has exited")

// until repeats a question until it is answered, the context ends, or there is
// nobody left to ask; it says what the last answer was.
func until(ctx context.Context, ask func() error) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil || errors.Is(err, errGone) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", ctx.Err(), err)
		case <-ticker.C:
		}
	}
}
