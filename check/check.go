package check

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
)

// Parts says which kinds of process are checked.
type Parts struct{ API, Worker bool }

// timeout bounds what is asked of one environment's Postgres, Temporal and
// node, each.
const timeout = 15 * time.Second

// Static judges settings and files, and asks nobody.
func Static(cfg *config.Config, parts Parts) Report {
	var f findings
	f.addresses(cfg, parts)
	if len(cfg.Environments()) == 0 {
		f.add(Error, "settings", "no environment is configured: set sandbox.database_url or production.database_url (or database_url_file)")
	}
	for _, name := range names(cfg) {
		f.environment(name, cfg.Environments()[name], parts)
	}

	return newReport(f.lines)
}

// All is Static, and asks everybody on top, all at the same time. Where the
// settings are wrong, what they lead to may be as well: err is what
// config.Load said.
func All(ctx context.Context, cfg *config.Config, err error, parts Parts) Report {
	lines := Settings(err)
	if cfg == nil {
		return newReport(lines)
	}
	if len(lines) == 0 {
		lines = append(lines, Line{OK, "settings", "known, and they agree with each other"})
	}
	lines = append(lines, Static(cfg, parts).Lines...)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var asked []*findings
	var all sync.WaitGroup
	for _, name := range names(cfg) {
		env := cfg.Environments()[name]
		asks := []func(*findings){
			func(f *findings) { f.postgres(ctx, name, env) },
			func(f *findings) { f.temporal(ctx, name, env.Temporal, parts) },
		}
		if parts.Worker {
			asks = append(asks, func(f *findings) { f.node(ctx, name, env) }, func(f *findings) { f.payer(ctx, name, env) })
		}
		for _, ask := range asks {
			f := &findings{}
			asked = append(asked, f)
			all.Go(func() { ask(f) })
		}
	}
	all.Wait()
	for _, f := range asked {
		lines = append(lines, f.lines...)
	}

	return newReport(lines)
}

// names are the environments in order.
func names(cfg *config.Config) []payments.Environment {
	var all []payments.Environment
	for name := range cfg.Environments() {
		all = append(all, name)
	}
	slices.Sort(all)

	return all
}
