package e2e_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/stack"
	"github.com/lntpay/lntpay/tests/suite"
)

// wire is a connection to the node that passes on what it is told and, once it
// is deaf, nothing of what the node answers.
type wire struct {
	net.Listener

	node string
	deaf atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
}

func newWire(node string) (*wire, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{Listener: listener, node: node}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go w.pass(conn)
		}
	}()

	return w, nil
}

// pass passes on what comes over one connection.
func (w *wire) pass(from net.Conn) {
	to, err := net.Dial("tcp", w.node)
	if err != nil {
		_ = from.Close()

		return
	}
	w.mu.Lock()
	w.conns = append(w.conns, from, to)
	w.mu.Unlock()
	go func() { _, _ = io.Copy(to, from) }()
	chunk := make([]byte, 64<<10)
	for {
		n, err := to.Read(chunk)
		if err != nil {
			return
		}
		if !w.deaf.Load() {
			_, _ = from.Write(chunk[:n])
		}
	}
}

// cut ends it.
func (w *wire) cut() {
	_ = w.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
}

// loseAnswer sends over a connection that is cut as soon as lnd has the payment,
// before any answer has come over it.
func (c *client) loseAnswer(ctx context.Context, node lightning.Node, request lightning.SendRequest,
) (*lightning.Payment, error) {
	hash, err := suite.HashOf(request.Bolt11)
	if err != nil {
		return nil, err
	}
	// Zero if there is none.
	before, err := node.TrackPayment(ctx, hash)
	if err != nil && !errors.Is(err, lightning.ErrPaymentNotFound) {
		return nil, err
	}
	w, err := newWire(c.Net.Merchant.Config.Address)
	if err != nil {
		return nil, err
	}
	defer w.cut()
	config := c.Net.Merchant.Config
	config.Address = w.Addr().String()
	lossy, err := lightning.Connect(ctx, config)
	if err != nil {
		return nil, err
	}
	defer lossy.Close()
	w.deaf.Store(true)
	go func() {
		for ctx.Err() == nil {
			if found, err := node.TrackPayment(ctx, hash); err == nil && found.CreatedNS != before.CreatedNS {
				w.cut()

				return
			}
			time.Sleep(time.Millisecond)
		}
	}()

	return lossy.SendPayment(ctx, request)
}

// errLost is all that is known of a send that has not reached the node.
var errLost = errors.New("the connection was lost")

// loseRequest does not send.
func loseRequest(context.Context, lightning.Node, lightning.SendRequest) (*lightning.Payment, error) {
	return nil, errLost
}

// first hooks into the first send only and counts them all.
func first(hook stack.SendHook, count *atomic.Int32) stack.SendHook {
	return func(ctx context.Context, node lightning.Node, request lightning.SendRequest) (*lightning.Payment, error) {
		if count.Add(1) == 1 {
			return hook(ctx, node, request)
		}

		return node.SendPayment(ctx, request)
	}
}

// loss is a withdrawal whose first send is answered by nobody.
type loss struct {
	name string
	hook stack.SendHook
	// bolt11 and extra are asked for.
	bolt11, extra string
	amount        payments.Msat
	// code is why it fails in the end, "" if it succeeds.
	code payments.FailureCode
	// calls are how often the node must be called.
	calls int32

	count atomic.Int32
	id    string
}

// lose asks for the withdrawals, beside each other.
func (c *client) lose(t *testing.T, all []*loss) {
	t.Helper()
	for _, l := range all {
		c.OnSend(l.bolt11, first(l.hook, &l.count))
		l.id = suite.Text(c.Withdraw(t, l.bolt11, l.extra), "id")
	}
}

// requireRecovered waits for the end that each must have all the same.
func (c *client) requireRecovered(t *testing.T, all []*loss) {
	t.Helper()
	for _, l := range all {
		t.Run(l.name, func(t *testing.T) {
			withdrawal := c.OverAs(t, l.id, 90*time.Second, l.code)
			t.Logf("over after %s", suite.Moment(t, withdrawal, "completed_at").Sub(suite.Moment(t, withdrawal, "created_at")))
			require.Equal(t, l.calls, l.count.Load(), "calls of SendPayment")
			require.EqualValues(t, l.calls, c.sends(t, l.id))
			var outcome string
			require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
				"SELECT outcome FROM withdrawal_send WHERE withdrawal_id = $1 AND number = 1", l.id).Scan(&outcome))
			require.Equal(t, "unknown", outcome)
			if l.code == "" {
				c.RequireReceived(t, withdrawal, l.amount)
			}
		})
	}
}

// The connection to lnd breaks after it was asked to pay and before it
// answered, or before it was asked.
func TestSendsAnswerIsLost(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.Fund(t, 1000)
	const amount = 20_000
	unknown, held := c.Hold(t, amount), c.Hold(t, amount)
	require.NoError(t, c.Net.DropInvoice(t.Context(), unknown.Hash))
	all := []*loss{
		{name: "of a payment that is made", hook: c.loseAnswer, bolt11: c.Payable(t, amount), amount: amount, calls: 1},
		{name: "of a payment over a hop", hook: c.loseAnswer, bolt11: c.Sold(t, amount), amount: amount, calls: 1},
		{name: "of a payment that is held", hook: c.loseAnswer, bolt11: held.Bolt11, amount: amount, calls: 1},
		{
			name: "of a payment that fails", hook: c.loseAnswer, bolt11: unknown.Bolt11, calls: 1,
			code: payments.FailureRejectedByRecipient,
		},
		{name: "with the request", hook: loseRequest, bolt11: c.Payable(t, amount), amount: amount, calls: 2},
	}
	c.lose(t, all)
	c.Settle(t, held.Preimage)
	c.requireRecovered(t, all)
	c.RequireBalance(t, 1_000_000-4*amount-suite.HopFee(amount), 0)
	c.Agrees(t)
}

// The first withdrawal of a hash failed on the node, and the answer to the send
// of the second is lost: what the node then says of the hash may be the first
// one's failure, which must not end the second.
func TestSendsAnswerIsLostAfterAFailure(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	// More than the node can send.
	const much, little = 9_990_000_000, 30_000
	c.Credit(t, 2*much)
	all := []*loss{
		{name: "of a payment that is made", hook: c.loseAnswer, amount: little, calls: 1},
		{name: "of a payment that fails again", hook: c.loseAnswer, amount: much, code: payments.FailureNoRoute, calls: 1},
		{name: "with the request", hook: loseRequest, amount: little, calls: 2},
	}
	for _, l := range all {
		l.bolt11 = c.Payable(t, 0)
		id := suite.Text(c.Withdraw(t, l.bolt11, suite.WithAmount(much)), "id")
		c.OverAs(t, id, 20*time.Second, payments.FailureNoRoute)
		require.Equal(t, lnrpc.Payment_FAILED, c.Records(t, l.bolt11)[0].Status)
		l.extra = suite.WithAmount(l.amount)
	}
	c.lose(t, all)
	c.requireRecovered(t, all)
	for _, l := range all {
		require.Len(t, c.Records(t, l.bolt11), 1, l.name)
	}
	c.RequireBalance(t, 2*much-2*little, 0)
	c.Agrees(t)
}
