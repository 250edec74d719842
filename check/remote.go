package check

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"go.temporal.io/api/serviceerror"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/worker"
	"github.com/lntpay/lntpay/workflows"
)

// postgres asks the database whose it is and how far it is migrated.
func (f *findings) postgres(ctx context.Context, name payments.Environment, env config.Environment) {
	subject := string(name) + ".database_url"
	if _, err := store.ParseDSN(env.DatabaseURL); err != nil {
		return // Said already.
	}
	s, err := store.Open(ctx, name, env.DatabaseURL, 2)
	if err != nil {
		f.add(Error, subject, "%v", err)

		return
	}
	defer s.Close()
	if err := s.CheckEnvironment(ctx); err != nil {
		f.add(Error, subject, "%v", err)

		return
	}
	if err := s.CheckMigrated(ctx); err != nil {
		f.add(Error, subject, "%v", err)

		return
	}
	fixed, err := s.TransfersFixed(ctx)
	switch {
	case err != nil:
		f.add(Error, subject, "%v", err)
	case !fixed:
		f.add(Warning, subject, "its role may change transfers: a book that can be rewritten proves nothing. "+
			"Run as another role than the owner's (migrate_database_url)")
	default:
		f.add(OK, subject, "reached, %s's, migrated", name)
	}
}

// temporal asks for the namespace and its search attributes, which a worker
// makes at its start.
func (f *findings) temporal(ctx context.Context, name payments.Environment, cfg config.Temporal, parts Parts) {
	subject := string(name) + ".temporal"
	c, err := worker.DialTemporal(name, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return // Said already.
	}
	defer c.Close()
	missing, err := workflows.MissingAttributes(ctx, c, cfg.Namespace)
	var absent *serviceerror.NamespaceNotFound
	level := Note
	if !parts.Worker {
		level = Warning
	}
	switch {
	case errors.As(err, &absent):
		f.add(level, subject, "there is no namespace %s: a worker makes it at its start", cfg.Namespace)
	case err != nil:
		f.add(Error, subject, "%s: %v", cfg.Address, err)
	case len(missing) > 0:
		f.add(level, subject, "namespace %s lacks search attributes %s: a worker makes them at its start", cfg.Namespace,
			strings.Join(missing, ", "))
	default:
		f.add(OK, subject, "%s has namespace %s and its search attributes", cfg.Address, cfg.Namespace)
	}
}

// node connects as the worker does, and makes one harmless call with the
// macaroon that pays.
func (f *findings) node(ctx context.Context, name payments.Environment, env config.Environment) {
	subject := string(name) + ".node"
	if env.CheckWorker(name) != nil {
		return // Said already.
	}
	node, err := lightning.Connect(ctx, lightning.Config(env.Node))
	if err != nil {
		f.add(Error, subject, "%v", err)

		return
	}
	defer node.Close()
	if err := node.Ready(ctx); err != nil {
		f.add(Error, subject, "%v", err)

		return
	}
	if _, err := node.HighestIndexes(ctx); err != nil {
		f.add(Error, subject, "node.spend_macaroon_file: %v", err)

		return
	}
	f.add(OK, subject, "%s is %s on %s, synced", env.Node.Name, env.Node.Pubkey, env.Node.Network)
}

// payer asks the sandbox's second node, if there is one. Nothing but the
// sandbox's endpoints needs it.
func (f *findings) payer(ctx context.Context, name payments.Environment, env config.Environment) {
	if env.Payer == (config.Payer{}) {
		return
	}
	subject := string(name) + ".payer"
	payer, err := worker.ConnectPayer(name, env)
	if err != nil {
		f.add(Error, subject, "%v", err)

		return
	}
	defer payer.Close()
	if err := payer.Ready(ctx); err != nil {
		f.add(Warning, subject, "%v", err)

		return
	}
	f.add(OK, subject, "answers, on %s", env.Node.Network)
}
