package lightning

import (
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// refusal is a text that SendPaymentV2 answers before it writes anything
// (routerrpc/router_backend.go, extractIntentFromSendRequest). They come as
// plain errors, so as status Unknown with exactly the text, like a database
// error that says nothing: only what is listed here is definite. Left out is
// what our requests cannot cause.
type refusal struct {
	text string
	// open says that the text goes on with values.
	open bool
}

var refusals = []refusal{
	{"total time lock of ", true}, // ValidateCLTVLimit of routerrpc: above lnd's max-cltv-expiry.
	{"cltv limit ", true},         // ValidateCLTVLimit of routing: below the invoice's own delta.
	{"invoice expired. Valid until ", true},
	{"invoice not for current active network '", true}, // zpay32.Decode
	{"payment request must contain either a payment address or blinded paths", false},
	{"amount must be specified when paying a zero amount invoice", false},
	{"amount must not be specified when paying a non-zero amount invoice", false},
	{"amount cannot be negative", false}, // lnrpc.UnmarshallAmt
	{"the AMP flag (--amp or SendPaymentRequest.Amp) must be set to pay an AMP invoice", false},
	{"self-payments not allowed", false},
	// BuildBlindedPathSet (routing/blinding.go).
	{"blinded path requires ", true},
	{"invalid htlc minimum and maximum: ", true},
	{"blinded path cannot include NUMS key: ", true},
	{"all blinded paths must have ", true},
}

// refused reports whether lnd's own handler refused a send.
func refused(err error) bool {
	answer, ok := status.FromError(err)
	if err == nil || !ok || answer.Code() != codes.Unknown {
		return false
	}
	for _, r := range refusals {
		if answer.Message() == r.text || r.open && strings.HasPrefix(answer.Message(), r.text) {
			return true
		}
	}

	return false
}
