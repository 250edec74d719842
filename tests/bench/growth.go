package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lntpay/lntpay/payments"
)

// growthRounds is how often the two sides take turns.
const growthRounds = 6

// growth compares creating on an empty database with creating on one that has
// grown, and reads the lists there. The API and the worker of each side are one
// process, `lntpay serve`.
func (b *bench) growth(ctx context.Context) error {
	empty, err := b.newSide(ctx, "empty")
	if empty != nil {
		defer empty.close(ctx)
	}
	if err != nil {
		return err
	}
	full, err := b.newSide(ctx, "full")
	if full != nil {
		defer full.close(ctx)
	}
	if err != nil {
		return err
	}
	for _, s := range []*side{empty, full} {
		if err := s.start(ctx, "serve"); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := full.plant(ctx, b.sizes.open, b.sizes.closed); err != nil {
		return err
	}
	fmt.Printf("%d open and %d closed charges of one workspace, planted in %.0f s\n\n", b.sizes.open, b.sizes.closed, time.Since(began).Seconds())
	b.compareCreates(ctx, empty, full)

	return full.readLists(ctx)
}

// compareCreates lets one client create on either side by turns.
func (b *bench) compareCreates(ctx context.Context, empty, full *side) {
	sides := []*side{empty, full}
	results := make([]result, len(sides))
	for round := range 1 + growthRounds {
		for i := range sides {
			// Who begins changes too.
			i = (i + round) % len(sides)
			got := load(ctx, 1, b.seconds/growthRounds, func(ctx context.Context) outcome {
				_, got := sides[i].post(ctx)

				return got
			})
			if round == 0 {
				continue // The first is for caches and pools.
			}
			results[i].latencies = append(results[i].latencies, got.latencies...)
			results[i].refused += got.refused
			results[i].failed += got.failed
		}
	}
	fmt.Println("| POST /v1/charges, one client, by turns | n | p50 ms | p99 ms | 503 | other |")
	fmt.Println("|---|--:|--:|--:|--:|--:|")
	for i, name := range []string{"empty", "grown"} {
		fmt.Printf("| %s | %d | %.1f | %.1f | %d | %d |\n", name, len(results[i].latencies), results[i].percentile(50), results[i].percentile(99),
			results[i].refused, results[i].failed)
	}
	fmt.Printf("\nratio of the medians %.2f\n\n", results[1].percentile(50)/results[0].percentile(50))
}

// reading is a list as it is read: each time another page.
type reading struct {
	name string
	path func() string
}

// readLists reads each list for a while, one client, at a random depth.
func (s *side) readLists(ctx context.Context) error {
	fmt.Println("| one client | n | p50 ms | p99 ms | max ms | other |")
	fmt.Println("|---|--:|--:|--:|--:|--:|")
	for _, one := range s.readings() {
		got := load(ctx, 1, s.seconds/4, func(ctx context.Context) outcome {
			status, err := s.call(ctx, http.MethodGet, one.path(), "", nil)
			if err != nil || status != http.StatusOK {
				return failed
			}

			return done
		})
		fmt.Printf("| GET %s | %d | %.1f | %.1f | %.0f | %d |\n", one.name, len(got.latencies), got.percentile(50), got.percentile(99), got.percentile(100), got.failed)
		if got.ok == 0 {
			return fmt.Errorf("GET %s was never answered with 200", one.name)
		}
	}
	fmt.Println()

	return ctx.Err()
}

func (s *side) readings() []reading {
	ago := func() time.Time { return time.Now().UTC().Add(-rand.N(plantedOver)) }
	deepCharge := func() string { return cursor(payments.FirstID(payments.PrefixCharge, ago())) }
	sequence := func() string { return cursor(strconv.Itoa(1 + rand.IntN(max(1, s.sizes.closed*8/10)))) }
	text := func(at time.Time) string { return url.QueryEscape(at.Format(time.RFC3339)) }
	// … stands for what changes from one to the next.
	with := func(name string, values ...func() string) reading {
		return reading{name, func() string {
			path := name
			for _, value := range values {
				path = strings.Replace(path, "…", value(), 1)
			}

			return path
		}}
	}
	then := func() string { return text(ago()) }
	order := func() string { return fmt.Sprintf("order-%d", rand.IntN(max(1, s.sizes.closed))) }
	someCharge := func() string {
		step := plantedOver / time.Duration(s.sizes.closed+1)

		return payments.FirstID(payments.PrefixCharge, time.Now().UTC().Add(-rand.N(plantedOver)).Truncate(step))
	}
	readings := []reading{
		with("/v1/charges"), with("/v1/charges?limit=100"), with("/v1/charges?cursor=…", deepCharge),
		with("/v1/charges?external_id=…", order), with("/v1/charges?created_before=…", then), with("/v1/charges?created_after=…", then),
		with("/v1/charges/usage"), with("/v1/charges/usage?interval=day"), with("/v1/charges/usage?from=…", func() string {
			return text(time.Now().UTC().Add(-41 * 24 * time.Hour))
		}),
		with("/v1/balance"), with("/v1/withdrawals"), with("/v1/withdrawals?status=failed"), with("/v1/webhooks/deliveries"),
		with("/v1/events"), with("/v1/events?cursor=…", sequence), with("/v1/events?type=charge.canceled&cursor=…", sequence),
		with("/v1/ledger/transfers"), with("/v1/ledger/transfers?cursor=…", sequence), with("/v1/ledger/transfers?ref=…", someCharge),
		with("/v1/ledger/transfers?kind=charge_settled&cursor=…", sequence), with("/v1/ledger/transfers?kind=withdrawal_void"),
	}
	for _, status := range payments.PublicChargeStatuses() {
		readings = append(readings, with("/v1/charges?status="+string(status)+"&cursor=…", deepCharge),
			with("/v1/charges?status="+string(status)+"&created_before=…", then))
	}

	return readings
}

// cursor is how a list names the last that was seen.
func cursor(seen string) string { return base64.RawURLEncoding.EncodeToString([]byte(seen)) }
