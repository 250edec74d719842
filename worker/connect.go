package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

const (
	connectTimeout = 15 * time.Second
	connectPause   = time.Second
)

// openStore opens the database and refuses one that is not the environment's.
func openStore(ctx context.Context, name payments.Environment, env config.Environment) (*store.Store, error) {
	s, err := store.Open(ctx, name, env.DatabaseURL, env.MaxConns)
	if err != nil {
		return nil, err
	}
	if err := s.CheckEnvironment(ctx); err != nil {
		s.Close()

		return nil, err
	}

	return s, nil
}

// DialTemporal makes the client that the settings name, TLS too.
func DialTemporal(name payments.Environment, cfg config.Temporal, log *slog.Logger, options ...workflows.DialOption,
) (client.Client, error) {
	security, err := cfg.TLS.Client()
	if err != nil {
		return nil, fmt.Errorf("%s.temporal.tls.%w", name, err)
	}

	return workflows.Dial(cfg.Address, cfg.Namespace, log, append(options, workflows.WithTLS(security))...)
}

// connectNode waits for the node until ctx ends; a wrong node is refused.
func connectNode(ctx context.Context, cfg config.Node, log *slog.Logger) (lightning.Node, error) {
	for {
		callCtx, cancel := context.WithTimeout(ctx, connectTimeout)
		node, err := lightning.Connect(callCtx, lightning.Config(cfg))
		cancel()
		if err == nil {
			return node, nil
		}
		if errors.Is(err, lightning.ErrWrongNode) {
			return nil, err
		}
		log.WarnContext(ctx, "node is not reachable, trying again", "node", cfg.Name, "error", err)
		select {
		case <-time.After(connectPause):
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		}
	}
}

// ConnectPayer is nil where no payer node is configured. It does not wait for
// the node: nothing but the sandbox's endpoints needs it.
func ConnectPayer(name payments.Environment, env config.Environment) (lightning.Payer, error) {
	if env.Payer == (config.Payer{}) {
		return nil, nil //nolint:nilnil // Absent is a value here.
	}
	if name != payments.Sandbox {
		return nil, fmt.Errorf("%s.payer: only the sandbox has a payer node", name)
	}
	payer, err := lightning.NewPayer(lightning.PayerConfig{
		Network: env.Node.Network, Address: env.Payer.Address,
		TLSCertFile: env.Payer.TLSCertFile, MacaroonFile: env.Payer.MacaroonFile,
	})
	if err != nil {
		return nil, fmt.Errorf("%s.payer: %w", name, err)
	}

	return payer, nil
}

// pin writes the fingerprints of the keys and the node's pubkey on first
// sight, and refuses others ever after.
func pin(ctx context.Context, s *store.Store, keys *lightning.KeyRing, node lightning.Node, network string) error {
	for id, fingerprint := range keys.Fingerprints() {
		if err := s.PinPreimageKey(ctx, db.PinPreimageKeyParams{ID: id, Fingerprint: fingerprint[:]}); err != nil {
			return fmt.Errorf("pin preimage key %s: %w", id, err)
		}
	}
	pinned, err := s.GetPreimageKeys(ctx)
	if err != nil {
		return fmt.Errorf("read preimage keys: %w", err)
	}
	held := keys.Fingerprints()
	for _, key := range pinned {
		fingerprint, ok := held[key.ID]
		if ok && !bytes.Equal(fingerprint[:], key.Fingerprint) {
			return fmt.Errorf("preimage key %s is not the one that this database knows", key.ID)
		}
	}
	missing, err := s.OpenChargeKeys(ctx)
	if err != nil {
		return fmt.Errorf("read the keys of open charges: %w", err)
	}
	for _, id := range missing {
		if _, ok := held[id]; !ok {
			return fmt.Errorf("open charges need preimage key %s: list its file in old_preimage_key_files", id)
		}
	}
	if err := s.PinNode(ctx, db.PinNodeParams{Name: node.Name(), Pubkey: node.Pubkey(), Network: network}); err != nil {
		return fmt.Errorf("pin node %s: %w", node.Name(), err)
	}
	row, err := s.GetNode(ctx, node.Name())
	if err != nil {
		return fmt.Errorf("this database knows node %s under another name: %w", node.Pubkey(), err)
	}
	if row.Pubkey != node.Pubkey() {
		return fmt.Errorf("%w: node %s was %s, now %s answers", lightning.ErrWrongNode, node.Name(), row.Pubkey, node.Pubkey())
	}
	if row.PaymentsExplainedTo == nil {
		if err := beginPayments(ctx, s, node); err != nil {
			return err
		}
	}
	// A row from before networks were noted has none.
	if err := s.SetNodeNetwork(ctx, db.SetNodeNetworkParams{Name: node.Name(), Network: network}); err != nil {
		return fmt.Errorf("note the network of %s: %w", node.Name(), err)
	}

	return nil
}

// beginPayments notes, before anything is paid, up to where the node's payments
// are its owner's.
func beginPayments(ctx context.Context, s *store.Store, node lightning.Node) error {
	present, err := node.HighestIndexes(ctx)
	if err != nil {
		return fmt.Errorf("read the payments of node %s (node.spend_macaroon_file must allow it): %w", node.Name(), err)
	}
	if err := s.BeginExplained(ctx, db.BeginExplainedParams{Name: node.Name(), PaymentIndex: int64(present.Payment)}); err != nil {
		return fmt.Errorf("note the payments of node %s: %w", node.Name(), err)
	}

	return nil
}
