package gateway

import (
	"time"

	"github.com/lntpay/lntpay/sdk/go/l402"
)

// Config is the file of a gateway.
type Config struct {
	// Listen is the public address, host:port.
	Listen string `yaml:"listen"`
	// OperatorListen serves /healthz, /readyz and /metrics.
	OperatorListen string `yaml:"operator_listen"`
	// TLSCertFile and TLSKeyFile make the public address https.
	TLSCertFile string `yaml:"tls_cert_file"`
	TLSKeyFile  string `yaml:"tls_key_file"`
	// LogLevel is debug, info, warn or error.
	LogLevel string `yaml:"log_level"`
	// TrustedProxies are the networks whose X-Forwarded-* headers count.
	TrustedProxies []string `yaml:"trusted_proxies"`
	LNTPay         LNTPay   `yaml:"lntpay"`
	L402           L402     `yaml:"l402"`
	Limits         Limits   `yaml:"limits"`
	// Services are tried in this order; the first whose host and path match has
	// the request.
	Services []Service `yaml:"services"`
}

// LNTPay says where charges are made.
type LNTPay struct {
	// BaseURL is the API's address; LNTPAY_BASE_URL goes before it.
	BaseURL string `yaml:"base_url"`
	// APIKeyFile holds a key with the scope charges:write; LNTPAY_API_KEY goes
	// before it.
	APIKeyFile string `yaml:"api_key_file"`
}

// L402 names the keys of the tokens.
type L402 struct {
	// KeyFile holds the 64 hex digits that mint tokens; LNTPAY_L402_KEY goes
	// before it. Guard it as money.
	KeyFile string `yaml:"key_file"`
	// OldKeyFiles are retired keys, whose tokens are still good.
	OldKeyFiles []string `yaml:"old_key_files"`
}

// Limits bound what a request may take. Where it says so, 0 is no limit.
type Limits struct {
	// Connections bounds the open connections; more wait to be accepted.
	Connections int `yaml:"connections"`
	// InFlight bounds the requests under way; past it the answer is 503.
	InFlight int `yaml:"in_flight"`
	// Minting bounds the charges in the making, for each service.
	Minting int `yaml:"minting"`
	// Uses bounds the memory of used tokens, of all services with once.
	Uses int `yaml:"uses"`
	// FreebieClients bounds the clients whose freebies are counted in a day, for
	// each service; others get none.
	FreebieClients int `yaml:"freebie_clients"`
	// HeaderBytes bounds a request's header, PathBytes its decoded path.
	HeaderBytes int `yaml:"header_bytes"`
	PathBytes   int `yaml:"path_bytes"`
	// RequestBytes and ResponseBytes bound bodies; 0 is no limit.
	RequestBytes  int64 `yaml:"request_bytes"`
	ResponseBytes int64 `yaml:"response_bytes"`
	// HeaderTimeoutMS is how long a client may take to send its header, and in
	// HTTP/2 to take an answer of the gateway's own.
	HeaderTimeoutMS int `yaml:"header_timeout_ms"`
	// IdleTimeoutMS is how long a connection may be idle between requests.
	IdleTimeoutMS int `yaml:"idle_timeout_ms"`
	// ConnectTimeoutMS is how long a connection to an upstream may take, and its
	// TLS handshake.
	ConnectTimeoutMS int `yaml:"connect_timeout_ms"`
	// ResponseHeaderTimeoutMS is how long an upstream may think once it has the
	// request; 0 is no limit.
	ResponseHeaderTimeoutMS int `yaml:"response_header_timeout_ms"`
	// RequestTimeoutMS is how long a request may take in all, streams too; 0 is no
	// limit.
	RequestTimeoutMS int `yaml:"request_timeout_ms"`
	// ShutdownTimeoutMS is how long running requests may take to end.
	ShutdownTimeoutMS int `yaml:"shutdown_timeout_ms"`
}

