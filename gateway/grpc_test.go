package gateway_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// grpcUpstream serves gRPC's health service, which has a call and a stream.
func grpcUpstream(t *testing.T) (address string, service *health.Server) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	service = health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, service)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	return listener.Addr().String(), service
}

func TestGRPC(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"h2c", "http"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			address, upstream := grpcUpstream(t)
			r := start(t, fmt.Sprintf(`
services: [{name: health, upstream: "%s://%s", price_sats: 5, resource: service, no_challenge: ['/grpc\.health\.v1\.Health/Watch']}]
`, scheme, address))
			conn, err := grpc.NewClient(strings.TrimPrefix(r.url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
			require.NoError(t, err)
			t.Cleanup(func() { _ = conn.Close() })
			client := grpc_health_v1.NewHealthClient(conn)
			ctx := t.Context()

			// What Aperture's clients look for (l402/client_interceptor.go).
			var trailer metadata.MD
			_, err = client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.Trailer(&trailer))
			require.Equal(t, codes.Internal, status.Code(err), err)
			require.ErrorContains(t, err, "payment required")
			header := http.Header{"Www-Authenticate": trailer.Get("WWW-Authenticate")}
			require.Regexp(t, `(LSAT|L402) macaroon="(.*?)", invoice="(.*?)"`, strings.Join(header.Values("WWW-Authenticate"), "\n"))
			watch, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
			require.NoError(t, err)
			_, err = watch.Recv()
			require.Equal(t, codes.Unauthenticated, status.Code(err), err)

			paid := metadata.AppendToOutgoingContext(ctx, "Authorization", r.wallet.pay(t, header).String())
			answer, err := client.Check(paid, &grpc_health_v1.HealthCheckRequest{})
			require.NoError(t, err)
			require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, answer.GetStatus())
			// An error of the upstream is a header and nothing else.
			_, err = client.Check(paid, &grpc_health_v1.HealthCheckRequest{Service: "no such"})
			require.Equal(t, codes.NotFound, status.Code(err), err)
			followHealth(paid, t, client, upstream)
		})
	}
}

// followHealth sees each message of a stream when it is sent.
func followHealth(ctx context.Context, t *testing.T, client grpc_health_v1.HealthClient, upstream *health.Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{
		grpc_health_v1.HealthCheckResponse_SERVING, grpc_health_v1.HealthCheckResponse_NOT_SERVING, grpc_health_v1.HealthCheckResponse_SERVING,
	} {
		upstream.SetServingStatus("", want)
		message, err := watch.Recv()
		require.NoError(t, err)
		require.Equal(t, want, message.GetStatus())
	}
}
