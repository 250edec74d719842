package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/store"
)

const (
	plantedCharges = 40_000
	// ledgerCallers is how many runs ask at a time: the settler's queue.
	ledgerCallers = 2000
)

// ledger measures whole settlements (status, receipt, transfer, balance,
// event) by the settler that the worker runs, on one workspace and spread over a
// thousand. The charges and receipts are planted by SQL.
func (b *bench) ledger(ctx context.Context) error {
	fmt.Println("| workspaces | settlements/s |")
	fmt.Println("|--:|--:|")
	for _, workspaces := range []int{1, 1000} {
		ids, err := b.plant(ctx, workspaces)
		if err != nil {
			return err
		}
		// A thousand workspaces in a second: until autovacuum's next round, within
		// a minute, connections go on by plans that were made for one.
		if err := b.admin(ctx, b.store.Pool.Config().ConnConfig.Database, "ANALYZE"); err != nil {
			return err
		}
		rate, err := settleAll(ctx, b.store, ids)
		if err != nil {
			return err
		}
		fmt.Printf("| %d | %.0f |\n", workspaces, rate)
	}
	fmt.Println()

	return nil
}

// plant inserts pending charges with receipts, round robin over workspaces.
// Their node is the bench's own, so that neither watcher nor sweeper cares.
func (b *bench) plant(ctx context.Context, workspaces int) ([]string, error) {
	run := fmt.Sprintf("bench%d", time.Now().UnixNano())
	for i := range workspaces {
		if _, err := b.store.Pool.Exec(ctx, `INSERT INTO balance (workspace_id) VALUES ($1)`, fmt.Sprintf("%s_%d", run, i)); err != nil {
			return nil, err
		}
	}
	rows, err := b.store.Pool.Query(ctx, `
		WITH planted AS (
			INSERT INTO charge (id, workspace_id, node, key_id, payment_hash, status, amount_msat, expires_in_s,
				bolt11, add_index, expires_at, next_check_at)
			SELECT $1 || '_' || n, $1 || '_' || n % $2, $1, 'bench', sha256(($1 || n)::bytea), 'creating', 1000, 3600,
				'lnbcrt', n, now() + interval '1 day', NULL
			FROM generate_series(1, $3::int) n
			RETURNING id, node, payment_hash
		)
		INSERT INTO receipt (node, payment_hash, amt_paid_msat, settle_index, settled_at, charge_id, state, next_check_at)
		SELECT node, payment_hash, 1000, 1, now(), id, 'uncredited', now() + interval '1 day' FROM planted
		RETURNING charge_id`, run, workspaces, plantedCharges)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}

	if err := rows.Err(); err != nil {
		return nil, err
	}
	// As opening does, for usage's counters: rows that are pending from the start
	// are counted one by one.
	_, err = b.store.Pool.Exec(ctx, "UPDATE charge SET status = 'pending', next_check_at = expires_at WHERE id = ANY($1)", ids)

	return ids, err
}

func settleAll(ctx context.Context, s *store.Store, ids []string) (float64, error) {
	registry := prometheus.NewRegistry()
	settler := activities.NewSettler(s, activities.NewAlerts(slog.New(slog.DiscardHandler), registry), registry)
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); settler.Run(running) }()
	defer func() { stop(); <-ended }()
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(ledgerCallers)
	for _, id := range ids {
		group.Go(func() error { return settler.Settle(ctx, id) })
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	took := time.Since(began)
	var paid int
	if err := s.Pool.QueryRow(context.WithoutCancel(ctx), "SELECT count(*) FROM charge WHERE id = ANY($1) AND status = 'paid'", ids).Scan(&paid); err != nil {
		return 0, err
	}
	if paid != len(ids) {
		return 0, fmt.Errorf("%d of %d charges were settled", paid, len(ids))
	}

	return float64(len(ids)) / took.Seconds(), nil
}
