package lightning

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightninglabs/lndclient"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/verrpc"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
)

// Limits of every lnd connection.
const (
	// callTimeout is the deadline of one unary call.
	callTimeout = 10 * time.Second
	// readyTimeout is the deadline of GetInfo: its answer is needed soon or
	// not at all.
	readyTimeout = 5 * time.Second
	// maxConcurrentCalls bounds the calls that wait in lnd. Its invoice
	// registry does them one at a time under one mutex
	// (invoices/invoiceregistry.go), so more in flight only wait there.
	maxConcurrentCalls = 32
)

// ReceivePermissions are the URIs of the macaroon that this package needs
// (`lntpay macaroons`): what is paid to the node, and who it is. It cannot pay.
// SubscribeState, which lndclient calls too, is open to all
// (rpcperms/interceptor.go). A new call's URI goes here or into
// SpendPermissions, and into operations.
func ReceivePermissions() []string {
	return []string{
		"/lnrpc.Lightning/AddInvoice",
		"/lnrpc.Lightning/LookupInvoice",
		"/lnrpc.Lightning/ListInvoices",
		"/lnrpc.Lightning/SubscribeInvoices",
		"/lnrpc.Lightning/ListChannels",
		"/lnrpc.Lightning/GetInfo",
		"/invoicesrpc.Invoices/CancelInvoice",
		"/verrpc.Versioner/GetVersion",
	}
}

// Config says which node, and how to reach it. It has the fields of
// config.Node, so one converts to the other.
type Config struct {
	// Name is written into every charge.
	Name string
	// Network is mainnet, testnet, signet or regtest.
	Network string
	// Address is lnd's gRPC host:port.
	Address string
	// TLSCertFile is lnd's tls.cert.
	TLSCertFile string
	// MacaroonFile is a macaroon with at least ReceivePermissions.
	MacaroonFile string
	// SpendMacaroonFile is a macaroon with at least SpendPermissions; empty
	// means MacaroonFile.
	SpendMacaroonFile string
	// Pubkey is the node's identity in hex; another node is refused.
	Pubkey string
}

// lnd is the Node on a real lnd.
type lnd struct {
	name     string
	pubkey   string
	params   *chaincfg.Params
	services *lndclient.GrpcLndServices
	calls    *semaphore.Weighted
	watchdog watchdog
	steady   *steadiness
	// spendMacaroon is in hex.
	spendMacaroon string

	receivable       receivableCache
	receivableFlight singleflight.Group
}

var _ Node = (*lnd)(nil)

// Option changes what Connect's defaults are; tests shorten times with it.
type Option func(*lnd)

// WithWatchdog sets how often a subscription asks the node whether it is
// alive (10 s) and how long it waits for the answer (5 s).
func WithWatchdog(interval, timeout time.Duration) Option {
	return func(n *lnd) { n.watchdog.interval, n.watchdog.timeout = interval, timeout }
}

// Connect dials and authenticates. It does not wait for a locked node or for
// chain sync (see Ready): it answers within the context's deadline or about
// 20 s, and the caller tries again. A node with another pubkey or network
// than configured, older than lnd 0.21 or without invoicesrpc is refused.
func Connect(ctx context.Context, cfg Config, options ...Option) (Node, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	spendMacaroon, err := readMacaroon(cmp.Or(cfg.SpendMacaroonFile, cfg.MacaroonFile))
	if err != nil {
		return nil, err
	}
	// lndclient keeps a SubscribeState stream for as long as CallerCtx lives
	// (lnd_services.go, getLndInfo): end it when connected.
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()

	steady := &steadiness{}
	services, err := lndclient.NewLndServices(&lndclient.LndServicesConfig{
		LndAddress:         cfg.Address,
		Network:            lndclient.Network(cfg.Network),
		CustomMacaroonPath: cfg.MacaroonFile,
		TLSPath:            cfg.TLSCertFile,
		// The default asks for signrpc, walletrpc and chainrpc too.
		CheckVersion: &verrpc.Version{AppMajor: 0, AppMinor: 21, BuildTags: []string{"invoicesrpc"}},
		Dialer:       dialer(steady.broke),
		CallerCtx:    ctx,
		RPCTimeout:   callTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("lightning: connect to node %s at %s: %w", cfg.Name, cfg.Address, err)
	}

	n, err := newNode(cfg, services, options)
	if err != nil {
		return nil, err
	}
	n.steady, n.spendMacaroon = steady, spendMacaroon

	return traced{n}, nil
}

// readMacaroon gives a macaroon as lnd wants it with a call.
func readMacaroon(file string) (string, error) {
	macaroon, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("lightning: macaroon: %w", err)
	}

	return hex.EncodeToString(macaroon), nil
}

// newNode pins the pubkey and wraps the connection.
func newNode(cfg Config, services *lndclient.GrpcLndServices, options []Option) (*lnd, error) {
	pubkey := hex.EncodeToString(services.NodePubkey[:])
	if pubkey != strings.ToLower(cfg.Pubkey) {
		services.Close()

		return nil, fmt.Errorf("%w: node %s at %s is %s, configured is %s",
			ErrWrongNode, cfg.Name, cfg.Address, pubkey, cfg.Pubkey)
	}
	n := &lnd{
		name: cfg.Name, pubkey: pubkey, params: services.ChainParams, services: services,
		calls:    semaphore.NewWeighted(maxConcurrentCalls),
		watchdog: watchdog{interval: watchdogInterval, timeout: readyTimeout},
	}
	for _, option := range options {
		option(n)
	}

	return n, nil
}

// check refuses what lndclient would silently replace by a default.
func (c Config) check() error {
	for field, value := range map[string]string{
		"name": c.Name, "network": c.Network, "address": c.Address,
		"tls_cert_file": c.TLSCertFile, "macaroon_file": c.MacaroonFile, "pubkey": c.Pubkey,
	} {
		if value == "" {
			return fmt.Errorf("lightning: node.%s is not set", field)
		}
	}

	return nil
}

// Name implements Node.
func (n *lnd) Name() string { return n.name }

// Pubkey implements Node.
func (n *lnd) Pubkey() string { return n.pubkey }

// Close implements Node.
func (n *lnd) Close() { n.services.Close() }

// Ready implements Node.
func (n *lnd) Ready(ctx context.Context) error {
	info, err := n.info(ctx, readyTimeout)
	if err != nil {
		return err
	}
	if !info.SyncedToChain {
		return n.unknown("GetInfo", errors.New("not synced to its chain"))
	}

	return nil
}

// info asks GetInfo, past the bound on calls so that a busy node is not taken
// for a dead one, and checks each time that the node behind the address is
// still ours: gRPC reconnects by itself.
func (n *lnd) info(ctx context.Context, timeout time.Duration) (*lnrpc.GetInfoResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ctx, _, client := n.services.Client.RawClientWithMacAuth(ctx)
	began := n.steady.begin()
	info, err := client.GetInfo(ctx, &lnrpc.GetInfoRequest{})
	if n.steady.judge(began, err) != nil {
		return nil, n.unknown("GetInfo", err)
	}
	if info.IdentityPubkey != n.pubkey {
		n.steady.broke()

		return nil, fmt.Errorf("%w: node %s has become %s", ErrWrongNode, n.name, info.IdentityPubkey)
	}

	return info, nil
}
