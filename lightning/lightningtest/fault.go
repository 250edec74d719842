package lightningtest

import (
	"context"
	"errors"
)

// ErrLost is what an injected fault answers: an error without a meaning, as
// any of a node's that is not a sentinel of package lightning.
var ErrLost = errors.New("lightningtest: injected fault")

// Method names one method of lightning.Node.
type Method string

// The methods that faults can be injected into.
const (
	AddInvoice       Method = "AddInvoice"
	LookupInvoice    Method = "LookupInvoice"
	CancelInvoice    Method = "CancelInvoice"
	SubscribeSettled Method = "SubscribeSettled"
	ListInvoices     Method = "ListInvoices"
	HighestIndexes   Method = "HighestIndexes"
	ReceivableMsat   Method = "ReceivableMsat"
	Balances         Method = "Balances"
	Ready            Method = "Ready"
	Health           Method = "Health"

	SendPayment       Method = "SendPayment"
	TrackPayment      Method = "TrackPayment"
	SubscribePayments Method = "SubscribePayments"
	HTLCsOf           Method = "HTLCsOf"
	ComingUp          Method = "ComingUp"
	ListPayments      Method = "ListPayments"
	EstimateFee       Method = "EstimateFee"
)

// Fault is what happens to one call.
type Fault int

// The faults. A subscription knows only those before its effect: what happens
// later is BreakStreams.
const (
	// FailBefore answers ErrLost and changes nothing.
	FailBefore Fault = iota + 1
	// FailAfter does the work and loses the answer: ErrLost.
	FailAfter
	// HangBefore waits until the call's context ends and changes nothing.
	HangBefore
	// HangAfter does the work and then waits until the context ends.
	HangAfter
	// FailDelayed answers ErrLost, and the work is done when the test calls
	// ReleaseSends: lnd commits a payment with a context of its own, also
	// when its client has long gone (routing/router.go, PreparePayment).
	FailDelayed
	// HangDelayed waits until the context ends; then as FailDelayed.
	HangDelayed
)

// Inject makes the next calls of a method fail, one fault a call, in order.
func (n *Node) Inject(method Method, faults ...Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults[method] = append(n.faults[method], faults...)
}

// SetUnavailable makes every call fail before its effect, and breaks the
// streams, until it is set back.
func (n *Node) SetUnavailable(unavailable bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unavailable = unavailable
	if unavailable {
		n.steady = 0
		n.breakStreams(ErrLost)
	}
}

// Calls is how often a method was called, faults included.
func (n *Node) Calls(method Method) int {
	n.mu.Lock()
	defer n.mu.Unlock()

	return n.calls[method]
}

// next takes the fault of a call that begins.
func (n *Node) next(method Method) Fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls[method]++
	if n.unavailable {
		return FailBefore
	}
	queue := n.faults[method]
	if len(queue) == 0 {
		return 0
	}
	n.faults[method] = queue[1:]

	return queue[0]
}

// do runs one call with its fault around the effect.
func (n *Node) do(ctx context.Context, method Method, effect func() error) error {
	fault := n.next(method)
	if err := ctx.Err(); err != nil {
		return err
	}
	switch fault {
	case FailBefore:
		return ErrLost
	case HangBefore:
		<-ctx.Done()

		return ctx.Err()
	case FailDelayed, HangDelayed:
		return n.delay(ctx, fault, effect)
	default:
	}
	n.mu.Lock()
	err := effect()
	n.mu.Unlock()
	switch fault {
	case FailAfter:
		return ErrLost
	case HangAfter:
		<-ctx.Done()

		return ctx.Err()
	default:
		return err
	}
}

// delay keeps an effect for ReleaseSends.
func (n *Node) delay(ctx context.Context, fault Fault, effect func() error) error {
	n.mu.Lock()
	n.delayed = append(n.delayed, effect)
	n.mu.Unlock()
	if fault == FailDelayed {
		return ErrLost
	}
	<-ctx.Done()

	return ctx.Err()
}
