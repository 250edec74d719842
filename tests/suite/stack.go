package suite

import (
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/tests/regtest"
)

// Stack is a product that runs somewhere, and what is around it.
type Stack struct {
	// APIURL is where clients reach the API, without a slash at its end.
	APIURL string
	// Net are the nodes: the product's, the payer, which its sandbox pays from
	// too, and, for RunOwnNetwork, the shop.
	Net      *regtest.Net
	Store    *store.Store
	Temporal client.Client
	// Environment are the worker's settings of its node and of payouts. Its files
	// are those that the test can read.
	Environment config.Environment
	// Relay gives the URL at which the worker reaches what listens at a URL on
	// the test's loopback interface, until the test ends; nil where that is the
	// worker's too.
	Relay func(t testing.TB, url string) string
	// KeysLinger is how long a deleted key may go on working: api processes
	// beside the one that deleted it remember keys.
	KeysLinger time.Duration
}

// reach is Relay.
func (s *Stack) reach(t testing.TB, url string) string {
	t.Helper()
	if s.Relay == nil {
		return url
	}

	return s.Relay(t, url)
}
