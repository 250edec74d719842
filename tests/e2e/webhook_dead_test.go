package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/tests/suite"
	"github.com/lntpay/lntpay/workflows"
)

// deadReceiver accepts connections and never says a word.
type deadReceiver struct {
	url string

	mu   sync.Mutex
	held map[net.Conn]bool
	most int
	all  int
}

func newDeadReceiver(t *testing.T) *deadReceiver {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &deadReceiver{url: "http://" + listener.Addr().String(), held: map[net.Conn]bool{}}
	t.Cleanup(func() {
		listener.Close()
		d.mu.Lock()
		defer d.mu.Unlock()
		for conn := range d.held {
			conn.Close()
		}
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go d.hold(conn)
		}
	}()

	return d
}

// hold reads until the sender has had enough.
func (d *deadReceiver) hold(conn net.Conn) {
	d.mu.Lock()
	d.held[conn] = true
	d.all++
	d.most = max(d.most, len(d.held))
	d.mu.Unlock()
	for buffer := make([]byte, 1<<10); ; {
		if _, err := conn.Read(buffer); err != nil {
			break
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.held, conn)
	conn.Close()
}

func (d *deadReceiver) seen() (attempts, atOnce int) {
	d.mu.Lock()
	defer d.mu.Unlock()

	return d.all, d.most
}

// owe writes events with their deliveries, as the store does.
func (c *client) owe(t *testing.T, events int) (deliveries []string) {
	t.Helper()
	written := make([]store.NewEvent, events)
	for i := range written {
		id := payments.NewID(payments.PrefixCharge)
		written[i] = store.NewEvent{
			WorkspaceID: c.WorkspaceID, Type: payments.EventChargePaid, ResourceID: id, Object: suite.Object{"id": id},
		}
	}
	require.NoError(t, c.Store.InTx(t.Context(), func(_ pgx.Tx, q *db.Queries) error {
		return c.Store.WriteEvents(t.Context(), q, written)
	}))

	return c.deliveries(t)
}

// deliver starts deliveries, as many at once as the sweeper does.
func (c *client) deliver(ctx context.Context, ids []string) error {
	starter := &workflows.Starter{Client: c.Temporal, Environment: payments.Sandbox}
	var group errgroup.Group
	group.SetLimit(4)
	for _, id := range ids {
		group.Go(func() error { return starter.Deliver(ctx, id) })
	}

	return group.Wait()
}

func (c *client) deliveries(t *testing.T) []string {
	t.Helper()
	rows, err := c.Store.Pool.Query(t.Context(), "SELECT id FROM delivery WHERE workspace_id = $1 ORDER BY id", c.WorkspaceID)
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)

	return ids
}

// abandon ends the workflows of the workspace's deliveries.
func (c *client) abandon(t *testing.T) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(16)
	for _, id := range c.deliveries(t) {
		group.Go(func() error { return c.Temporal.TerminateWorkflow(t.Context(), "delivery/"+id, "", "the test is over") })
	}
	require.NoError(t, group.Wait())
	_, err := c.Store.Pool.Exec(t.Context(),
		"UPDATE delivery SET status = 'failed', next_check_at = NULL, completed_at = now() WHERE workspace_id = $1", c.WorkspaceID)
	require.NoError(t, err)
}

// lag has a charge paid and returns how long after its event the delivery came.
func (c *client) lag(t *testing.T, charge suite.Object, got chan suite.Delivery) time.Duration {
	t.Helper()
	c.Pay(t, charge, 0)
	one := suite.NextWithin(t, got, deliveredWithin)
	arrived := time.Now()
	var event suite.Object
	require.NoError(t, json.Unmarshal(one.Body, &event))
	var created time.Time
	require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
		"SELECT created_at FROM event WHERE id = $1", suite.Text(event, "id")).Scan(&created))

	return arrived.Sub(created)
}

// figures are of delays, for people.
func figures(lags []time.Duration) string {
	slices.Sort(lags)

	return fmt.Sprintf("%d events, half within %s, the last after %s", len(lags),
		lags[len(lags)/2].Round(time.Millisecond), lags[len(lags)-1].Round(time.Millisecond))
}

// A thousand deliveries to endpoints that never answer do not delay another
// workspace's: its events come within a second. The stack is this test's alone:
// the others run in parallel, after it.
func TestDeadEndpointsDelayNobody(t *testing.T) {
	for name, tt := range map[string]struct{ endpoints, events int }{
		"one endpoint":   {1, 1000},
		"five endpoints": {5, 200},
	} {
		t.Run(name, func(t *testing.T) {
			dead, live := newClient(t), newClient(t)
			receivers := make([]*deadReceiver, tt.endpoints)
			for i := range receivers {
				receivers[i] = newDeadReceiver(t)
				dead.Subscribe(t, receivers[i].url)
			}
			url, got := live.Receive(t)
			live.Subscribe(t, url)
			charges := make([]suite.Object, 50)
			for i := range charges {
				charges[i] = live.Charge(t, 1, "")
			}
			owed := dead.owe(t, tt.events)
			require.Len(t, owed, 1000)
			began, begun := time.Now(), make(chan error, 1)
			go func() { begun <- dead.deliver(t.Context(), owed) }()

			// While so many workflows begin the machine has much to do.
			var during, after []time.Duration
			for _, charge := range charges {
				if len(begun) > 0 {
					break
				}
				during = append(during, live.lag(t, charge, got))
			}
			require.NoError(t, <-begun)
			t.Logf("all had begun after %s; meanwhile %s", time.Since(began).Round(time.Millisecond), figures(during))
			for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
				after = append(after, live.lag(t, live.Charge(t, 1, ""), got))
			}
			t.Logf("then, in 10 s, %s", figures(after))
			// The median: other tests share the machine.
			require.Less(t, during[len(during)/2], 5*time.Second)
			require.Less(t, after[len(after)/2], time.Second)
			for i, r := range receivers {
				attempts, atOnce := r.seen()
				require.NotZero(t, attempts, "endpoint %d", i)
				require.LessOrEqual(t, atOnce, 16)
			}
			dead.abandon(t)
		})
	}
}
