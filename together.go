package main

import (
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/worker"
	"github.com/lntpay/lntpay/workflows"
)

// together is what API and worker of an environment share when they are one
// process: Temporal gives a start's first task only to a worker with the same
// client, and the worker tells the API which claims it has answered.
type together struct {
	client  client.Client
	answers *workflows.Answers
}

// join makes what they share, by environment; nothing when only one part runs.
func join(cfg *config.Config, p parts, registry prometheus.Registerer, log *slog.Logger) (
	shared map[payments.Environment]together, closeAll func(), err error,
) {
	shared = map[payments.Environment]together{}
	closeAll = func() {
		for _, one := range shared {
			one.client.Close()
		}
	}
	if !p.api || !p.worker {
		return shared, closeAll, nil
	}
	for name, env := range cfg.Environments() {
		c, err := dialTemporal(name, env.Temporal, "worker", registry, log)
		if err != nil {
			closeAll()

			return nil, nil, fmt.Errorf("temporal of %s: %w", name, err)
		}
		shared[name] = together{client: c, answers: &workflows.Answers{}}
	}

	return shared, closeAll, nil
}

// dialTemporal makes the client of a part, with its metrics.
func dialTemporal(name payments.Environment, cfg config.Temporal, part string, registry prometheus.Registerer, log *slog.Logger,
) (client.Client, error) {
	metrics, err := workflows.WithMetrics(prometheus.WrapRegistererWith(
		prometheus.Labels{"environment": string(name), "part": part}, registry))
	if err != nil {
		return nil, err
	}

	return worker.DialTemporal(name, cfg, log, metrics)
}
