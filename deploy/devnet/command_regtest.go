package devnet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/lightning"
)

// regtestTimeout bounds each half of the setup of docker-compose.yml's regtest.
const regtestTimeout = 5 * time.Minute

// regtestPassword is btcd's in docker-compose.yml, on a network of its own.
const regtestPassword = "regtest"

// regtestCommand is `lntpay dev regtest`: the jobs of docker-compose.yml's
// profile regtest, each of which may run again at any time.
func regtestCommand() *cobra.Command {
	r := &regtest{}
	command := &cobra.Command{
		Use: "regtest", Short: "Set up the regtest of docker-compose.yml, from inside of it", Args: cobra.NoArgs,
	}
	command.PersistentFlags().StringVar(&r.volumes, "volumes", "/volumes", "the folder of the volumes of api, worker, btcd and the nodes")
	half := func(use, short string, run func(context.Context) error) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				ctx, cancel := context.WithTimeout(cmd.Context(), regtestTimeout)
				defer cancel()

				return run(ctx)
			},
		}
	}
	command.AddCommand(
		half("chain", "Mine coins for the payer node, or one block where there are coins", r.fund),
		half("nodes", "Open channels, bake macaroons, make the keys and the worker's settings", r.connect),
	)

	return command
}

// regtest is the network of docker-compose.yml, by the names of its services.
type regtest struct {
	volumes string
	// ended is when btcd was told to end.
	ended time.Time
}

func (r *regtest) chain() *Btcd {
	return &Btcd{
		RPC: "btcd:18556", User: "lntpay", Password: regtestPassword,
		Cert: filepath.Join(r.volumes, "btcd", "rpc.cert"), dir: filepath.Join(r.volumes, "btcd"),
	}
}

func (r *regtest) node(name string) *Lnd {
	dir := filepath.Join(r.volumes, name)

	return &Lnd{
		RPC: "lnd-" + name + ":10009", TLSCert: filepath.Join(dir, "tls.cert"),
		Macaroon: filepath.Join(dir, "data", "chain", "bitcoin", "regtest", "admin.macaroon"),
		name:     name, peers: "lnd-" + name + ":9735",
	}
}

// fund makes the chain usable, with the payer as the owner of its coins.
func (r *regtest) fund(ctx context.Context) error {
	chain, payer := r.chain(), r.node("payer")
	if err := eventually(ctx, payer.answers); err != nil {
		return err
	}
	if err := eventually(ctx, func(ctx context.Context) error { return r.mine(ctx, chain, payer) }); err != nil {
		return err
	}

	return r.sync(ctx, payer)
}

// rescanned is how long a wallet may take to read the new chain, which takes it
// seconds.
const rescanned = 30 * time.Second

// sync waits until the payer has read the chain. Where btcd's end broke its first
// rescan off, which happens on a busy machine, lnd 0.21.2 waits for it for ever:
// it is told to end as well, and Docker starts it again.
func (r *regtest) sync(ctx context.Context, payer *Lnd) error {
	soon, cancel := context.WithTimeout(ctx, rescanned)
	defer cancel()
	if eventually(soon, payer.synced) == nil {
		return nil
	}
	err := payer.with(func(lnd lnrpc.LightningClient) error {
		_, err := lnd.StopDaemon(ctx, &lnrpc.StopRequest{})

		return err
	})
	if err != nil {
		return fmt.Errorf("stop the payer: %w", err)
	}

	return eventually(ctx, payer.synced)
}

