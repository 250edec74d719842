package webhooks

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// describe says in a developer's words why no answer came. Addresses, names of
// resolvers and Go's own texts stay out: they tell about our network, not about
// the endpoint.
func (s *Sender) describe(err error) string {
	var (
		dns  *net.DNSError
		op   *net.OpError
		wrap *url.Error
	)
	if errors.As(err, &wrap) {
		err = wrap.Err
	}
	dialling := errors.As(err, &op) && op.Op == "dial"
	switch {
	case errors.Is(err, ErrURLNotAllowed):
		return refusal(err)
	case errors.As(err, &dns):
		return describeDNS(dns)
	case timedOut(err) && dialling:
		return fmt.Sprintf("no connection within %v", connectTimeout(s.timeout))
	case timedOut(err):
		return fmt.Sprintf("no answer within %v", s.timeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "the host cannot be reached"
	case dialling:
		return "the connection failed"
	}

	return describeConversation(err)
}

// refusal returns the text of the wrapped ErrURLNotAllowed without the dialler's
// words around it, which hold the address.
func refusal(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || inner == ErrURLNotAllowed { //nolint:errorlint // the walk looks for the wrapper of this very value
			return err.Error()
		}
		err = inner
	}
}

func describeDNS(err *net.DNSError) string {
	switch {
	case err.IsNotFound:
		return "the host name does not exist"
	case err.IsTimeout:
		return "the host name could not be resolved in time"
	default:
		return "the host name could not be resolved"
	}
}

// describeConversation is about what went wrong after the connection stood.
func describeConversation(err error) string {
	var (
		host      x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		cert      *tls.CertificateVerificationError
		alert     tls.AlertError
		record    tls.RecordHeaderError
		op        *net.OpError
	)
	switch {
	case errors.As(err, &host):
		return "the TLS certificate is not for this host name"
	case errors.As(err, &authority):
		return "the TLS certificate is signed by an unknown authority"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the TLS certificate has expired or is not valid yet"
	case errors.As(err, &invalid), errors.As(err, &cert):
		return "the TLS certificate is not valid"
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return "the endpoint does not speak TLS"
	case errors.As(err, &alert), errors.As(err, &op) && op.Op == "remote error":
		return "the TLS handshake failed"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset before an answer came"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before an answer came"
	default:
		return "the endpoint's answer is not valid HTTP"
	}
}
