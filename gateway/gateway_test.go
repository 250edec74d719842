package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/gateway"
	"github.com/lntpay/lntpay/payments"
	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

const (
	eventually = 5 * time.Second
	tick       = 5 * time.Millisecond
)

var testKey = l402.NewKey([32]byte{1, 2, 3})

// wallet makes charges, and knows the preimages that paying them reveals.
type wallet struct {
	mu        sync.Mutex
	preimages map[[32]byte]l402.Preimage
	charges   []lntpay.ChargeParams
	away      bool
}

// Create implements gate.Charger.
func (w *wallet) Create(_ context.Context, params lntpay.ChargeParams, _ ...lntpay.WriteOption) (*lntpay.Charge, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return nil, errors.New("LNTPay is away")
	}
	var preimage l402.Preimage
	_, _ = rand.Read(preimage[:])
	hash := sha256.Sum256(preimage[:])
	w.preimages[hash] = preimage
	w.charges = append(w.charges, params)

	return &lntpay.Charge{
		ID: payments.NewID("ch"), Status: lntpay.ChargePending, AmountMsat: params.AmountMsat,
		Bolt11: "lnbcrt1" + hex.EncodeToString(hash[:]), PaymentHash: hex.EncodeToString(hash[:]),
		CreatedAt: time.Now(), ExpiresAt: time.Now().Add(params.ExpiresIn),
	}, nil
}

func (w *wallet) made() []lntpay.ChargeParams {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.charges
}

// pay is the credential that paying a challenge gives.
func (w *wallet) pay(t *testing.T, header http.Header) *l402.Credential {
	t.Helper()
	challenge, err := l402.ParseChallenge(header)
	require.NoError(t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	preimage, known := w.preimages[challenge.Macaroon.ID.PaymentHash]
	require.True(t, known)

	return &l402.Credential{Macaroon: challenge.Macaroon, Preimage: preimage}
}

// running is a gateway that serves.
type running struct {
	t        *testing.T
	url      string
	operator string
	wallet   *wallet
	registry *prometheus.Registry
	log      *lockedBuffer
	// stop begins the shutdown; ended has what Serve returned.
	stop  context.CancelFunc
	ended chan error
}

type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.buffer.String()
}

// start runs a gateway of these settings until the test ends.
func start(t *testing.T, settings string) *running {
	t.Helper()
	return startWith(t, settings, &wallet{preimages: map[[32]byte]l402.Preimage{}})
}

func startWith(t *testing.T, settings string, w *wallet) *running {
	t.Helper()
	cfg, err := gateway.Parse([]byte(settings))
	require.NoError(t, err)
	r := &running{t: t, wallet: w, registry: prometheus.NewRegistry(), log: &lockedBuffer{}, ended: make(chan error, 1)}
	g, err := gateway.New(gateway.Options{
		Config: cfg, Charges: w, Key: testKey, Registry: r.registry, Log: slog.New(slog.NewJSONHandler(r.log, nil)),
		Ready: func(context.Context) error {
			if w.away {
				return errors.New("LNTPay is away")
			}
			return nil
		},
	})
	require.NoError(t, err)
	public, operator := listen(t), listen(t)
	r.url, r.operator = "http://"+public.Addr().String(), "http://"+operator.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.ended <- g.Serve(ctx, public, operator) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-r.ended)
		r.ended <- nil
	})

	return r
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)

	return listener
}

// upstream serves a handler until the test ends.
func upstream(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)

	return server.URL
}

// reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	body   string
}

func (a reply) problem(t *testing.T) map[string]any {
	t.Helper()
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"), a.body)
	var problem map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &problem))

	return problem
}

// do sends one request; headers are pairs.
func (r *running) do(method, path string, body io.Reader, headers ...string) reply {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, body)
	require.NoError(r.t, err)
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		} else {
			request.Header.Add(headers[i], headers[i+1])
		}
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	require.NoError(r.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(r.t, err)

	return reply{response.StatusCode, response.Header, string(text)}
}

func (r *running) get(path string, headers ...string) reply {
	r.t.Helper()
	return r.do(http.MethodGet, path, nil, headers...)
}

// raw sends a request as it is written.
func (r *running) raw(request string) reply {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	require.NoError(r.t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, request)
	require.NoError(r.t, err)

	return read(r.t, conn)
}

// buy gets a token for a request, which must cost so much.
func (r *running) buy(method, path string, msat int64, headers ...string) string {
	r.t.Helper()
	asked := r.do(method, path, nil, headers...)
	require.Equal(r.t, http.StatusPaymentRequired, asked.status, asked.body)
	require.EqualValues(r.t, msat, asked.problem(r.t)["amount_msat"])

	return r.wallet.pay(r.t, asked.header).String()
}

// requireOutcomes checks the counters of a service; those that are not named
// are 0.
func (r *running) requireOutcomes(service string, counts map[string]int) {
	r.t.Helper()
	// A request is counted after its answer has been sent.
	require.EventuallyWithT(r.t, func(c *assert.CollectT) {
		got := map[string]int{}
		families, err := r.registry.Gather()
		require.NoError(c, err)
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				labels := metric.GetLabel()
				if family.GetName() == "lntpay_gateway_requests_total" && labels[1].GetValue() == service && metric.GetCounter().GetValue() > 0 {
					got[labels[0].GetValue()] = int(metric.GetCounter().GetValue())
				}
			}
		}
		require.Equal(c, counts, got)
	}, eventually, tick)
}

func read(t *testing.T, from io.Reader) reply {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(from), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)

	return reply{response.StatusCode, response.Header, string(text)}
}
