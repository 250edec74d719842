package api

import (
	"crypto/tls"
	"net"

	"github.com/lntpay/lntpay/config"
)

// withTLS puts TLS around the public listener, if a certificate is configured.
// A proxy in front speaks HTTP/1.1.
func withTLS(public net.Listener, cfg config.API) (net.Listener, error) {
	security, err := cfg.ServerTLS()
	if err != nil {
		_ = public.Close()

		return nil, err
	}
	if security == nil {
		return public, nil
	}

	return tls.NewListener(public, security), nil
}
