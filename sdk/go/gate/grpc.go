package gate

import (
	"net/http"
	"strconv"
)

// The codes of gRPC, see google.golang.org/grpc/codes.
const (
	grpcInvalidArgument = 3
	grpcInternal        = 13
	grpcUnavailable     = 14
	grpcUnauthenticated = 16
)

// grpcAnswers are the answers to gRPC clients. For an invoice it is Aperture's,
// which its clients look for (aperture v0.3.8 proxy/proxy.go sendDirectResponse,
// l402/client_interceptor.go IsPaymentRequired); the others must differ from it.
var grpcAnswers = map[int]struct {
	status  int
	message string
}{
	http.StatusPaymentRequired:     {grpcInternal, "payment required"},
	http.StatusUnauthorized:        {grpcUnauthenticated, "invalid token"},
	http.StatusServiceUnavailable:  {grpcUnavailable, "service unavailable"},
	http.StatusRequestURITooLong:   {grpcInvalidArgument, "address too long"},
	http.StatusInternalServerError: {grpcInternal, "internal error"},
}

// answerGRPC answers in the form "Trailers-Only": headers and no body, HTTP
// status 200 (gRPC's PROTOCOL-HTTP2.md, "Responses").
func answerGRPC(w http.ResponseWriter, p *problem) {
	known := grpcAnswers[p.Status]
	header := w.Header()
	header.Set("Content-Type", "application/grpc")
	header.Set("Grpc-Status", strconv.Itoa(known.status))
	header.Set("Grpc-Message", known.message)
	w.WriteHeader(http.StatusOK)
}