// mine is one attempt. btcd reads where coins go only when it starts; told to
// end, it is started again by Docker.
func (r *regtest) mine(ctx context.Context, chain *Btcd, payer *Lnd) error {
	height, err := chain.Height(ctx)
	if err != nil {
		return err
	}
	_, err = chain.Mine(ctx, max(1, matureBlocks-height))
	if err == nil || !strings.Contains(err.Error(), "miningaddr") {
		return err
	}
	// While wallets read the chain again, which the end of btcd before has them do,
	// another end may hang (0.26.2).
	if time.Since(r.ended) < rescanned {
		return err
	}
	var to *lnrpc.NewAddressResponse
	err = payer.with(func(lnd lnrpc.LightningClient) (err error) {
		to, err = lnd.NewAddress(ctx, &lnrpc.NewAddressRequest{Type: lnrpc.AddressType_WITNESS_PUBKEY_HASH})

		return err
	})
	if err != nil {
		return fmt.Errorf("get an address to mine to: %w", err)
	}
	settings := fmt.Sprintf("[Application Options]\nminingaddr=%s\n", to.Address)
	if err := writeFile(filepath.Join(chain.dir, "btcd.conf"), []byte(settings)); err != nil {
		return err
	}
	r.ended = time.Now()
	var stopped string
	if err := chain.call(ctx, &stopped, "stop"); err != nil {
		return fmt.Errorf("stop btcd: %w", err)
	}

	return errors.New("btcd starts again")
}

// connect opens the channels and leaves on the volumes of api and worker what
// they need, and no more.
func (r *regtest) connect(ctx context.Context) error {
	payer, merchant := r.node("payer"), r.node("merchant")
	for _, node := range []*Lnd{payer, merchant} {
		if err := eventually(ctx, node.identify); err != nil {
			return err
		}
	}
	if err := OpenChannels(ctx, r.chain(), payer, merchant, channelCount, channelSats); err != nil {
		return err
	}
	if err := r.keys(); err != nil {
		return err
	}
	for _, bake := range []struct {
		node *Lnd
		name string
		uris []string
	}{
		{merchant, "receive.macaroon", lightning.ReceivePermissions()},
		{merchant, "spend.macaroon", lightning.SpendPermissions()},
		{payer, "payer.macaroon", lightning.PayerPermissions()},
	} {
		macaroon, err := bake.node.bake(ctx, bake.uris)
		if err != nil {
			return err
		}
		if err := writeFile(r.worker(bake.name), macaroon); err != nil {
			return err
		}
	}
	for name, node := range map[string]*Lnd{"tls.cert": merchant, "payer.tls.cert": payer} {
		cert, err := os.ReadFile(node.TLSCert)
		if err != nil {
			return fmt.Errorf("read the certificate of %s: %w", node.name, err)
		}
		if err := writeFile(r.worker(name), cert); err != nil {
			return err
		}
	}

	return writeFile(r.worker("worker.yaml"), fmt.Appendf(nil, workerSettings, merchant.RPC, merchant.Pubkey, payer.RPC))
}

// worker is a path on the worker's volume, which it sees as /secrets.
func (r *regtest) worker(name string) string { return filepath.Join(r.volumes, "worker", name) }

// workerSettings are what is known only once the nodes run.
const workerSettings = `sandbox:
  node:
    name: merchant
    network: regtest
    address: %s
    pubkey: %s
  payer:
    address: %s
    tls_cert_file: /secrets/payer.tls.cert
    macaroon_file: /secrets/payer.macaroon
`

// keys makes the keys once. Only the worker gets the preimages'.
func (r *regtest) keys() error {
	for name, folders := range map[string][]string{"secrets.key": {"worker", "api"}, "preimage.key": {"worker"}} {
		key, err := os.ReadFile(r.worker(name))
		if errors.Is(err, os.ErrNotExist) {
			random := make([]byte, 32)
			_, _ = rand.Read(random)
			key, err = []byte(hex.EncodeToString(random)+"\n"), nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		for _, folder := range folders {
			if err := writeFile(filepath.Join(r.volumes, folder, name), key); err != nil {
				return err
			}
		}
	}

	return nil
}

// bake makes a macaroon that opens these URIs and nothing else.
func (n *Lnd) bake(ctx context.Context, uris []string) (macaroon []byte, err error) {
	request := &lnrpc.BakeMacaroonRequest{}
	for _, uri := range uris {
		request.Permissions = append(request.Permissions, &lnrpc.MacaroonPermission{Entity: "uri", Action: uri})
	}
	err = n.with(func(lnd lnrpc.LightningClient) error {
		answer, err := lnd.BakeMacaroon(ctx, request)
		if err != nil {
			return err
		}
		macaroon, err = hex.DecodeString(answer.Macaroon)

		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bake a macaroon of %s: %w", n.name, err)
	}

	return macaroon, nil
}