// Service is an upstream and its prices. Regular expressions are Go's, and must
// match all of what they are held against.
type Service struct {
	// Name is written into tokens and metrics.
	Name string `yaml:"name"`
	// Host and Path are regular expressions for the requests that are the
	// service's; all if empty. Host is without port, in lower case.
	Host string `yaml:"host"`
	Path string `yaml:"path"`
	// Upstream is http://, https:// or h2c:// (HTTP/2 without TLS), a host, and
	// what is put before the path.
	Upstream string `yaml:"upstream"`
	// TLSCAFile replaces the system's authorities for the upstream, and
	// TLSServerName the name that its certificate must have.
	TLSCAFile     string `yaml:"tls_ca_file"`
	TLSServerName string `yaml:"tls_server_name"`
	// PreserveHost sends the client's Host instead of the upstream's.
	PreserveHost bool `yaml:"preserve_host"`
	// Headers are set upstream, over what the client has sent.
	Headers map[string]string `yaml:"headers"`
	// Auth is on, or off for a service without prices.
	Auth string `yaml:"auth"`
	// PriceSats or PriceMsat is what a request costs that no row of Prices
	// matches. Without them such a request is answered 404.
	PriceSats *int64 `yaml:"price_sats"`
	PriceMsat *int64 `yaml:"price_msat"`
	// Prices are tried in order, before the price above.
	Prices []Price `yaml:"prices"`
	// Free are regular expressions of paths that cost nothing.
	Free []string `yaml:"free"`
	// NoChallenge are those of paths that a token opens, and that are never
	// answered with an invoice: 401 instead of 402.
	NoChallenge []string `yaml:"no_challenge"`
	// Freebies are the requests that each client has for nothing in a day (UTC).
	Freebies int `yaml:"freebies"`
	// LifetimeS is how long a token is good; an hour if 0.
	LifetimeS int64 `yaml:"lifetime_s"`
	// Once lets a token open one request only.
	Once bool `yaml:"once"`
	// Resource says what a token opens: the method and path that it was bought
	// for (path), or whatever of the service costs no more (service).
	Resource string `yaml:"resource"`
	// Capabilities are written into tokens.
	Capabilities []string `yaml:"capabilities"`
	// Description is what invoices say; the resource if empty.
	Description string `yaml:"description"`
}

// Price is what some requests of a service cost.
type Price struct {
	// Method is one of HTTP's, any if empty; GET is HEAD too.
	Method string `yaml:"method"`
	// Path is a regular expression; any path if empty.
	Path string `yaml:"path"`
	// PriceSats or PriceMsat is the price.
	PriceSats *int64 `yaml:"price_sats"`
	PriceMsat *int64 `yaml:"price_msat"`
}

// Values of Service.Auth and Service.Resource.
const (
	authOn          = "on"
	authOff         = "off"
	resourcePath    = "path"
	resourceService = "service"
)

// Secrets are what the file only names.
type Secrets struct {
	// BaseURL is no secret, but comes the same way.
	BaseURL string
	APIKey  string
	Key     l402.Key
	OldKeys []l402.Key
}

// Defaults are the values of what is not set.
func Defaults() Config {
	return Config{
		Listen: "127.0.0.1:8085", OperatorListen: "127.0.0.1:8086", LogLevel: "info",
		Limits: Limits{
			Connections: 4096, InFlight: 1024, Minting: 32, Uses: 1_000_000, FreebieClients: 100_000,
			HeaderBytes: 32 << 10, PathBytes: 2048,
			HeaderTimeoutMS:         int((10 * time.Second).Milliseconds()),
			IdleTimeoutMS:           int((2 * time.Minute).Milliseconds()),
			ConnectTimeoutMS:        int((5 * time.Second).Milliseconds()),
			ResponseHeaderTimeoutMS: int((time.Minute).Milliseconds()),
			ShutdownTimeoutMS:       int((20 * time.Second).Milliseconds()),
		},
	}
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }
