package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/gate"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

// Options say what a Gateway works with.
type Options struct {
	Config *Config
	// Charges makes the invoices.
	Charges gate.Charger
	// Key mints tokens; tokens of OldKeys are still good.
	Key     l402.Key
	OldKeys []l402.Key
	// Ready says whether charges can be made.
	Ready func(context.Context) error
	// Registry has the metrics; one of its own if nil.
	Registry *prometheus.Registry
	// Log is slog.Default if nil.
	Log *slog.Logger
}

// Gateway is an http.Handler that lets paid requests through to upstreams.
type Gateway struct {
	config   *Config
	services []*service
	trusted  []netip.Prefix
	ready    func(context.Context) error
	registry *prometheus.Registry
	metrics  *metrics
	log      *slog.Logger
	// places has room for as many requests as may be under way.
	places     chan struct{}
	stopping   atomic.Bool
	transports []*upstreamTransport
}

// New assembles a gateway. It makes no call.
func New(options Options) (*Gateway, error) {
	cfg := options.Config
	g := &Gateway{
		config: cfg, ready: options.Ready, registry: options.Registry, log: options.Log,
		places: make(chan struct{}, cfg.Limits.InFlight),
	}
	if g.registry == nil {
		g.registry = prometheus.NewRegistry()
	}
	if g.log == nil {
		g.log = slog.Default()
	}
	var err error
	if g.trusted, err = parseNetworks(cfg.TrustedProxies); err != nil {
		return nil, fmt.Errorf("gateway: trusted_proxies: %w", err)
	}
	g.metrics = newMetrics(g.registry, cfg.Services)
	uses := gate.NewMemory(cfg.Limits.Uses)
	for _, one := range cfg.Services {
		s, err := g.newService(one, options, uses)
		if err != nil {
			return nil, fmt.Errorf("gateway: service %s: %w", one.Name, err)
		}
		g.services = append(g.services, s)
	}

	return g, nil
}

func (g *Gateway) newService(cfg Service, options Options, uses gate.Uses) (*service, error) {
	s, err := newService(cfg, g.config.Limits)
	if err != nil {
		return nil, err
	}
	transport, err := newTransport(cfg, g.config.Limits)
	if err != nil {
		return nil, err
	}
	g.transports = append(g.transports, transport)
	if s.proxy, err = g.newProxy(s, transport); err != nil || cfg.Auth == authOff {
		return s, err
	}
	config := gate.Config{
		Charges: noting{options.Charges}, Key: options.Key, OldKeys: options.OldKeys, Service: cfg.Name,
		Price:        func(r *http.Request) (int64, error) { return s.priceOf(r.Method, r.URL.Path), nil },
		Capabilities: cfg.Capabilities, Lifetime: time.Duration(cfg.LifetimeS) * time.Second,
		Once: cfg.Once, Uses: uses, MaxMinting: g.config.Limits.Minting, Log: g.log.With("service", cfg.Name),
	}
	// The path as it is forwarded, not as the client has written it.
	config.Resource = func(r *http.Request) string { return r.Method + " " + r.URL.EscapedPath() }
	if cfg.Resource == resourceService {
		config.Resource = func(*http.Request) string { return cfg.Name }
	}
	if cfg.Description != "" {
		config.Description = func(*http.Request) string { return cfg.Description }
	}
	if s.gate, err = gate.New(config); err != nil {
		return nil, err
	}
	// What it would log is that it cannot make invoices, which is its purpose.
	config.Charges, config.Log = noCharges{}, slog.New(slog.DiscardHandler)
	config.MaxMinting = g.config.Limits.InFlight
	s.silent, err = gate.New(config)

	return s, err
}

// noting tells an exchange of the charge that was made for it.
type noting struct{ gate.Charger }

// Create implements gate.Charger.
func (n noting) Create(ctx context.Context, params lntpay.ChargeParams, options ...lntpay.WriteOption) (*lntpay.Charge, error) {
	charge, err := n.Charger.Create(ctx, params, options...)
	if err == nil {
		exchangeOf(ctx).charge = charge
	}

	return charge, err
}

// noCharges is the Charger of where no invoices are made.
type noCharges struct{}

var errNoCharges = errors.New("gateway: no invoices are made here")

// Create implements gate.Charger.
func (noCharges) Create(ctx context.Context, _ lntpay.ChargeParams, _ ...lntpay.WriteOption) (*lntpay.Charge, error) {
	exchangeOf(ctx).asked = true

	return nil, errNoCharges
}
