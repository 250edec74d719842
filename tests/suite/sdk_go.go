package suite

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/payments"
	lntpay "github.com/lntpay/lntpay/sdk/go"
)

// sdk is the Go SDK as the workspace's client, over a network of its own if
// that is given.
func (c *Client) sdk(t *testing.T, network http.RoundTripper) *lntpay.Client {
	t.Helper()
	if network == nil {
		network = c.network(t)
	}
	made, err := lntpay.New(lntpay.Options{APIKey: c.Key, BaseURL: c.APIURL, HTTPClient: &http.Client{Transport: network}})
	require.NoError(t, err)

	return made
}

// network holds every exchange but streams against api/openapi.yaml.
func (c *Client) network(t *testing.T) http.RoundTripper {
	t.Helper()
	plain := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(plain.CloseIdleConnections)

	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/stream") {
			return plain.RoundTrip(r)
		}

		return c.http.Transport.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What a developer does with the SDK, from the first charge to the payout.
func testGoSDK(t *testing.T, s *Stack) {
	ctx, c := t.Context(), s.NewClient(t)
	client := c.sdk(t, nil)
	url, got := c.Receive(t)
	endpoint, err := client.WebhookEndpoints.Create(ctx, lntpay.WebhookEndpointParams{URL: url, Events: []lntpay.EventType{lntpay.AllEvents}})
	require.NoError(t, err)
	test, err := client.WebhookEndpoints.Test(ctx, endpoint.ID)
	require.NoError(t, err)
	Next(t, got)
	events := follow(t, client, lntpay.StreamParams{LastEventID: test.EventID}, 2)

	charge, err := client.Charges.Create(ctx, lntpay.ChargeParams{
		AmountMsat: 1000 * lntpay.Sat, Description: "one call", ExpiresIn: 10 * time.Minute,
		Metadata: map[string]string{"a": "b"}, ExternalID: "x-1",
	})
	require.NoError(t, err)
	require.Equal(t, lntpay.ChargePending, charge.Status)
	require.InDelta(t, 600, charge.ExpiresAt.Sub(charge.CreatedAt).Seconds(), 2)
	_, err = c.Net.Pay(ctx, charge.Bolt11, 0)
	require.NoError(t, err)
	charge, err = client.Charges.Wait(ctx, charge.ID)
	require.NoError(t, err)
	require.Equal(t, lntpay.ChargePaid, charge.Status)
	require.EqualValues(t, 1_000_000, charge.AmountPaidMsat)
	require.False(t, charge.PaidAt.IsZero())
	for listed, err := range client.Charges.List(ctx, lntpay.ChargeFilter{ExternalID: "x-1", CreatedAfter: charge.CreatedAt.Add(-1)}) {
		require.NoError(t, err)
		require.Equal(t, charge, listed)
	}
	_, err = client.Charges.Cancel(ctx, charge.ID)
	require.ErrorIs(t, err, lntpay.ErrChargeNotCancelable)
	delivered := Next(t, got)
	event, err := lntpay.Verify(delivered.Body, delivered.Header, endpoint.Secret)
	require.NoError(t, err)
	_, err = lntpay.VerifySignature(delivered.Body, delivered.Header, endpoint.Secret)
	require.NoError(t, err)
	told, err := event.Charge()
	require.NoError(t, err)
	require.Equal(t, charge, told)

	params := lntpay.WithdrawalParams{Bolt11: c.Payable(t, 500_123), MaxFeeMsat: new(7 * lntpay.Sat)}
	quote, err := client.Withdrawals.Quote(ctx, lntpay.QuoteParams{Bolt11: params.Bolt11})
	require.NoError(t, err)
	require.True(t, quote.Sufficient)
	withdrawal, err := client.Withdrawals.Create(ctx, params, lntpay.WithIdempotencyKey("payout-1"))
	require.NoError(t, err)
	require.EqualValues(t, 7000, withdrawal.MaxFeeMsat)
	again, err := client.Withdrawals.Create(ctx, params, lntpay.WithIdempotencyKey("payout-1"))
	require.NoError(t, err)
	require.Equal(t, withdrawal, again)
	withdrawal, err = client.Withdrawals.Wait(ctx, withdrawal.ID)
	require.NoError(t, err)
	require.Equal(t, lntpay.WithdrawalSucceeded, withdrawal.Status)
	require.NotEmpty(t, withdrawal.Preimage)
	_, err = client.Withdrawals.Create(ctx, params)
	require.ErrorIs(t, err, lntpay.ErrDuplicatePayment)
	balance, err := client.Ledger.Balance(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1_000_000-500_123, balance.AvailableMsat)
	var kinds []string
	for transfer, err := range client.Ledger.Transfers(ctx, lntpay.TransferFilter{PageSize: 1}) {
		require.NoError(t, err)
		kinds = append(kinds, transfer.Kind)
	}
	require.Equal(t, []string{"withdrawal_release", "withdrawal_post", "withdrawal_lock", "charge_settled"}, kinds)

	streamed := <-events
	require.Equal(t, []lntpay.EventType{lntpay.EventChargePaid, lntpay.EventWithdrawalSucceeded}, types(streamed))
	require.Equal(t, event, streamed[0])
	paidOut, err := streamed[1].Withdrawal()
	require.NoError(t, err)
	require.Equal(t, withdrawal.ID, paidOut.ID)
	c.Agrees(t)
}

// The rest of the surface, and the endpoint's secret in a rotation.
func testGoSDKAdministers(t *testing.T, s *Stack) {
	ctx, c := t.Context(), s.NewClient(t)
	client := c.sdk(t, nil)
	url, got := c.Receive(t)
	endpoint, err := client.WebhookEndpoints.Create(ctx, lntpay.WebhookEndpointParams{
		URL: url, Events: []lntpay.EventType{lntpay.EventChargePaid}, Description: "x",
	})
	require.NoError(t, err)
	endpoint, err = client.WebhookEndpoints.Update(ctx, endpoint.ID, lntpay.WebhookEndpointChange{Description: new("")})
	require.NoError(t, err)
	require.Empty(t, endpoint.Description)
	read, err := client.WebhookEndpoints.Get(ctx, endpoint.ID)
	require.NoError(t, err)
	require.Equal(t, endpoint, read)
	rotated, err := client.WebhookEndpoints.RotateSecret(ctx, endpoint.ID, time.Hour)
	require.NoError(t, err)
	delivery, err := client.WebhookEndpoints.Test(ctx, endpoint.ID)
	require.NoError(t, err)
	one := Next(t, got)
	event, err := lntpay.Verify(one.Body, one.Header, rotated.Secret)
	require.NoError(t, err)
	require.Equal(t, lntpay.EventWebhookTest, event.Type)
	tested, err := event.WebhookEndpoint()
	require.NoError(t, err)
	require.Equal(t, endpoint.ID, tested.ID)
	c.awaitDelivery(t, delivery.ID, 1)
	_, err = client.Deliveries.Redeliver(ctx, delivery.ID)
	require.NoError(t, err)
	require.Equal(t, one.Body, Next(t, got).Body)
	c.awaitDelivery(t, delivery.ID, 2)
	for listed, err := range client.Deliveries.List(ctx, lntpay.DeliveryFilter{EndpointID: endpoint.ID, EventID: event.ID}) {
		require.NoError(t, err)
		require.Equal(t, delivery.ID, listed.ID)
		require.Len(t, listed.Attempts, 2)
		require.Equal(t, lntpay.DeliverySucceeded, listed.Status)
	}
	stored, err := client.Events.Get(ctx, event.ID)
	require.NoError(t, err)
	require.Equal(t, event, stored)
	require.NoError(t, client.WebhookEndpoints.Delete(ctx, endpoint.ID))
	for left, err := range client.WebhookEndpoints.List(ctx) {
		require.Fail(t, "it is deleted", "%v %v", left, err)
	}

	key, err := client.Keys.Create(ctx, lntpay.KeyParams{Name: "reader", Scopes: []lntpay.Scope{lntpay.ScopeLedgerRead}})
	require.NoError(t, err)
	reader, err := lntpay.New(lntpay.Options{APIKey: key.Secret, BaseURL: c.APIURL + "/v1"})
	require.NoError(t, err)
	_, err = reader.Ledger.Balance(ctx)
	require.NoError(t, err)
	_, err = reader.Charges.Create(ctx, lntpay.ChargeParams{AmountMsat: 1})
	require.ErrorIs(t, err, lntpay.ErrForbidden)
	for _, err := range reader.Events.Stream(ctx, lntpay.StreamParams{}) {
		require.ErrorIs(t, err, lntpay.ErrForbidden)
	}
	require.NoError(t, client.Keys.Delete(ctx, key.ID))
	for listed, err := range client.Keys.List(ctx) {
		require.NoError(t, err)
		require.NotEqual(t, key.ID, listed.ID)
	}
	require.ErrorIs(t, client.Keys.Delete(ctx, key.ID), lntpay.ErrNotFound)
	buckets, err := client.Charges.Usage(ctx, lntpay.UsageParams{Interval: lntpay.Day})
	require.NoError(t, err)
	require.NotEmpty(t, buckets)
	_, err = client.Charges.Create(ctx, lntpay.ChargeParams{})
	require.ErrorIs(t, err, lntpay.ErrAmountOutOfRange)
}

