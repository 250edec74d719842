package config

import (
	"time"

	"github.com/lntpay/lntpay/payments"
)

// Config is everything that can be set. The comment of a field is its text in
// docs/configuration.md and deploy/lntpay.example.yaml, without the field's name:
// `make generate` writes them.
type Config struct {
	// Log is what is logged.
	Log Log `koanf:"log"`
	// Telemetry is where traces go.
	Telemetry Telemetry `koanf:"telemetry"`
	// API is the HTTP API.
	API API `koanf:"api"`
	// Worker is the process that runs workflows and activities.
	Worker Worker `koanf:"worker"`
	// Webhooks are what is sent to receivers.
	Webhooks Webhooks `koanf:"webhooks"`
	// Sandbox is served when it has a database; so is production.
	Sandbox Environment `koanf:"sandbox"`
	// Production has the same settings as sandbox, but no payer.
	Production Environment `koanf:"production"`
}

// Log says how much is logged.
type Log struct {
	// Level is `debug`, `info`, `warn` or `error`; JSON lines on stderr.
	Level string `koanf:"level"`
	// Requests says which requests to the API have their line at info, the
	// others at debug: errors (answers from 400 on), writes (those, and all that
	// is not a read), or all.
	Requests string `koanf:"requests"`
}

// The values of Log.Requests.
const (
	RequestsErrors = "errors"
	RequestsWrites = "writes"
	RequestsAll    = "all"
)

// Telemetry says where traces go.
type Telemetry struct {
	// OTLPEndpoint is the URL of a collector that takes OTLP over HTTP, such as
	// http://127.0.0.1:4318; without one there are no traces.
	OTLPEndpoint string `koanf:"otlp_endpoint"`
	// SampleRatio is the share of traces that is kept, 0 to 1.
	SampleRatio float64 `koanf:"sample_ratio"`
	// ServiceName names the process to the collector.
	ServiceName string `koanf:"service_name"`
}

// API sets the HTTP API.
type API struct {
	// Listen is the public address; put a TLS proxy in front.
	Listen string `koanf:"listen"`
	// TLSCertFile holds a certificate (PEM) to serve TLS with on `api.listen`, for
	// a proxy on another host; read at the start.
	TLSCertFile string `koanf:"tls_cert_file"`
	// TLSKeyFile holds its key (PEM).
	TLSKeyFile string `koanf:"tls_key_file"`
	// OperatorListen serves `/healthz`, `/readyz` and `/metrics` of the api; never
	// publish it.
	OperatorListen string `koanf:"operator_listen"`
	// TrustedProxies are the addresses, or ranges of them (CIDR), of proxies
	// whose X-Forwarded-For names the client.
	TrustedProxies []string `koanf:"trusted_proxies"`
	// MaxConnections bounds the connections that are open at a time; further
	// ones wait to be accepted. 0 is no limit.
	MaxConnections int `koanf:"max_connections"`
	// UnauthorizedPerSecond bounds the 401s that a remote address gets of each
	// process; past it the answer is 429. 0 is no limit.
	UnauthorizedPerSecond int `koanf:"unauthorized_per_second"`
	// UnauthorizedBurst is how many of them it may get at once; 0 is as many as
	// in a second.
	UnauthorizedBurst int `koanf:"unauthorized_burst"`
	// MaxInFlight bounds the POSTs that wait for a workflow at a time, 1 or more;
	// past it the answer is 503 with `Retry-After`.
	MaxInFlight int `koanf:"max_in_flight"`
	// MaxChargeMsat is the largest amount of one charge (10,000,000 sats), 1 to
	// 2100000000000000000.
	MaxChargeMsat payments.Msat `koanf:"max_charge_msat"`
	// DrainMS is how long a process that was told to end goes on serving while
	// /readyz says that it drains: give it longer than whoever sends requests
	// here takes to notice.
	DrainMS int `koanf:"drain_ms"`
	// ShutdownTimeoutMS is how long running requests may take to end after that.
	ShutdownTimeoutMS int `koanf:"shutdown_timeout_ms"`
}

