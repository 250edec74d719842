package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/tests/load"
	"github.com/lntpay/lntpay/webhooks"
)

const (
	// eventCharges is how many charges are paid or expire during the kills.
	eventCharges = 2000
	// eventKills is how often worker and API die, in turns.
	eventKills = 10
	// eventKillEvery is how long after a recovery the next dies at the latest.
	eventKillEvery = 8 * time.Second
	// streamCuts is how often the client of the stream is cut off by itself; the
	// kills of the API come on top.
	streamCuts = 20
	// eventMakers is how many clients make the charges.
	eventMakers = 8
	// closedWithin bounds the ends of all charges after the last was made: those
	// that are not paid expire after a minute.
	closedWithin = 3 * time.Minute
)

// tellEverything: of charges that are paid or expire while worker and API are
// killed, each event reaches a live receiver with both signatures right, and a
// client of the stream that is cut off again and again has each once, in order.
func tellEverything(t *testing.T, s *stack, w *workspace, random *rand.Rand) {
	witness := newWitness(t, w)
	before := load.Events(t, s.target())
	reader := startReader(t, &w.Client, before[len(before)-1].ID, rand.New(rand.NewPCG(random.Uint64(), 0)))
	p := load.NewPayer(t, s.target())
	ctx, cancel := context.WithTimeout(t.Context(), closedWithin)
	defer cancel()
	var charges []load.ChargeObject
	var failed error
	made := make(chan struct{})
	go func() {
		defer close(made)
		charges, failed = w.makeAndPay(ctx, p)
	}()
	for i := range eventKills {
		load.Pause(t, eventKillEvery, random)
		s.kill(t, []string{"worker", "api"}[i%2])
	}
	<-made
	require.NoError(t, failed)
	require.Len(t, charges, eventCharges)
	var told []load.Event
	require.Eventually(t, func() bool {
		told = load.Events(t, s.target())[len(before):]

		return len(told) >= eventCharges
	}, closedWithin, 20*load.Poll, "charges that never ended")
	checkTold(t, charges, told)
	witness.await(t, told)
	reader.finish(t, told)
}

// makeAndPay makes the charges, every second one to be paid and the others to
// expire, and pays.
func (w *workspace) makeAndPay(ctx context.Context, p *load.Payer) ([]load.ChargeObject, error) {
	unpaid := make(chan load.ChargeObject, eventCharges)
	var made [eventMakers][]load.ChargeObject
	var paying sync.WaitGroup
	for range 2 * load.Payers {
		paying.Go(func() {
			for charge := range unpaid {
				// One that expires before its turn is an event as well.
				attempt, done := context.WithTimeout(ctx, load.PayWithin)
				_, _ = p.Attempt(attempt, charge)
				done()
			}
		})
	}
	making, ctx := errgroup.WithContext(ctx)
	for i := range made {
		making.Go(func() error {
			for n := range eventCharges / eventMakers {
				charge, err := w.makeOne(ctx)
				if err != nil {
					return err
				}
				made[i] = append(made[i], charge)
				if n%2 == 0 {
					unpaid <- charge
				}
			}

			return nil
		})
	}
	err := making.Wait()
	close(unpaid)
	paying.Wait()

	return slices.Concat(made[:]...), err
}

func (w *workspace) makeOne(ctx context.Context) (charge load.ChargeObject, err error) {
	key := uuid.NewString()
	got, err := w.Post(ctx, "/v1/charges", key, []byte(`{"amount_sats":1,"expires_in":60}`))
	if err != nil {
		return charge, err
	}
	if got.Status != http.StatusCreated {
		return charge, fmt.Errorf("key %s: %d %s", key, got.Status, got.Body)
	}

	return charge, json.Unmarshal(got.Body, &charge)
}

// checkTold: each charge has one event, and the numbers have no gap.
func checkTold(t *testing.T, charges []load.ChargeObject, told []load.Event) {
	t.Helper()
	types := map[string]int{}
	of := map[string]string{}
	for i, event := range told {
		require.Equal(t, told[0].Sequence+int64(i), event.Sequence)
		require.Empty(t, of[event.ResourceID], "two events of %s", event.ResourceID)
		of[event.ResourceID] = event.Type
		types[event.Type]++
	}
	for _, charge := range charges {
		require.NotEmpty(t, of[charge.ID], "no event of %s", charge.ID)
	}
	require.Len(t, told, len(charges))
	t.Logf("%d charges: %v", len(charges), types)
	require.Greater(t, types["charge.paid"], eventCharges/4, "too few were paid for the test to mean anything")
	require.Greater(t, types["charge.expired"], eventCharges/4)
}

// witness is a receiver that holds both signatures against each delivery.
type witness struct {
	verifier *standardwebhooks.Webhook
	secret   string

	mu     sync.Mutex
	seen   map[string]int
	forged []string
}

func newWitness(t *testing.T, w *workspace) *witness {
	t.Helper()
	v := &witness{seen: map[string]int{}}
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	// The first delivery comes after the secret is known: nothing is made yet.
	v.secret = w.Subscribe(t, server.URL, "charge.paid", "charge.expired")
	var err error
	v.verifier, err = standardwebhooks.NewWebhook(v.secret)
	require.NoError(t, err)

	return v
}

// ServeHTTP takes an event whose signatures are both right.
func (v *witness) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err == nil {
		err = v.verifier.Verify(body, request.Header)
	}
	id := request.Header.Get(webhooks.HeaderStandardID)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil || request.Header.Get(webhooks.HeaderSignature) != load.OwnSignature(v.secret, body) {
		v.forged = append(v.forged, fmt.Sprintf("%s: %v", id, err))
		response.WriteHeader(http.StatusBadRequest)

		return
	}
	v.seen[id]++
}

// await waits until every event arrived.
func (v *witness) await(t *testing.T, told []load.Event) {
	t.Helper()
	began := time.Now()
	var missing []string
	require.Eventually(t, func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		missing = missing[:0]
		for _, event := range told {
			if v.seen[event.ID] == 0 {
				missing = append(missing, event.ID)
			}
		}

		return len(missing) == 0
	}, load.DeliveredWithin, 4*load.Poll, "events that never arrived: %s", &load.Lazy{Texts: &missing})
	v.mu.Lock()
	defer v.mu.Unlock()
	require.Empty(t, v.forged, "deliveries with a wrong signature")
	deliveries := 0
	for _, n := range v.seen {
		deliveries += n
	}
	t.Logf("%d events came in %d deliveries, the last %s after the last event was written",
		len(told), deliveries, time.Since(began).Round(time.Millisecond))
}
