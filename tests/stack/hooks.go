package stack

import (
	"context"
	"sync"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/worker"
)

// SendHook stands between the worker and its node for the sends of one invoice:
// it makes the call or not, and says what the worker is told.
type SendHook func(ctx context.Context, node lightning.Node, request lightning.SendRequest) (*lightning.Payment, error)

// CancelHook is the same for the cancellations of one invoice.
type CancelHook func(ctx context.Context, node lightning.Node, hash lightning.Hash) error

// hooks are by invoice, so that tests beside the one that hooks see nothing.
type hooks struct {
	mu      sync.Mutex
	sends   map[string]SendHook
	cancels map[lightning.Hash]CancelHook
	tracks  map[lightning.Hash]func()
}

// OnSend hooks into the sends of an invoice, before the withdrawal of it.
func (s *Stack) OnSend(bolt11 string, hook SendHook) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	if s.hooks.sends == nil {
		s.hooks.sends = map[string]SendHook{}
	}
	s.hooks.sends[bolt11] = hook
}

// OnCancel hooks into the cancellations of an invoice of the node.
func (s *Stack) OnCancel(hash lightning.Hash, hook CancelHook) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	if s.hooks.cancels == nil {
		s.hooks.cancels = map[lightning.Hash]CancelHook{}
	}
	s.hooks.cancels[hash] = hook
}

// OnTrack is called before the node is asked for the payment of a hash, first of
// all by a withdrawal that is about to be sent.
func (s *Stack) OnTrack(hash lightning.Hash, hook func()) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	if s.hooks.tracks == nil {
		s.hooks.tracks = map[lightning.Hash]func(){}
	}
	s.hooks.tracks[hash] = hook
}

// hook is worker.Option.
func (s *Stack) hook(w *worker.Worker) { w.Node = hookedNode{Node: w.Node, hooks: &s.hooks} }

type hookedNode struct {
	lightning.Node

	hooks *hooks
}

// SendPayment implements lightning.Node.
func (n hookedNode) SendPayment(ctx context.Context, request lightning.SendRequest) (*lightning.Payment, error) {
	n.hooks.mu.Lock()
	hook := n.hooks.sends[request.Bolt11]
	n.hooks.mu.Unlock()
	if hook == nil {
		return n.Node.SendPayment(ctx, request)
	}

	return hook(ctx, n.Node, request)
}

// CancelInvoice implements lightning.Node.
func (n hookedNode) CancelInvoice(ctx context.Context, hash lightning.Hash) error {
	n.hooks.mu.Lock()
	hook := n.hooks.cancels[hash]
	n.hooks.mu.Unlock()
	if hook == nil {
		return n.Node.CancelInvoice(ctx, hash)
	}

	return hook(ctx, n.Node, hash)
}

// TrackPayment implements lightning.Node.
func (n hookedNode) TrackPayment(ctx context.Context, hash lightning.Hash) (lightning.Payment, error) {
	n.hooks.mu.Lock()
	hook := n.hooks.tracks[hash]
	n.hooks.mu.Unlock()
	if hook != nil {
		hook()
	}

	return n.Node.TrackPayment(ctx, hash)
}
