package check_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/lntpay/lntpay/check"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/workflows"
)

// frontend answers what is asked of Temporal's.
type frontend struct {
	workflowservice.UnimplementedWorkflowServiceServer
	operatorservice.UnimplementedOperatorServiceServer
}

func (frontend) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{Capabilities: &workflowservice.GetSystemInfoResponse_Capabilities{}}, nil
}

func (frontend) DescribeNamespace(_ context.Context, r *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	if r.Namespace == "absent" {
		return nil, serviceerror.ToStatus(serviceerror.NewNamespaceNotFound(r.Namespace)).Err()
	}

	return &workflowservice.DescribeNamespaceResponse{}, nil
}

func (frontend) ListSearchAttributes(_ context.Context, r *operatorservice.ListSearchAttributesRequest) (*operatorservice.ListSearchAttributesResponse, error) {
	answer := &operatorservice.ListSearchAttributesResponse{CustomAttributes: map[string]enumspb.IndexedValueType{}}
	if r.Namespace != "bare" {
		for _, name := range []string{
			workflows.AttrWorkspaceID.GetName(), workflows.AttrEnvironment.GetName(), workflows.AttrPaymentHash.GetName(),
			workflows.AttrPaymentStatus.GetName(), workflows.AttrAmountMsat.GetName(),
		} {
			answer.CustomAttributes[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
		}
	}

	return answer, nil
}

// certificate writes a certificate for example.com and 127.0.0.1, and its key.
func certificate(t *testing.T) (pair tls.Certificate, certFile, keyFile string) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	pair = server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)

	return pair,
		write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})), 0o600),
		write(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})), 0o600)
}

func serveTemporal(t *testing.T, options ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(options...)
	workflowservice.RegisterWorkflowServiceServer(server, frontend{})
	operatorservice.RegisterOperatorServiceServer(server, frontend{})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	return listener.Addr().String()
}

// aboutTemporal is what a check says of it.
func aboutTemporal(t *testing.T, temporal config.Temporal, parts check.Parts) check.Line {
	t.Helper()
	cfg := good(t)
	cfg.Sandbox.Temporal = temporal
	for _, line := range check.All(t.Context(), cfg, nil, parts).Lines {
		if strings.HasPrefix(line.Subject, "sandbox.temporal") {
			return line
		}
	}
	t.Fatal("nothing is said of Temporal")

	return check.Line{}
}

func TestTemporalNamespace(t *testing.T) {
	t.Parallel()
	address := serveTemporal(t)
	for namespace, want := range map[string]struct{ worker, api check.Level }{
		"there": {check.OK, check.OK}, "absent": {check.Note, check.Warning}, "bare": {check.Note, check.Warning},
	} {
		temporal := config.Temporal{Address: address, Namespace: namespace}
		require.Equal(t, want.worker, aboutTemporal(t, temporal, worker).Level)
		require.Equal(t, want.api, aboutTemporal(t, temporal, check.Parts{API: true}).Level)
	}
}

// A real listener that speaks TLS, wants a client's certificate, and has one of
// its own that another authority has not signed.
func TestTemporalOverTLS(t *testing.T) {
	t.Parallel()
	pair, certFile, keyFile := certificate(t)
	address := serveTemporal(t, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert,
	})))
	full := config.TLS{Enabled: true, CAFile: certFile, CertFile: certFile, KeyFile: keyFile}
	for name, test := range map[string]struct {
		change func(*config.TLS)
		want   check.Level
	}{
		"all of it":             {func(*config.TLS) {}, check.OK},
		"by another name":       {func(c *config.TLS) { c.ServerName = "example.com" }, check.OK},
		"a name it has not":     {func(c *config.TLS) { c.ServerName = "other.test" }, check.Error},
		"authorities unknown":   {func(c *config.TLS) { c.CAFile = "" }, check.Error},
		"no client certificate": {func(c *config.TLS) { c.CertFile, c.KeyFile = "", "" }, check.Error},
		"no TLS":                {func(c *config.TLS) { *c = config.TLS{} }, check.Error},
		"no such file":          {func(c *config.TLS) { c.KeyFile = "/none" }, check.Error},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			security := full
			test.change(&security)
			require.Equal(t, test.want, aboutTemporal(t, config.Temporal{Address: address, Namespace: "there", TLS: security}, worker).Level)
		})
	}
}
