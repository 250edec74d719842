package aperture

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	aperturel402 "github.com/lightninglabs/aperture/l402"
	"github.com/lightninglabs/lndclient"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// payer is the lnd of a client: it pays what a till has made.
type payer struct {
	lndclient.LightningClient

	till *till
	paid []string
}

func (p *payer) PayInvoice(_ context.Context, invoice string, _ btcutil.Amount, _ *uint64) chan lndclient.PaymentResult {
	result := make(chan lndclient.PaymentResult, 1)
	preimage, known := p.till.pay(invoice)
	if !known {
		result <- lndclient.PaymentResult{Err: errors.New("no route")}

		return result
	}
	p.paid = append(p.paid, invoice)
	result <- lndclient.PaymentResult{Preimage: preimage, PaidAmt: 21}

	return result
}

// gRPCServer is a gate in front of a gRPC server, over HTTP/2 without TLS.
func gRPCServer(t *testing.T, charges *till, once bool) string {
	t.Helper()
	backend := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(backend, health.NewServer())
	server := httptest.NewUnstartedServer(open(t, charges, backend, once))
	server.Config.Protocols = &http.Protocols{}
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(backend.Stop)

	return strings.TrimPrefix(server.URL, "http://")
}

// client is a gRPC client that pays by Aperture's interceptor.
func client(t *testing.T, address string, lnd *payer, maxCost btcutil.Amount) grpc_health_v1.HealthClient {
	t.Helper()
	store, err := aperturel402.NewFileStore(t.TempDir())
	require.NoError(t, err)
	services := &lndclient.LndServices{Client: lnd, ChainParams: &chaincfg.RegressionNetParams}
	interceptor := aperturel402.NewInterceptor(services, store, 10*time.Second, maxCost, 10, true)
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(interceptor.UnaryInterceptor), grpc.WithStreamInterceptor(interceptor.StreamInterceptor))
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })

	return grpc_health_v1.NewHealthClient(connection)
}

func TestAperturesClientPaysOurGate(t *testing.T) {
	t.Parallel()
	charges := &till{}
	lnd := &payer{till: charges}
	caller := client(t, gRPCServer(t, charges, false), lnd, aperturel402.DefaultMaxCostSats)
	// Paid once, and used again.
	for range 2 {
		answer, err := caller.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		require.NoError(t, err)
		require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, answer.GetStatus())
	}
	require.Len(t, lnd.paid, 1)
	require.Equal(t, 1, charges.made)
}

// With Once a handler's answer is watched, which gRPC's server must not notice.
func TestAperturesClientPaysOurGateForOneCall(t *testing.T) {
	t.Parallel()
	charges := &till{}
	lnd := &payer{till: charges}
	caller := client(t, gRPCServer(t, charges, true), lnd, aperturel402.DefaultMaxCostSats)
	_, err := caller.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	// It has no notion of a token that ends, and does not buy another.
	_, err = caller.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	require.True(t, aperturel402.IsPaymentRequired(err), "%v", err)
	require.Len(t, lnd.paid, 1)
}

func TestAperturesClientKeepsToItsLimit(t *testing.T) {
	t.Parallel()
	charges := &till{}
	lnd := &payer{till: charges}
	_, err := client(t, gRPCServer(t, charges, false), lnd, 20).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	require.ErrorContains(t, err, lnwire.MilliSatoshi(21_000).String()[:5])
	require.Empty(t, lnd.paid)
}

// What is no challenge must not look like one to a client that pays.
func TestOtherRefusalsAreNotPaidFor(t *testing.T) {
	t.Parallel()
	charges := &till{}
	address := gRPCServer(t, charges, false)
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	caller := grpc_health_v1.NewHealthClient(connection)
	_, err = caller.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	require.True(t, aperturel402.IsPaymentRequired(err), "%v", err)
	token, preimage := minted(t)
	preimage[5]++
	require.NoError(t, aperturel402.AddFirstPartyCaveats(token, aperturel402.NewCaveat(aperturel402.PreimageKey, preimage.String())))
	_, err = caller.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}, grpc.PerRPCCredentials(aperturel402.NewMacaroonCredential(token, true)))
	require.False(t, aperturel402.IsPaymentRequired(err))
	require.Equal(t, codes.Unauthenticated, status.Code(err))
}
