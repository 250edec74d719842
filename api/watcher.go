package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// changeChannel is notified with the id of a charge or a withdrawal when a
	// wait for it may be over, and with that of a workspace when it has events.
	changeChannel = "lntpay_change"
	// maxWaiters bounds the long-polls and streams of an environment in one
	// process.
	maxWaiters = 10_000
	// listenPatience is how long silence is trusted before the connection is
	// asked whether it still lives.
	listenPatience  = 15 * time.Second
	connectTimeout  = 5 * time.Second
	reconnectPause  = 500 * time.Millisecond
	listenStatement = "LISTEN " + changeChannel
)

// watcher wakes those who wait for a charge, a withdrawal or a workspace's
// events. One connection serves all.
type watcher struct {
	pool *pgxpool.Pool
	log  *slog.Logger

	mu      sync.Mutex
	waiters map[string]map[chan struct{}]struct{}
	count   int
}

func newWatcher(pool *pgxpool.Pool, log *slog.Logger) *watcher {
	return &watcher{pool: pool, log: log, waiters: map[string]map[chan struct{}]struct{}{}}
}

// subscribe returns a channel that gets a value when what has the id may have
// changed. ok is false when too many wait already.
func (w *watcher) subscribe(id string) (wake <-chan struct{}, unsubscribe func(), ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count >= maxWaiters {
		return nil, nil, false
	}
	// Room for one: a wake during a read is kept, more than one add nothing.
	channel := make(chan struct{}, 1)
	if w.waiters[id] == nil {
		w.waiters[id] = map[chan struct{}]struct{}{}
	}
	w.waiters[id][channel] = struct{}{}
	w.count++

	return channel, func() { w.remove(id, channel) }, true
}

func (w *watcher) remove(id string, channel chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiters[id], channel)
	if len(w.waiters[id]) == 0 {
		delete(w.waiters, id)
	}
	w.count--
}

func (w *watcher) wake(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wakeChannels(w.waiters[id])
}

// wakeAll after a reconnect: notifications in between are lost for good.
func (w *watcher) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, channels := range w.waiters {
		wakeChannels(channels)
	}
}

func wakeChannels(channels map[chan struct{}]struct{}) {
	for channel := range channels {
		select {
		case channel <- struct{}{}:
		default:
		}
	}
}

// run listens until ctx ends, reconnecting for ever.
func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := w.listen(ctx); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "listening for changes stopped, reconnecting", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(reconnectPause):
		}
	}
}

func (w *watcher) listen(ctx context.Context) error {
	conn, err := w.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	w.wakeAll()
	for {
		notification, err := waitForNotification(ctx, conn)
		if err != nil {
			return err
		}
		if notification != "" {
			w.wake(notification)
		}
	}
}

// connect opens a connection of its own: a pooled one would lose its LISTEN.
func (w *watcher) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	config := w.pool.Config().ConnConfig.Copy()
	config.RuntimeParams["application_name"] = "lntpay-listen"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if _, err := conn.Exec(ctx, listenStatement); err != nil {
		_ = conn.Close(ctx)

		return nil, fmt.Errorf("listen: %w", err)
	}

	return conn, nil
}

// waitForNotification returns "" when the line was silent but lives.
func waitForNotification(ctx context.Context, conn *pgx.Conn) (string, error) {
	patient, cancel := context.WithTimeout(ctx, listenPatience)
	defer cancel()
	notification, err := conn.WaitForNotification(patient)
	if err == nil {
		return notification.Payload, nil
	}
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return "", fmt.Errorf("wait for notification: %w", err)
	}
	asking, stop := context.WithTimeout(ctx, connectTimeout)
	defer stop()
	if err := conn.Ping(asking); err != nil {
		return "", fmt.Errorf("ping: %w", err)
	}

	return "", nil
}
