package config

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLS sets how a connection to Temporal is secured.
type TLS struct {
	// Enabled is whether TLS is spoken; needed wherever Temporal is not on this
	// host.
	Enabled bool `koanf:"enabled"`
	// CAFile holds the certificates (PEM) that Temporal's is signed by; the
	// system's when empty.
	CAFile string `koanf:"ca_file"`
	// CertFile holds a client certificate (PEM), where Temporal wants one.
	CertFile string `koanf:"cert_file"`
	// KeyFile holds the client certificate's key (PEM).
	KeyFile string `koanf:"key_file"`
	// ServerName is the name in Temporal's certificate, where it is not that of
	// the address.
	ServerName string `koanf:"server_name"`
}

// check refuses what would be left out in silence.
func (t TLS) check(path string) []error {
	var errs []error
	if !t.Enabled && t != (TLS{}) {
		errs = append(errs, fmt.Errorf("%s.enabled is not set, and other settings of %s are", path, path))
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		errs = append(errs, fmt.Errorf("%s.cert_file and %s.key_file go together", path, path))
	}

	return errs
}

// Client reads the files: nil without TLS. Errors name the setting's end.
func (t TLS) Client() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil //nolint:nilnil // No TLS is a value here.
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s holds no certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cert_file, key_file: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}

	return cfg, nil
}

// ServerTLS reads the api's certificate: nil without one.
func (a API) ServerTLS() (*tls.Config, error) {
	if cmp.Or(a.TLSCertFile, a.TLSKeyFile) == "" {
		return nil, nil //nolint:nilnil // No TLS is a value here.
	}
	pair, err := tls.LoadX509KeyPair(a.TLSCertFile, a.TLSKeyFile)
	if err != nil {
		return nil, fmt.Errorf("api.tls_cert_file, api.tls_key_file: %w", err)
	}

	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
}

// errHalfAPITLS says that one of two settings is missing.
var errHalfAPITLS = errors.New("api.tls_cert_file and api.tls_key_file go together")