// The program in the SDK's README, as it is.
func testGoSDKsProgram(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	binary := filepath.Join(t.TempDir(), "charge")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./examples/charge")
	build.Dir = "../../sdk/go"
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	program := exec.CommandContext(t.Context(), binary)
	program.Stderr = os.Stderr
	program.Env = append(os.Environ(), "LNTPAY_API_KEY="+c.Key, "LNTPAY_BASE_URL="+c.APIURL)
	stdout, err := program.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	out := bufio.NewReader(stdout)
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	bolt11, ok := strings.CutPrefix(line, "pay ")
	require.True(t, ok, line)
	_, err = c.Net.Pay(t.Context(), strings.TrimSpace(bolt11), 0)
	require.NoError(t, err)
	line, err = out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "paid\n", line)
	require.NoError(t, program.Wait())
}

// follow takes count events off a stream.
func follow(t *testing.T, client *lntpay.Client, params lntpay.StreamParams, count int) chan []*lntpay.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	done, ended := make(chan []*lntpay.Event, 1), make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	go func() {
		defer close(ended)
		var got []*lntpay.Event
		for event, err := range client.Events.Stream(ctx, params) {
			if err != nil {
				t.Errorf("the stream ended after %v: %v", types(got), err)

				break
			}
			if got = append(got, event); len(got) == count {
				break
			}
		}
		done <- got
	}()

	return done
}

func types(events []*lntpay.Event) (all []lntpay.EventType) {
	for _, event := range events {
		all = append(all, event.Type)
	}

	return all
}

// bad is a network on which every third read and every third write fails: in
// turn it does not arrive, its answer is lost, and its answer breaks off. One
// call fails mostInARow times at most: among those of others it may be the third
// as often as the client tries.
// streamBreaksAfter is how much of a stream comes at most.
type bad struct {
	http.RoundTripper
	reads, writes, failures, replays atomic.Int64
	mu                               sync.Mutex
	inARow                           map[string]int
	// streaming is closed when the first stream is open.
	streaming chan struct{}
	once      sync.Once
}

const (
	streamBreaksAfter = 5000
	mostInARow        = 3
)

// fails decides about the nth of its kind.
func (b *bad) fails(r *http.Request, n int64) bool {
	call := r.URL.Path + r.Header.Get("Idempotency-Key")
	b.mu.Lock()
	defer b.mu.Unlock()
	if n%3 != 0 || b.inARow[call] == mostInARow {
		delete(b.inARow, call)

		return false
	}
	if b.inARow == nil {
		b.inARow = map[string]int{}
	}
	b.inARow[call]++

	return true
}