// Worker sets the worker.
type Worker struct {
	// OperatorListen serves `/healthz`, `/readyz` and `/metrics` of the worker,
	// when it has a process of its own; never publish it.
	OperatorListen string `koanf:"operator_listen"`
	// ShutdownTimeoutMS is how long running workflow tasks may take to end, and
	// after them running activities. What is cut runs again elsewhere.
	ShutdownTimeoutMS int `koanf:"shutdown_timeout_ms"`
}

// Webhooks sets the sender.
type Webhooks struct {
	// AllowPrivate opens loopback and private (RFC 1918) targets, for development;
	// refused where production is configured.
	AllowPrivate bool `koanf:"allow_private"`
}

// Environment sets one of the two environments.
type Environment struct {
	// DatabaseURL is the Postgres DSN of the runtime role. With
	// `sslmode=verify-full` (and `sslrootcert`, a path) wherever Postgres is not
	// on this host; what is special in a password is percent-encoded.
	DatabaseURL string `koanf:"database_url"`
	// MigrateDatabaseURL is the DSN of the owner, used by `lntpay migrate` only;
	// the runtime role's when empty.
	MigrateDatabaseURL string `koanf:"migrate_database_url"`
	// DatabaseURLFile holds the runtime role's DSN instead, such as a mounted
	// secret; a newline at its end is left out.
	DatabaseURLFile string `koanf:"database_url_file"`
	// MigrateDatabaseURLFile holds the owner's DSN instead.
	MigrateDatabaseURLFile string `koanf:"migrate_database_url_file"`
	// MaxConns bounds the connections of each process, 2 or more.
	MaxConns int32 `koanf:"max_conns"`
	// SecretsKeyFile holds 32 bytes in hex (`openssl rand -hex 32`) that seal
	// webhook secrets at rest; api and worker read it.
	SecretsKeyFile string `koanf:"secrets_key_file"`
	// PreimageKeyFile holds 32 bytes in hex that preimages are derived from; only
	// the worker reads it. Guard and back it up like money: whoever has it can
	// claim incoming payments on their way, and without it charges cannot be
	// opened.
	PreimageKeyFile string `koanf:"preimage_key_file"`
	// OldPreimageKeyFiles are retired keys that open charges still need.
	OldPreimageKeyFiles []string `koanf:"old_preimage_key_files"`
	// Temporal is the orchestrator.
	Temporal Temporal `koanf:"temporal"`
	// Node is the lnd node. Only the worker connects to it.
	Node Node `koanf:"node"`
	// Payouts are how withdrawals are paid, and how much. What is over a limit is
	// refused with `limit_exceeded`; a limit of 0 is no limit.
	Payouts Payouts `koanf:"payouts"`
	// Reconcile compares the books with themselves and with the node.
	Reconcile Reconcile `koanf:"reconcile"`
	// Limits are how much keys and workspaces may ask of the API. A limit of 0 is
	// no limit.
	Limits Limits `koanf:"limits"`
	// Payer is the sandbox's second node; all three settings or none, and none
	// in production.
	Payer Payer `koanf:"payer"`
}

// Payer sets the node that plays the world outside for the sandbox endpoints:
// all of it or none. Only the worker connects to it.
type Payer struct {
	// Address is the second lnd's gRPC; only the worker connects, and does not
	// wait for it at its start.
	Address string `koanf:"address"`
	// TLSCertFile is its `tls.cert`.
	TLSCertFile string `koanf:"tls_cert_file"`
	// MacaroonFile is its macaroon that may read info, pay, decode, and add, hold,
	// read, settle and cancel invoices: `lntpay macaroons --payer`.
	MacaroonFile string `koanf:"macaroon_file"`
}

