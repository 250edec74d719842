package gateway

import (
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"

	"github.com/lntpay/lntpay/sdk/go/gate"
)

// The headers that tell the upstream what was paid. It may believe them: what a
// client sends under such names does not pass.
const (
	headerPaymentHash = "Lntpay-Payment-Hash"
	headerChargeID    = "Lntpay-Charge-Id"
	headerAmount      = "Lntpay-Amount-Msat"
)

// untrusted are headers by which some servers take a request for one with
// another path, method or origin than its first line says.
var untrusted = []string{
	"forwarded", "x-real-ip", "x-original-url", "x-original-uri", "x-rewrite-url", "x-original-host", "x-host",
	"x-http-method-override", "x-http-method", "x-method-override",
}

// ours says whether a header is for the gateway to set, or for nobody. CGI and
// what descends from it read an underscore as a hyphen.
func ours(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")

	return strings.HasPrefix(name, "lntpay-") || strings.HasPrefix(name, "x-forwarded-") || slices.Contains(untrusted, name)
}

// setHeaders makes the header of the upstream's request. The hop-by-hop ones are
// gone by then.
func (g *Gateway) setHeaders(r *httputil.ProxyRequest, s *service, requestID string) {
	out := r.Out.Header
	for name := range out {
		if ours(name) {
			delete(out, name)
		}
	}
	if !strings.EqualFold(out.Get("Upgrade"), "websocket") {
		// A connection that became h2c would carry requests that nobody judges.
		out.Del("Upgrade")
		out.Del("Connection")
		out.Del("Http2-Settings")
	}
	stripCredentials(out, s.Auth == authOn)
	if g.trusts(peer(r.In)) {
		keepForwarded(r)
	} else {
		r.SetXForwarded()
	}
	out.Set(headerRequestID, requestID)
	if payment, ok := gate.PaymentFrom(r.In.Context()); ok {
		out.Set(headerPaymentHash, payment.PaymentHash)
		out.Set(headerChargeID, payment.ChargeID)
		out.Set(headerAmount, strconv.FormatInt(payment.AmountMsat, 10))
	}
	for name, value := range s.Headers {
		out.Set(name, value)
	}
}

// keepForwarded goes on with what a trusted proxy says of its client.
func keepForwarded(r *httputil.ProxyRequest) {
	in, out := r.In.Header, r.Out.Header
	if chain := in.Values("X-Forwarded-For"); len(chain) > 0 {
		out["X-Forwarded-For"] = slices.Clone(chain)
	}
	r.SetXForwarded()
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto"} {
		if value := in.Get(name); value != "" {
			out.Set(name, value)
		}
	}
}

// stripCredentials takes tokens out: an upstream has no use for them, and its
// logs are no place for what is as good as money. The macaroon headers are
// tokens where tokens are sold, and elsewhere lnd's own.
func stripCredentials(header http.Header, sold bool) {
	kept := slices.DeleteFunc(header.Values("Authorization"), func(value string) bool {
		scheme, _, _ := strings.Cut(strings.TrimSpace(value), " ")

		return strings.EqualFold(scheme, "L402") || strings.EqualFold(scheme, "LSAT")
	})
	if len(kept) == 0 {
		header.Del("Authorization")
	} else {
		header["Authorization"] = kept
	}
	if sold {
		header.Del("Macaroon")
		header.Del("Grpc-Metadata-Macaroon")
	}
}
