package lightning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
)

// watchdogInterval is how often a subscription asks whether the node lives.
const watchdogInterval = 10 * time.Second

// watchdogMisses is how many questions in a row may stay unanswered; the ones
// after a miss follow five times as fast.
const watchdogMisses = 2

// errStreamEnded is lnd's orderly end: it returns from the stream without an
// error when it shuts down (rpcserver.go, SubscribeInvoices, `<-r.quit`).
var errStreamEnded = errors.New("the node ended the stream")

// watchdog says how a subscription finds out that its node is gone.
type watchdog struct{ interval, timeout time.Duration }

// SubscribeSettled implements Node.
//
// lnd sends no header on an idle stream: gRPC sends it with the first message
// (rpcserver.go never calls SendHeader), so nothing on the wire proves the
// subscription. The stream counts as open with the first message, or when a
// GetInfo asked after it on the same connection is answered and the stream
// has not failed. lnd may then still be about to register it, which loses
// nothing for a cursor above 0: lnd registers the client first and reads the
// backlog after (invoiceregistry.go, SubscribeNotifications). With cursor 0
// there is no backlog, and only the sweep finds what settles in between.
//
// Only SettleIndex is given, never AddIndex: a backlog of added invoices is
// read whole into memory and can stall receiving. lnd streams added invoices
// live all the same; they are skipped, as is all that is not settled.
func (n *lnd) SubscribeSettled(
	ctx context.Context, settleCursor uint64, onOpen func(), handle func(Invoice) error,
) error {
	open := func(ctx context.Context) (feed[*lnrpc.Invoice], error) {
		ctx, _, client := n.services.Client.RawClientWithMacAuth(ctx)

		return client.SubscribeInvoices(ctx, &lnrpc.InvoiceSubscription{SettleIndex: settleCursor})
	}

	return follow(ctx, n, "SubscribeInvoices", open, onOpen, func(rpc *lnrpc.Invoice) error {
		invoice, ok := fromRPC(rpc)
		if !ok || invoice.State != InvoiceSettled {
			return nil
		}
		if err := handle(invoice); err != nil {
			return fmt.Errorf("lightning: settled invoices of node %s: %w", n.name, err)
		}

		return nil
	})
}

// feed is the receiving half of a stream.
type feed[T any] interface{ Recv() (T, error) }

// follow runs one subscription until its context, its stream, its node or its
// handler ends it; never nil. See SubscribeSettled for onOpen.
func follow[T any](
	caller context.Context, n *lnd, call string, start func(context.Context) (feed[T], error),
	onOpen func(), handle func(T) error,
) error {
	ctx, end := context.WithCancelCause(caller)
	defer end(nil)
	ended := func(err error) error {
		if caller.Err() == nil {
			n.steady.broke()
		}

		return n.unknown(call, cmp.Or(context.Cause(ctx), err))
	}

	began := n.steady.begin()
	stream, err := start(ctx)
	if err != nil {
		return ended(err)
	}
	received := make(chan T)
	opened := make(chan struct{})
	go n.watch(ctx, opened, end)
	go receive(ctx, stream, received, end)

	for open := false; ; {
		select {
		case <-ctx.Done():
			return ended(ctx.Err())
		case <-opened:
			opened = nil
			if !open {
				open = true
				onOpen()
			}
		case message := <-received:
			n.steady.good(began)
			if !open {
				open = true
				onOpen()
			}
			if err := handle(message); err != nil {
				return err
			}
		}
	}
}

// receive passes messages on until the stream or the context ends.
func receive[T any](ctx context.Context, stream feed[T], received chan<- T, end context.CancelCauseFunc) {
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			err = errStreamEnded
		}
		if err != nil {
			end(err)

			return
		}
		select {
		case received <- message:
		case <-ctx.Done():
			return
		}
	}
}

// watch closes opened at the node's first answer, and ends the subscription
// when the node stops answering: a half-open connection looks like an idle
// stream for ever.
func (n *lnd) watch(ctx context.Context, opened chan<- struct{}, end context.CancelCauseFunc) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for misses, first := 0, true; ; {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		_, err := n.info(ctx, n.watchdog.timeout)
		switch {
		case err == nil:
			misses = 0
			if first {
				first = false
				close(opened)
			}
			pause.Reset(n.watchdog.interval)
		case misses+1 >= watchdogMisses, errors.Is(err, ErrWrongNode):
			end(fmt.Errorf("the node does not answer: %w", err))

			return
		default:
			misses++
			pause.Reset(n.watchdog.interval / 5)
		}
	}
}