// Limits bounds what keys and workspaces may ask of the API. All api processes
// share the rates. A limit of 0 is no limit; a burst of 0 is as many as in a second.
// A workspace may have its own: `lntpay ops limits`.
type Limits struct {
	// KeyPerSecond is how many requests a key may make.
	KeyPerSecond int `koanf:"key_per_second"`
	// KeyBurst is how many of them at once.
	KeyBurst int `koanf:"key_burst"`
	// WorkspacePerSecond is how many requests all keys of a workspace may make.
	WorkspacePerSecond int `koanf:"workspace_per_second"`
	// WorkspaceBurst is how many of them at once.
	WorkspaceBurst int `koanf:"workspace_burst"`
	// WithdrawalsPerSecond is how many withdrawals and quotes a workspace may
	// ask for; they count as requests too.
	WithdrawalsPerSecond int `koanf:"withdrawals_per_second"`
	// WithdrawalsBurst is how many of them at once.
	WithdrawalsBurst int `koanf:"withdrawals_burst"`
	// KeyWaits is how many long-polls and streams of a key may be open in each
	// process.
	KeyWaits int `koanf:"key_waits"`
	// WorkspaceWaits is how many of all keys of a workspace.
	WorkspaceWaits int `koanf:"workspace_waits"`
	// OpenCharges is how many charges of a workspace may be pending.
	OpenCharges int `koanf:"open_charges"`
}

// DefaultLimits are the values of what is not set.
func DefaultLimits() Limits {
	return Limits{
		KeyPerSecond: 100, KeyBurst: 200, WorkspacePerSecond: 200, WorkspaceBurst: 400,
		WithdrawalsPerSecond: 10, WithdrawalsBurst: 20, KeyWaits: 1000, WorkspaceWaits: 2000, OpenCharges: 50_000,
	}
}

// Payouts sets how withdrawals are paid and bounded. A limit of 0 is no limit.
type Payouts struct {
	// DefaultMaxFeeFloorMsat is the least fee limit of a withdrawal that names
	// none, 0 to 2100000000000000000; half a percent of a small amount would not
	// pay one hop's base fee.
	DefaultMaxFeeFloorMsat payments.Msat `koanf:"default_max_fee_floor_msat"`
	// DefaultMaxFeePPM is that fee limit in millionths of the amount (0.5 %), 0 to
	// 1000000.
	DefaultMaxFeePPM int64 `koanf:"default_max_fee_ppm"`
	// CLTVLimitBlocks bounds for how many blocks a payment may be held on its way,
	// 1 to 2016, lnd's own limit; an invoice that asks for more is
	// `invoice_invalid`.
	CLTVLimitBlocks uint32 `koanf:"cltv_limit_blocks"`
	// TimeoutS is how long the node makes new attempts at a payment, 1 to 3600.
	TimeoutS int `koanf:"timeout_s"`
	// MaxParts is into how many parts a payment may be split, 1 to 1000, lnd's own
	// limit.
	MaxParts uint32 `koanf:"max_parts"`
	// MaxAmountMsat is the largest amount of one withdrawal (10,000,000 sats).
	MaxAmountMsat payments.Msat `koanf:"max_amount_msat"`
	// WorkspaceDailyMsat bounds a workspace's amounts of the last 24 hours.
	WorkspaceDailyMsat payments.Msat `koanf:"workspace_daily_msat"`
	// WorkspaceOpen bounds a workspace's withdrawals that are not over.
	WorkspaceOpen int `koanf:"workspace_open"`
	// WorkspaceOpenMsat bounds the amounts and fee limits of those.
	WorkspaceOpenMsat payments.Msat `koanf:"workspace_open_msat"`
	// NodeDailyMsat bounds the node's amounts of the last 24 hours.
	NodeDailyMsat payments.Msat `koanf:"node_daily_msat"`
	// NodeOpen bounds the node's withdrawals that are not over; a channel has 483
	// HTLC slots.
	NodeOpen int `koanf:"node_open"`
	// NodeOpenMsat bounds the amounts and fee limits of those.
	NodeOpenMsat payments.Msat `koanf:"node_open_msat"`
}