func (b *bad) RoundTrip(r *http.Request) (*http.Response, error) {
	n := b.reads.Add(1)
	if r.Method == http.MethodPost {
		n = b.writes.Add(1)
	}
	fails := b.fails(r, n)
	if fails {
		b.failures.Add(1)
		if n/3%3 == 0 {
			_ = r.Body.Close()

			return nil, errors.New("the request is lost")
		}
	}
	response, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(r.URL.Path, "/stream") {
		b.once.Do(func() { close(b.streaming) })
		response.Body = breaking{io.LimitReader(response.Body, streamBreaksAfter), response.Body}

		return response, nil
	}
	if response.Header.Get("Idempotent-Replayed") == "true" {
		b.replays.Add(1)
	}
	if !fails {
		return response, nil
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if n/3%3 == 1 {
		return nil, errors.New("the answer is lost")
	}
	response.Body = breaking{bytes.NewReader(body[:len(body)/2]), response.Body}

	return response, nil
}

// breaking ends like a connection that breaks.
type breaking struct {
	io.Reader
	io.Closer
}

func (b breaking) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}

	return n, err
}

// Whatever the network loses, each charge is made once, each invoice is paid
// once, and each event comes once.
func testGoSDKOnABadNetwork(t *testing.T, s *Stack) {
	ctx, c := t.Context(), s.NewClient(t)
	network := &bad{RoundTripper: c.network(t), streaming: make(chan struct{})}
	client := c.sdk(t, network)
	const payers, amount = 12, 20_000
	events := follow(t, client, lntpay.StreamParams{}, 2*payers)
	<-network.streaming
	var group errgroup.Group
	group.SetLimit(4)
	for i := range payers {
		bolt11 := c.Payable(t, amount/2)
		group.Go(func() error { return earnAndSpend(ctx, c, client, i, bolt11) })
	}
	require.NoError(t, group.Wait())
	t.Logf("of %d reads and %d writes %d failed, %d were answered again",
		network.reads.Load(), network.writes.Load(), network.failures.Load(), network.replays.Load())
	// Of 24 writes and their repeats 11 fail, of which 3 did not arrive.
	require.GreaterOrEqual(t, network.replays.Load(), int64(payers/2))

	seen := map[string]bool{}
	for charge, err := range client.Charges.List(ctx, lntpay.ChargeFilter{PageSize: 5}) {
		require.NoError(t, err)
		require.Equal(t, lntpay.ChargePaid, charge.Status)
		require.False(t, seen[charge.ExternalID], "two charges for %s", charge.ExternalID)
		seen[charge.ExternalID] = true
	}
	require.Len(t, seen, payers)
	hashes := map[string]bool{}
	for withdrawal, err := range client.Withdrawals.List(ctx, lntpay.WithdrawalFilter{PageSize: 5}) {
		require.NoError(t, err)
		require.Equal(t, lntpay.WithdrawalSucceeded, withdrawal.Status)
		hashes[withdrawal.PaymentHash] = true
	}
	require.Len(t, hashes, payers)
	require.Len(t, c.withdrawalIDs(t), payers)
	c.RequireBalance(t, payers*amount/2, 0)
	c.Agrees(t)

	streamed := <-events
	require.Len(t, streamed, 2*payers)
	for i, event := range streamed {
		require.EqualValues(t, i+1, event.Sequence)
	}
}

// earnAndSpend has a charge paid and pays an invoice with half of it.
func earnAndSpend(ctx context.Context, c *Client, client *lntpay.Client, i int, bolt11 string) error {
	charge, err := client.Charges.Create(ctx, lntpay.ChargeParams{AmountMsat: 20 * lntpay.Sat, ExternalID: fmt.Sprint("payer-", i)})
	if err != nil {
		return err
	}
	if _, err := c.Net.Pay(ctx, charge.Bolt11, payments.Msat(0)); err != nil {
		return err
	}
	if charge, err = client.Charges.Wait(ctx, charge.ID); err != nil || charge.Status != lntpay.ChargePaid {
		return fmt.Errorf("charge %d: %v %w", i, charge, err)
	}
	withdrawal, err := client.Withdrawals.Create(ctx, lntpay.WithdrawalParams{Bolt11: bolt11})
	if err != nil {
		return err
	}
	if withdrawal, err = client.Withdrawals.Wait(ctx, withdrawal.ID); err != nil || withdrawal.Status != lntpay.WithdrawalSucceeded {
		return fmt.Errorf("withdrawal %d: %v %w", i, withdrawal, err)
	}

	return nil
}
