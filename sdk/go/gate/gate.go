package gate

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/lntpay/lntpay/sdk/go/l402"
)

// maxResourceBytes keeps the headers of a challenge, which has the macaroon three
// times, below what HTTP clients read.
const maxResourceBytes = 1 << 10

// Gate lets paid requests through. It may be used by many goroutines.
type Gate struct {
	config Config
	// keys are all that verify; the first mints.
	keys []l402.Key
	// minting has a place for each charge that is in the making.
	minting chan struct{}
}

// New makes a gate. It makes no call.
func New(config Config) (*Gate, error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, err
	}

	return &Gate{
		config:  config,
		keys:    append([]l402.Key{config.Key}, config.OldKeys...),
		minting: make(chan struct{}, config.MaxMinting),
	}, nil
}

// Handler lets paid and free requests through to next.
func (g *Gate) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		admission := g.Admit(w, r)
		if admission == nil {
			return
		}
		if admission.take == "" {
			// Nobody needs to know the status.
			next.ServeHTTP(w, admission.Request())

			return
		}
		watched := watch(w)
		returned := false
		// A panic goes on to the server, as it should.
		defer func() { admission.Done(watched.outcome(returned)) }()
		next.ServeHTTP(watched.writer(), admission.Request())
		returned = true
	})
}

// Admit judges a request. When it is let through, run the handler with the
// admission's Request and tell Done how it answered. When nil is returned, the
// request has been answered. It is for adapters to other routers.
func (g *Gate) Admit(w http.ResponseWriter, r *http.Request) *Admission {
	asked, err := g.ask(r)
	if err != nil {
		g.fail(w, r, err)

		return nil
	}
	if asked.AmountMsat == 0 {
		return &Admission{request: r}
	}
	admission, reason, err := g.judge(r, asked)
	switch {
	case err != nil:
		g.fail(w, r, err)
	case admission != nil:
		w.Header().Set(receiptHeader, admission.Payment.receipt(asked.Now))
	case reason.Genuine():
		g.challenge(w, r, asked, reason)
	default:
		// Without an invoice, so that forgeries do not fill the node.
		refuse(w, r, reason)
	}

	return admission
}

// ask is what a request needs.
func (g *Gate) ask(r *http.Request) (asked l402.Request, err error) {
	price, err := g.config.Price(r)
	if err != nil {
		return asked, fmt.Errorf("gate: the price: %w", err)
	}
	if price < 0 {
		return asked, fmt.Errorf("gate: the price is %d msat", price)
	}
	asked = l402.Request{
		Service: g.config.Service, NeedService: true, Resource: g.config.Resource(r),
		Capability: g.config.Capability(r), AmountMsat: price, Now: time.Now(),
	}
	if len(asked.Resource) > maxResourceBytes {
		return asked, errLong
	}
	// Whoever bought a token of this gate would be refused.
	known := g.config.Capabilities
	if asked.Capability != "" && len(known) > 0 && !slices.Contains(known, asked.Capability) {
		return asked, fmt.Errorf("gate: the capability %q is not one of Config.Capabilities", asked.Capability)
	}

	return asked, nil
}

// none is the reason of a request that has no token. To judge, that is as good
// as a genuine one: an invoice is the answer.
const none l402.Reason = ""

// judge finds a token that is good and, if it opens one request only, takes it.
// Without one, the reason is the one that says most: after a genuine token a
// new one may be bought.
func (g *Gate) judge(r *http.Request, asked l402.Request) (*Admission, l402.Reason, error) {
	credentials, err := l402.FromHeader(r.Header)
	if errors.Is(err, l402.ErrNoCredential) {
		return nil, none, nil
	}
	worst := l402.ErrMalformed
	for _, credential := range credentials {
		reason := g.verify(credential, asked)
		if reason == none {
			admission := g.admit(r, credential, asked)
			first, err := admission.takeOnce(credential, asked)
			if err != nil {
				return nil, none, err
			}
			if first {
				return admission, none, nil
			}
			reason = l402.ErrUsed
		}
		if !worst.Genuine() {
			worst = reason
		}
	}

	return nil, worst, nil
}

// verify judges a token by the key that minted it.
func (g *Gate) verify(credential *l402.Credential, asked l402.Request) l402.Reason {
	for _, key := range g.keys {
		err := key.Verify(credential, asked)
		if err == nil {
			return none
		}
		if reason, ok := errors.AsType[l402.Reason](err); ok && reason != l402.ErrBadSignature {
			return reason
		}
	}

	return l402.ErrBadSignature
}
