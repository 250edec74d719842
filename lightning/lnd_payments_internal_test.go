package lightning

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/lightningnetwork/lnd/routing"
	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestRefusals: what lnd's own validators say now is on the list. The texts
// that have no function of their own are checked against a running lnd, by
// the conformance suite.
func TestRefusals(t *testing.T) {
	t.Parallel()
	_, aboveMax := routerrpc.ValidateCLTVLimit(2017, 2016)
	_, negative := lnrpc.UnmarshallAmt(0, -1)
	for name, err := range map[string]error{
		"above max-cltv-expiry": aboveMax,
		"below the delta":       routing.ValidateCLTVLimit(10, 80, true),
		"expired":               routerrpc.ValidatePayReqExpiry(clock.NewDefaultClock(), &zpay32.Invoice{}),
		"negative":              negative,
		"few hops":              errors.New(routing.ErrInsufficientBlindedHops.Error() + " got: 0"),
		"restrictions":          errors.New(routing.ErrHTLCRestrictions.Error() + ": 1 < 2"),
	} {
		require.Error(t, err, name)
		require.True(t, refused(status.Error(codes.Unknown, err.Error())), "%s: %v", name, err)
	}
	for name, err := range map[string]error{
		"nil":               nil,
		"plain":             errors.New("self-payments not allowed"),
		"transport":         status.Error(codes.Unavailable, "self-payments not allowed"),
		"at the end":        status.Error(codes.Unknown, "database: self-payments not allowed"),
		"goes on":           status.Error(codes.Unknown, "self-payments not allowed yet"),
		"starting":          status.Error(codes.Unknown, "the RPC server is in the process of starting up"),
		"wallet locked":     status.Error(codes.Unknown, "wallet locked, unlock it to enable full RPC access"),
		"shutting down":     status.Error(codes.Unknown, "routerrpc server shutting down"),
		"macaroon":          status.Error(codes.Unknown, "verification failed: signature mismatch after caveat verification"),
		"permission denied": status.Error(codes.Unknown, "permission denied"),
		"late":              status.Error(codes.DeadlineExceeded, "invoice expired. Valid until"),
	} {
		require.False(t, refused(err), name)
	}
}

