package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

const schemeH2C = "h2c"

// Bounds on what upstreams may keep open or send before the body.
const (
	idleUpstream        = 90 * time.Second
	idlePerUpstream     = 64
	upstreamHeaderBytes = 256 << 10
	keepAlive           = 30 * time.Second
)

// upstreamTransport speaks to one upstream: HTTP/1.1 and HTTP/2 as its address
// says, and HTTP/2 in any case to gRPC's servers, which know nothing else.
type upstreamTransport struct {
	plain *http.Transport
	h2c   *http.Transport // nil for https, where the handshake agrees on it
}

func newTransport(cfg Service, limits Limits) (*upstreamTransport, error) {
	upstream, err := parseUpstream(cfg.Upstream)
	if err != nil {
		return nil, err
	}
	t := &upstreamTransport{plain: baseTransport(limits)}
	if upstream.Scheme == "https" {
		t.plain.Protocols.SetHTTP2(true)
		t.plain.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.TLSServerName}
		if cfg.TLSCAFile != "" {
			t.plain.TLSClientConfig.RootCAs, err = authorities(cfg.TLSCAFile)
		}

		return t, err
	}
	t.h2c = baseTransport(limits)
	t.h2c.Protocols.SetHTTP1(false)
	t.h2c.Protocols.SetUnencryptedHTTP2(true)
	if upstream.Scheme == schemeH2C {
		t.plain = t.h2c
	}

	return t, nil
}

func baseTransport(limits Limits) *http.Transport {
	dialer := &net.Dialer{Timeout: milliseconds(limits.ConnectTimeoutMS), KeepAlive: keepAlive}
	t := &http.Transport{
		// No proxy from the environment: an upstream is where it is said to be.
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    milliseconds(limits.ConnectTimeoutMS),
		ResponseHeaderTimeout:  milliseconds(limits.ResponseHeaderTimeoutMS),
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        idleUpstream,
		MaxIdleConns:           4 * idlePerUpstream,
		MaxIdleConnsPerHost:    idlePerUpstream,
		MaxResponseHeaderBytes: upstreamHeaderBytes,
		// Bodies pass as they are.
		DisableCompression: true,
		Protocols:          new(http.Protocols),
		HTTP2:              &http.HTTP2Config{SendPingTimeout: keepAlive, PingTimeout: keepAlive},
	}
	t.Protocols.SetHTTP1(true)

	return t
}

func authorities(file string) (*x509.CertPool, error) {
	pem, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("tls_ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls_ca_file: %s holds no certificate", file)
	}

	return pool, nil
}

// RoundTrip implements http.RoundTripper.
func (t *upstreamTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	isGRPC := strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") && r.ProtoMajor == 2
	transport := t.plain
	if isGRPC && t.h2c != nil {
		transport = t.h2c
	}
	response, err := transport.RoundTrip(r)
	if err == nil && isGRPC {
		statusIntoTrailer(response)
	}

	return response, err
}

// statusIntoTrailer makes of an answer that is a header only (gRPC's
// Trailers-Only) one with a trailer. ReverseProxy flushes a header before it
// knows that nothing follows, and a client that has seen the stream go on looks
// for the status at its end.
func statusIntoTrailer(response *http.Response) {
	if response.Header.Get("Grpc-Status") == "" || len(response.Trailer) > 0 {
		return
	}
	response.Trailer = http.Header{}
	for _, name := range []string{"Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin"} {
		if values := response.Header.Values(name); len(values) > 0 {
			response.Trailer[name] = values
			response.Header.Del(name)
		}
	}
}

func (t *upstreamTransport) close() {
	t.plain.CloseIdleConnections()
	if t.h2c != nil {
		t.h2c.CloseIdleConnections()
	}
}