// DefaultPayouts are the values of what is not set.
func DefaultPayouts() Payouts {
	return Payouts{
		DefaultMaxFeeFloorMsat: 5 * payments.MsatPerSat, DefaultMaxFeePPM: 5000,
		CLTVLimitBlocks: 1008, TimeoutS: 60, MaxParts: 16,
		MaxAmountMsat:      10_000_000 * payments.MsatPerSat,
		WorkspaceDailyMsat: 50_000_000 * payments.MsatPerSat,
		WorkspaceOpen:      200, WorkspaceOpenMsat: 50_000_000 * payments.MsatPerSat,
		NodeDailyMsat: 500_000_000 * payments.MsatPerSat,
		NodeOpen:      400, NodeOpenMsat: 200_000_000 * payments.MsatPerSat,
	}
}

// Temporal sets the orchestrator.
type Temporal struct {
	// Address is Temporal's frontend.
	Address string `koanf:"address"`
	// Namespace is one of this environment's own; the worker creates it and its
	// search attributes.
	Namespace string `koanf:"namespace"`
	// RetentionHours is how long closed workflows stay visible, set when the
	// namespace is created.
	RetentionHours int `koanf:"retention_hours"`
	// TLS secures the connection.
	TLS TLS `koanf:"tls"`
}

// Node sets the lnd node. Only the worker connects to it.
type Node struct {
	// Name is the node's, written into every charge; do not change it.
	Name string `koanf:"name"`
	// Network is `mainnet`, `testnet`, `signet` or `regtest`.
	Network string `koanf:"network"`
	// Address is lnd's gRPC; only the worker connects.
	Address string `koanf:"address"`
	// TLSCertFile is lnd's `tls.cert`.
	TLSCertFile string `koanf:"tls_cert_file"`
	// MacaroonFile is a macaroon that may add, read and cancel invoices and read
	// info and channels: `lntpay macaroons`.
	MacaroonFile string `koanf:"macaroon_file"`
	// SpendMacaroonFile is a macaroon that may send and follow payments, list them,
	// ask for routes and read channels, pending ones too: `lntpay macaroons`.
	// Without one `macaroon_file` must be able to. The worker reads the node's
	// payments for its safety even if nobody withdraws.
	SpendMacaroonFile string `koanf:"spend_macaroon_file"`
	// Pubkey is the node's identity in hex; another node is refused.
	Pubkey string `koanf:"pubkey"`
}

// Defaults are the values of what is not set.
func Defaults() Config {
	env := Environment{
		MaxConns: 20, Temporal: Temporal{RetentionHours: 72},
		Payouts: DefaultPayouts(), Reconcile: DefaultReconcile(), Limits: DefaultLimits(),
	}

	return Config{
		Log:       Log{Level: "info", Requests: RequestsWrites},
		Telemetry: Telemetry{SampleRatio: 1, ServiceName: "lntpay"},
		API: API{
			Listen: "127.0.0.1:8080", OperatorListen: "127.0.0.1:8081", MaxInFlight: 32,
			MaxConnections: 20_000, UnauthorizedPerSecond: 5, UnauthorizedBurst: 50,
			MaxChargeMsat:     payments.DefaultMaxAmount,
			DrainMS:           int((5 * time.Second).Milliseconds()),
			ShutdownTimeoutMS: int((20 * time.Second).Milliseconds()),
		},
		Worker: Worker{
			OperatorListen: "127.0.0.1:8082", ShutdownTimeoutMS: int((20 * time.Second).Milliseconds()),
		},
		Sandbox:    env,
		Production: env,
	}
}

// Environments are the ones that are configured, by name.
func (c *Config) Environments() map[payments.Environment]Environment {
	all := map[payments.Environment]Environment{}
	for name, env := range map[payments.Environment]Environment{
		payments.Sandbox: c.Sandbox, payments.Production: c.Production,
	} {
		if env.DatabaseURL != "" {
			all[name] = env
		}
	}

	return all
}
