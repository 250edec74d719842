package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lntpay/lntpay/tests/sse"
)

const (
	// idleStreams is how many clients wait for events on the one API process.
	idleStreams = 2000
	// settledAfter lets the process' memory come to rest.
	settledAfter = 3 * time.Second
	// wokenWithin bounds the wait for an event on all streams.
	wokenWithin = 30 * time.Second
)

// streams measures what idle clients of the event stream cost the API, and how
// soon an event is on all of them.
func (b *bench) streams(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before, err := b.apiMemory()
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 0, DisableCompression: true}}
	open := make([]*sse.Stream, idleStreams)
	for i := range open {
		if open[i], err = b.openStream(ctx, client); err != nil {
			return fmt.Errorf("stream %d: %w", i, err)
		}
		defer open[i].Close()
	}
	time.Sleep(settledAfter)
	after, err := b.apiMemory()
	if err != nil {
		return err
	}
	first, last, err := b.wake(ctx, open)
	if err != nil {
		return err
	}
	fmt.Printf("%d idle event streams on one API process: %.1f MiB of resident memory, %.1f KiB each (%.1f → %.1f MiB); ",
		idleStreams, mib(after-before), mib(after-before)*1024/idleStreams, mib(before), mib(after))
	fmt.Printf("an event was on the first %.0f ms and on all of them %.0f ms after its POST\n\n", ms(first), ms(last))

	return nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func (b *bench) openStream(ctx context.Context, client *http.Client) (*sse.Stream, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.dev.APIURL+"/v1/events/stream", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+b.key)
	stream, err := sse.Open(client, request, "")
	if err != nil {
		return nil, err
	}
	if _, err = stream.Next(); err != nil { // The time to wait before a reconnect.
		_ = stream.Close()
	}

	return stream, err
}

// wake cancels a charge and returns when its event was on the first and on the
// last stream.
func (b *bench) wake(ctx context.Context, open []*sse.Stream) (first, last time.Duration, err error) {
	late := time.AfterFunc(wokenWithin, func() {
		for _, stream := range open {
			_ = stream.Close()
		}
	})
	defer late.Stop()
	made, got := b.post(ctx)
	if got != done {
		return 0, 0, errors.New("a charge was not made")
	}
	took, errs := make([]time.Duration, len(open)), make([]error, len(open))
	began := time.Now()
	var all sync.WaitGroup
	for i, stream := range open {
		all.Go(func() {
			_, errs[i] = stream.NextEvent()
			took[i] = time.Since(began)
		})
	}
	_, err = b.call(ctx, http.MethodPost, "/v1/charges/"+made.ID+"/cancel", "", nil)
	all.Wait()
	if err = errors.Join(err, errors.Join(errs...)); err != nil {
		return 0, 0, err
	}
	first, last = took[0], took[0]
	for _, one := range took {
		first, last = min(first, one), max(last, one)
	}

	return first, last, nil
}

// apiMemory is the resident memory of the API's process.
func (b *bench) apiMemory() (int64, error) { return residentMemory(b.dev.Processes["api"]) }

// residentMemory is that of a process, by Linux' /proc.
func residentMemory(pid int) (int64, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("the memory of a process: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if kib, found := strings.CutPrefix(line, "VmRSS:"); found {
			number, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kib), "kB")), 10, 64)

			return number << 10, err
		}
	}

	return 0, fmt.Errorf("%s has no VmRSS", path)
}
