package e2e_test

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/lntpay/lntpay/payments/bolt11"
	"github.com/lntpay/lntpay/tests/stack"
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
	hash, err := hashOf(request.Bolt11)
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
		l.id = text(c.withdraw(t, l.bolt11, l.extra), "id")
	}
}

// requireRecovered waits for the end that each must have all the same.
func (c *client) requireRecovered(t *testing.T, all []*loss) {
	t.Helper()
	for _, l := range all {
		t.Run(l.name, func(t *testing.T) {
			withdrawal := c.overAs(t, l.id, 90*time.Second, l.code)
			t.Logf("over after %s", moment(t, withdrawal, "completed_at").Sub(moment(t, withdrawal, "created_at")))
			require.Equal(t, l.calls, l.count.Load(), "calls of SendPayment")
			require.EqualValues(t, l.calls, c.sends(t, l.id))
			var outcome string
			require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
				"SELECT outcome FROM withdrawal_send WHERE withdrawal_id = $1 AND number = 1", l.id).Scan(&outcome))
			require.Equal(t, "unknown", outcome)
			if l.code == "" {
				c.requireReceived(t, withdrawal, l.amount)
			}
		})
	}
}

// The connection to lnd breaks after it was asked to pay and before it
// answered, or before it was asked.
func TestSendsAnswerIsLost(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.fund(t, 1000)
	const amount = 20_000
	unknown, held := c.hold(t, amount), c.hold(t, amount)
	require.NoError(t, c.Net.DropInvoice(t.Context(), unknown.hash))
	all := []*loss{
		{name: "of a payment that is made", hook: c.loseAnswer, bolt11: c.payable(t, amount), amount: amount, calls: 1},
		{name: "of a payment over a hop", hook: c.loseAnswer, bolt11: c.sold(t, amount), amount: amount, calls: 1},
		{name: "of a payment that is held", hook: c.loseAnswer, bolt11: held.bolt11, amount: amount, calls: 1},
		{
			name: "of a payment that fails", hook: c.loseAnswer, bolt11: unknown.bolt11, calls: 1,
			code: payments.FailureRejectedByRecipient,
		},
		{name: "with the request", hook: loseRequest, bolt11: c.payable(t, amount), amount: amount, calls: 2},
	}
	c.lose(t, all)
	c.settle(t, held.preimage)
	c.requireRecovered(t, all)
	c.requireBalance(t, 1_000_000-4*amount-hopFee(amount), 0)
	c.agrees(t)
}

// The first withdrawal of a hash failed on the node, and the answer to the send
// of the second is lost: what the node then says of the hash may be the first
// one's failure, which must not end the second.
func TestSendsAnswerIsLostAfterAFailure(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	// More than the node can send.
	const much, little = 9_990_000_000, 30_000
	c.credit(t, 2*much)
	all := []*loss{
		{name: "of a payment that is made", hook: c.loseAnswer, amount: little, calls: 1},
		{name: "of a payment that fails again", hook: c.loseAnswer, amount: much, code: payments.FailureNoRoute, calls: 1},
		{name: "with the request", hook: loseRequest, amount: little, calls: 2},
	}
	for _, l := range all {
		l.bolt11 = c.payable(t, 0)
		id := text(c.withdraw(t, l.bolt11, withAmount(much)), "id")
		c.overAs(t, id, 20*time.Second, payments.FailureNoRoute)
		require.Equal(t, lnrpc.Payment_FAILED, c.records(t, l.bolt11)[0].Status)
		l.extra = withAmount(l.amount)
	}
	c.lose(t, all)
	c.requireRecovered(t, all)
	for _, l := range all {
		require.Len(t, c.records(t, l.bolt11), 1, l.name)
	}
	c.requireBalance(t, 2*much-2*little, 0)
	c.agrees(t)
}

// withAmount names the amount of an invoice that leaves it open. No fee is
// locked, so that what comes back is the amount.
func withAmount(amount payments.Msat) string {
	return fmt.Sprintf(`,"amount_msat":%d,"max_fee_msat":0`, amount)
}

// records are what the node has of an invoice.
func (c *client) records(t *testing.T, bolt11 string) (found []*lnrpc.Payment) {
	t.Helper()
	hash, err := hashOf(bolt11)
	require.NoError(t, err)
	list, err := c.Net.MerchantPayments(t.Context())
	require.NoError(t, err)
	for _, payment := range list {
		if payment.PaymentHash == hash.String() {
			found = append(found, payment)
		}
	}

	return found
}

func hashOf(text string) (lightning.Hash, error) {
	invoice, err := bolt11.Decode(text, "regtest")

	return invoice.PaymentHash, err
}
