package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/store"
)

const (
	plantedCharges = 20_000
	// ledgerBatch is the settler's own bound.
	ledgerBatch = 200
)

// ledger measures whole settlements (status, receipt, transfer, balance,
// event) by the transaction that the worker uses, on one workspace and spread
// over a thousand. The charges and receipts are planted by SQL.
func (b *bench) ledger(ctx context.Context) error {
	fmt.Println("| workspaces | settlements/s, one writer | batch |")
	fmt.Println("|--:|--:|--:|")
	for _, workspaces := range []int{1, 1000} {
		ids, err := b.plant(ctx, workspaces)
		if err != nil {
			return err
		}
		rate, err := settleAll(ctx, b.store, ids)
		if err != nil {
			return err
		}
		fmt.Printf("| %d | %.0f | %d |\n", workspaces, rate, ledgerBatch)
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
			SELECT $1 || '_' || n, $1 || '_' || n % $2, $1, 'bench', sha256(($1 || n)::bytea), 'pending', 1000, 3600,
				'lnbcrt', n, now() + interval '1 day', now() + interval '1 day'
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

	return ids, rows.Err()
}

func settleAll(ctx context.Context, s *store.Store, ids []string) (float64, error) {
	var settled atomic.Int64
	began := time.Now()
	var group errgroup.Group
	group.Go(func() error {
		for from := 0; from < len(ids); from += ledgerBatch {
			result, err := s.SettleCharges(ctx, ids[from:min(from+ledgerBatch, len(ids))])
			if err != nil {
				return err
			}
			settled.Add(int64(len(result.Paid)))
		}

		return nil
	})
	if err := group.Wait(); err != nil {
		return 0, err
	}
	if int(settled.Load()) != len(ids) {
		return 0, fmt.Errorf("%d of %d charges were settled", settled.Load(), len(ids))
	}

	return float64(len(ids)) / time.Since(began).Seconds(), nil
}
