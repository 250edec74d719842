package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// spansWithin is how long a process may keep the spans that have ended.
const spansWithin = 7 * time.Second

// trace takes apart where the time of a created and of a paid charge goes: a
// product that traces everything, one client, and the median of each span.
func (b *bench) trace(ctx context.Context) error {
	c, err := collect()
	if err != nil {
		return err
	}
	defer c.stop()
	s, err := b.newSide(ctx, "trace")
	if s != nil {
		defer s.close(ctx)
	}
	if err != nil {
		return err
	}
	s.env["LNTPAY_TELEMETRY_OTLP_ENDPOINT"] = c.url
	if err := s.startAll(ctx); err != nil {
		return err
	}
	if err := s.traceCreates(ctx, c); err != nil {
		return err
	}

	return s.tracePaid(ctx, c)
}

// traceCreates prints what a POST is made of.
func (s *side) traceCreates(ctx context.Context, c *collector) error {
	creating := func(ctx context.Context) outcome {
		_, got := s.post(ctx)

		return got
	}
	load(ctx, 1, s.seconds/4, creating) // For caches and pools.
	began := time.Now()
	posts := load(ctx, 1, s.seconds, creating)
	if err := waitUntil(ctx, time.Now().Add(spansWithin)); err != nil {
		return err
	}
	var all []timeline
	for _, spans := range c.byTrace() {
		root := slices.IndexFunc(spans, func(one span) bool { return one.name == "POST /v1/charges" })
		if root >= 0 && spans[root].start.After(began) {
			all = append(all, timeline{spans[root].start, spans})
		}
	}
	fmt.Printf("POST /v1/charges, one client, traced: p50 %.1f ms; the medians of %d traces:\n\n", posts.percentile(50), len(all))
	printMedians(all)

	return nil
}

// tracePaid prints what follows the node's SETTLED until the webhook has come.
func (s *side) tracePaid(ctx context.Context, c *collector) error {
	clock := &clockwork{settled: map[string]time.Time{}, received: map[string]time.Time{}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	charges, credit, err := s.paidOneByOne(ctx, clock)
	if err != nil {
		return err
	}
	if err := waitUntil(ctx, time.Now().Add(spansWithin)); err != nil {
		return err
	}
	byCharge := c.byCharge()
	var all []timeline
	for _, one := range charges {
		settled := clock.settled[one.PaymentHash]
		after := slices.DeleteFunc(byCharge[one.ID], func(one span) bool { return one.start.Before(settled.Add(-time.Millisecond)) })
		all = append(all, timeline{settled, after})
	}
	fmt.Printf("node SETTLED → webhook received, %d charges one after the other, traced: p50 %.1f ms; the medians, from SETTLED on:\n\n",
		len(charges), credit.percentile(50))
	printMedians(all)

	return nil
}

// timeline is what happened from a moment on.
type timeline struct {
	zero  time.Time
	spans []span
}

// step is a span as many timelines have it.
type step struct {
	path       string
	at, length []time.Duration
}

// printMedians prints each span that at least half of the timelines have, by the
// time at which it began.
func printMedians(all []timeline) {
	steps := map[string]*step{}
	for _, one := range all {
		for path, s := range one.paths() {
			if steps[path] == nil {
				steps[path] = &step{path: path}
			}
			steps[path].at = append(steps[path].at, s.start.Sub(one.zero))
			steps[path].length = append(steps[path].length, s.end.Sub(s.start))
		}
	}
	var common []*step
	for _, one := range steps {
		if 2*len(one.at) >= len(all) {
			slices.Sort(one.at)
			slices.Sort(one.length)
			common = append(common, one)
		}
	}
	slices.SortFunc(common, func(a, b *step) int {
		if d := a.at[len(a.at)/2] - b.at[len(b.at)/2]; d != 0 {
			return int(d)
		}

		return strings.Compare(a.path, b.path)
	})
	fmt.Println("```text")
	for _, one := range common {
		names := strings.Split(one.path, pathSeparator)
		fmt.Printf("%-56s %7.1f ms  at %7.1f ms\n", strings.Repeat("  ", len(names)-1)+names[len(names)-1],
			ms(one.length[len(one.length)/2]), ms(one.at[len(one.at)/2]))
	}
	fmt.Print("```\n\n")
}

const pathSeparator = " > "

// paths names each span by those above it; a second of the same name is #2.
func (t timeline) paths() map[string]span {
	byID, taken := map[string]span{}, map[string]span{}
	for _, one := range t.spans {
		byID[one.id] = one
	}
	slices.SortFunc(t.spans, func(a, b span) int { return a.start.Compare(b.start) })
	for _, one := range t.spans {
		path := one.name
		// A run's span is told when it ends: what is below one that goes on has
		// nothing above it.
		for above, ok := byID[one.parent]; ok; above, ok = byID[above.parent] {
			path = above.name + pathSeparator + path
		}
		numbered := path
		for n := 2; ; n++ {
			if _, again := taken[numbered]; !again {
				break
			}
			numbered = fmt.Sprintf("%s #%d", path, n)
		}
		taken[numbered] = one
	}

	return taken
}