func TestPaymentFromRPC(t *testing.T) {
	t.Parallel()
	hash, secret := strings.Repeat("ab", 32), strings.Repeat("5ec1", 16)
	payment, err := paymentFromRPC(&lnrpc.Payment{
		PaymentHash: hash, Status: lnrpc.Payment_IN_FLIGHT, PaymentPreimage: secret, ValueMsat: 7, PaymentIndex: 3,
		CreationTimeNs: 4, FailureReason: lnrpc.PaymentFailureReason_FAILURE_REASON_TIMEOUT,
		Htlcs: []*lnrpc.HTLCAttempt{
			{Status: lnrpc.HTLCAttempt_IN_FLIGHT, Route: &lnrpc.Route{TotalTimeLock: 500}},
			{Status: lnrpc.HTLCAttempt_FAILED, Route: &lnrpc.Route{TotalTimeLock: 900}},
			{Status: lnrpc.HTLCAttempt_IN_FLIGHT, Route: &lnrpc.Route{TotalTimeLock: 600}},
			{Status: lnrpc.HTLCAttempt_SUCCEEDED, Route: &lnrpc.Route{TotalTimeLock: 800}},
		},
	})
	require.NoError(t, err)
	require.Equal(t, Payment{
		PaymentHash: payment.PaymentHash, State: PaymentInFlight, Index: 3, CreatedNS: 4, ValueMsat: 7,
		Attempts: 4, Pending: 2, Settled: 1, ExpiryHeight: 600,
	}, payment, "no preimage and no reason before the end")

	initiated, err := paymentFromRPC(&lnrpc.Payment{PaymentHash: hash, Status: lnrpc.Payment_INITIATED})
	require.NoError(t, err)
	require.Equal(t, PaymentInFlight, initiated.State)

	failed := lnrpc.PaymentFailureReason_FAILURE_REASON_ERROR
	for name, rpc := range map[string]*lnrpc.Payment{
		"nil":            nil,
		"unknown status": {PaymentHash: hash, Status: 99, PaymentPreimage: secret},
		"UNKNOWN":        {PaymentHash: hash, Status: lnrpc.Payment_UNKNOWN}, //nolint:staticcheck // Deprecated, never sent.
		"no hash":        {Status: lnrpc.Payment_FAILED, FailureReason: failed, PaymentPreimage: secret},
		"short hash":     {PaymentHash: hash[2:], Status: lnrpc.Payment_FAILED, FailureReason: failed},
		"short preimage": {PaymentHash: hash, Status: lnrpc.Payment_SUCCEEDED, PaymentPreimage: secret[2:]},
		"odd preimage":   {PaymentHash: hash, Status: lnrpc.Payment_SUCCEEDED, PaymentPreimage: secret[1:] + "x"},
		"no reason":      {PaymentHash: hash, Status: lnrpc.Payment_FAILED},
		"unknown reason": {PaymentHash: hash, Status: lnrpc.Payment_FAILED, FailureReason: 99},
		"negative value": {PaymentHash: hash, Status: lnrpc.Payment_IN_FLIGHT, ValueMsat: -1},
		"negative fee":   {PaymentHash: hash, Status: lnrpc.Payment_IN_FLIGHT, FeeMsat: -1},
		"unknown HTLC": {
			PaymentHash: hash, Status: lnrpc.Payment_IN_FLIGHT, Htlcs: []*lnrpc.HTLCAttempt{{Status: 99}},
		},
	} {
		_, err := paymentFromRPC(rpc)
		require.ErrorIs(t, err, errMalformed, name)
		require.NotContains(t, err.Error(), "5ec1", name)
	}
}

func TestSteadiness(t *testing.T) {
	t.Parallel()
	lost := status.Error(codes.Unavailable, "gone")
	for name, test := range map[string]struct {
		err error
		// fresh and running say whether it is steady afterwards, if it was not
		// and if it was.
		fresh, running bool
	}{
		"answer":         {nil, true, true},
		"not found":      {status.Error(codes.NotFound, "x"), true, true},
		"exists":         {status.Error(codes.AlreadyExists, "x"), true, true},
		"refused":        {status.Error(codes.Unknown, "self-payments not allowed"), true, true},
		"settled":        {status.Error(codes.Unknown, textAlreadySettled), true, true},
		"no route":       {status.Error(codes.Unknown, textNoPath), true, true},
		"canceled":       {context.Canceled, false, true},
		"canceled, gRPC": {status.Error(codes.Canceled, "x"), false, true},
		"deadline":       {context.DeadlineExceeded, false, false},
		"deadline, gRPC": {status.Error(codes.DeadlineExceeded, "x"), false, false},
		"transport":      {lost, false, false},
		"stream ended":   {errStreamEnded, false, false},
		"starting":       {status.Error(codes.Unknown, "the RPC server is in the process of starting up"), false, false},
	} {
		s := &steadiness{}
		require.Equal(t, test.err, s.judge(s.begin(), test.err))
		require.Equal(t, test.fresh, !s.since.IsZero(), name)
		_ = s.judge(s.begin(), nil)
		since := s.since
		_ = s.judge(s.begin(), test.err)
		require.Equal(t, test.running, s.since.Equal(since), name)
	}

	s := &steadiness{}
	before := s.begin()
	s.broke()
	s.good(before)
	require.Zero(t, s.lasted(), "an answer to a question from before the trouble")
	s.good(s.begin())
	time.Sleep(time.Millisecond)
	first := s.lasted()
	require.Positive(t, first)
	s.good(s.begin())
	require.GreaterOrEqual(t, s.lasted(), first, "more answers do not start it again")
}
