package config

import (
	"time"

	"github.com/lntpay/lntpay/payments"
)

// Config is everything that can be set.
type Config struct {
	Log       Log       `koanf:"log"`
	Telemetry Telemetry `koanf:"telemetry"`
	API       API       `koanf:"api"`
	Worker    Worker    `koanf:"worker"`
	Webhooks  Webhooks  `koanf:"webhooks"`
	// Sandbox and Production are served when their database_url is set.
	Sandbox    Environment `koanf:"sandbox"`
	Production Environment `koanf:"production"`
}

// Log says how much is logged.
type Log struct {
	// Level is debug, info, warn or error.
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
	// Listen is the public address, host:port.
	Listen string `koanf:"listen"`
	// OperatorListen serves /healthz, /readyz and /metrics.
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
	// MaxInFlight bounds the POSTs that wait for a workflow; past it the
	// answer is 503 with Retry-After.
	MaxInFlight int `koanf:"max_in_flight"`
	// MaxChargeMsat is the largest amount of one charge.
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
	// OperatorListen serves /healthz, /readyz and /metrics of the worker.
	OperatorListen string `koanf:"operator_listen"`
	// ShutdownTimeoutMS is how long running workflow tasks may take to end, and
	// after them running activities. What is cut runs again elsewhere.
	ShutdownTimeoutMS int `koanf:"shutdown_timeout_ms"`
}

// Webhooks sets the sender.
type Webhooks struct {
	// AllowPrivate opens loopback and RFC 1918 targets, for development.
	AllowPrivate bool `koanf:"allow_private"`
}

// Environment sets one of the two environments.
type Environment struct {
	// DatabaseURL is the Postgres DSN of the runtime role.
	DatabaseURL string `koanf:"database_url"`
	// MigrateDatabaseURL is the DSN of the owner, used by `lntpay migrate`
	// only; DatabaseURL when empty.
	MigrateDatabaseURL string `koanf:"migrate_database_url"`
	// MaxConns bounds each process's pool.
	MaxConns int32 `koanf:"max_conns"`
	// SecretsKeyFile holds 32 bytes in hex that seal webhook secrets at rest.
	SecretsKeyFile string `koanf:"secrets_key_file"`
	// PreimageKeyFile holds 32 bytes in hex that preimages derive from. Only
	// the worker reads it. Guard it as money.
	PreimageKeyFile string `koanf:"preimage_key_file"`
	// OldPreimageKeyFiles are retired keys that open charges still need.
	OldPreimageKeyFiles []string `koanf:"old_preimage_key_files"`
	Temporal            Temporal `koanf:"temporal"`
	Node                Node     `koanf:"node"`
	Payouts             Payouts  `koanf:"payouts"`
	// Reconcile compares the books with themselves and with the node.
	Reconcile Reconcile `koanf:"reconcile"`
	Limits    Limits    `koanf:"limits"`
	// Payer is the sandbox's second node; production has none.
	Payer Payer `koanf:"payer"`
}

// Payer sets the node that plays the world outside for the sandbox endpoints:
// all of it or none. Only the worker connects to it.
type Payer struct {
	// Address is lnd's gRPC host:port.
	Address string `koanf:"address"`
	// TLSCertFile is lnd's tls.cert.
	TLSCertFile string `koanf:"tls_cert_file"`
	// MacaroonFile is a macaroon that may pay, and add, hold, settle and cancel
	// invoices.
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
	// none: a share of a small amount would not pay one hop's base fee.
	DefaultMaxFeeFloorMsat payments.Msat `koanf:"default_max_fee_floor_msat"`
	// DefaultMaxFeePPM is that fee limit as millionths of the amount.
	DefaultMaxFeePPM int64 `koanf:"default_max_fee_ppm"`
	// CLTVLimitBlocks bounds for how many blocks a payment may be held.
	CLTVLimitBlocks uint32 `koanf:"cltv_limit_blocks"`
	// TimeoutS is how long the node makes new attempts at a payment.
	TimeoutS int `koanf:"timeout_s"`
	// MaxParts is into how many parts a payment may be split.
	MaxParts uint32 `koanf:"max_parts"`
	// MaxAmountMsat is the largest amount of one withdrawal.
	MaxAmountMsat payments.Msat `koanf:"max_amount_msat"`
	// WorkspaceDailyMsat bounds a workspace's amounts of the last 24 hours.
	WorkspaceDailyMsat payments.Msat `koanf:"workspace_daily_msat"`
	// WorkspaceOpen bounds a workspace's withdrawals that are not over.
	WorkspaceOpen int `koanf:"workspace_open"`
	// WorkspaceOpenMsat bounds the amounts and fee limits of those.
	WorkspaceOpenMsat payments.Msat `koanf:"workspace_open_msat"`
	// NodeDailyMsat bounds a node's amounts of the last 24 hours.
	NodeDailyMsat payments.Msat `koanf:"node_daily_msat"`
	// NodeOpen bounds a node's withdrawals that are not over; a channel has
	// 483 HTLC slots.
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
	// Address is the frontend's host:port.
	Address string `koanf:"address"`
	// Namespace is this environment's own.
	Namespace string `koanf:"namespace"`
	// RetentionHours is how long closed workflows stay visible.
	RetentionHours int `koanf:"retention_hours"`
}

// Node sets the lnd node. Only the worker connects to it.
type Node struct {
	// Name is written into every charge.
	Name string `koanf:"name"`
	// Network is mainnet, testnet, signet or regtest.
	Network string `koanf:"network"`
	// Address is lnd's gRPC host:port.
	Address string `koanf:"address"`
	// TLSCertFile is lnd's tls.cert.
	TLSCertFile string `koanf:"tls_cert_file"`
	// MacaroonFile is a macaroon with at least the receive permissions.
	MacaroonFile string `koanf:"macaroon_file"`
	// SpendMacaroonFile is the macaroon of the calls that pay; without one
	// they use MacaroonFile.
	SpendMacaroonFile string `koanf:"spend_macaroon_file"`
	// Pubkey is the node's identity in hex; another node is refused.
	Pubkey string `koanf:"pubkey"`
}

// Defaults are the values of what is not set.
func Defaults() Config {
	env := Environment{MaxConns: 20, Temporal: Temporal{RetentionHours: 72}, Payouts: DefaultPayouts(), Reconcile: DefaultReconcile(), Limits: DefaultLimits()}

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
