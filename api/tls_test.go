package api_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/deploy/devnet/freeport"
)

// With a certificate the public address speaks TLS, and the operator's does not.
func TestServesTLS(t *testing.T) {
	t.Parallel()
	donor := httptest.NewTLSServer(nil)
	t.Cleanup(donor.Close)
	pair := donor.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	cfg := config.Defaults().API
	cfg.TLSCertFile, cfg.TLSKeyFile = filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(cfg.TLSCertFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600))
	require.NoError(t, os.WriteFile(cfg.TLSKeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	port, err := freeport.Take(2)
	require.NoError(t, err)
	cfg.Listen, cfg.OperatorListen = "127.0.0.1:"+strconv.Itoa(port), "127.0.0.1:"+strconv.Itoa(port+1)
	run := func() error {
		server, err := api.New(api.Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- server.Run(ctx) }()
		defer stop()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: donor.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}}}
		require.Eventually(t, func() bool {
			select {
			case err := <-ended:
				ended <- err

				return true
			default:
			}
			response, err := client.Get("https://" + cfg.Listen + "/openapi.json")
			if err != nil {
				return false
			}
			_ = response.Body.Close()

			return response.StatusCode == http.StatusOK
		}, 10*time.Second, 20*time.Millisecond)
		select {
		case err := <-ended:
			return err
		default:
		}
		response, err := client.Get("http://" + cfg.OperatorListen + "/healthz")
		require.NoError(t, err)
		_ = response.Body.Close()
		response, err = client.Get("http://" + cfg.Listen + "/openapi.json")
		require.NoError(t, err)
		_ = response.Body.Close()
		require.Equal(t, http.StatusBadRequest, response.StatusCode, "a request without TLS is told so")
		client.CloseIdleConnections()
		stop()

		return <-ended
	}
	require.NoError(t, run())
	cfg.TLSKeyFile = "/none"
	require.ErrorContains(t, run(), "api.tls_key_file")
}
