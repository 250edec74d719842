package config

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"github.com/lntpay/lntpay/payments"
)

// EnvFile names the variable that holds the path of the YAML file.
const EnvFile = "LNTPAY_CONFIG"

const envPrefix = "LNTPAY_"

// The most that a payment may ask for. lnd v0.21 refuses more each time, and
// takes 0 for a default of its own.
const (
	// maxCLTVLimit is lnd's default max-cltv-expiry.
	maxCLTVLimit = 2016
	// maxMaxParts is lnd's routerrpc.MaxPartsUpperLimit.
	maxMaxParts = 1000
	// maxTimeoutS is ours: more is a mistake of the unit.
	maxTimeoutS = 3600
	// maxStopMS bounds each part of a stop; more is a mistake of the unit.
	maxStopMS = 600_000
)

// Given reports whether the environment names a file or any setting.
func Given() bool {
	return slices.ContainsFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")

		return name == EnvFile || (strings.HasPrefix(name, envPrefix) && !slices.Contains(foreign, name))
	})
}

// foreign are LNTPAY_ variables that belong to others: the SDKs, the gateway and
// the tests.
var foreign = []string{
	EnvFile, "LNTPAY_API_KEY", "LNTPAY_WEBHOOK_SECRET", "LNTPAY_BASE_URL",
	"LNTPAY_GATEWAY_CONFIG", "LNTPAY_L402_KEY",
	"LNTPAY_TEST_DATABASE_URL", "LNTPAY_TEST_LOG", "LNTPAY_TOOLS_DIR", "LNTPAY_REGTEST", "LNTPAY_REGTEST_REPORT",
	"LNTPAY_RECORD_HISTORIES", "LNTPAY_RECORD_RELEASE", "LNTPAY_FAULTS_SEED", "LNTPAY_SOAK", "LNTPAY_COMPOSE", "LNTPAY_COMPOSE_KEEP",
	"LNTPAY_RECORD_EXAMPLES", "LNTPAY_RECORD_OBSERVABILITY", "LNTPAY_TEST_VICTIM",
}

// Load reads the file (path, or LNTPAY_CONFIG, or none) and the environment
// over the defaults, and checks what it read.
func Load(path string) (*Config, error) {
	k := koanf.New(".")
	if path == "" {
		path = os.Getenv(EnvFile)
	}
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			return nil, fmt.Errorf("config file %s: %w", path, err)
		}
	}
	if err := loadEnv(k); err != nil {
		return nil, err
	}
	cfg := Defaults()
	err := k.UnmarshalWithConf("", &cfg, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result: &cfg, TagName: "koanf", WeaklyTypedInput: true, ErrorUnused: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(mapstructure.StringToSliceHookFunc(","), fits),
	}})
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}

	if err := cfg.readSecrets(); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}

	return &cfg, cfg.check()
}

// loadEnv overlays LNTPAY_* variables. A variable that is no setting is an
// error: a typo must not run with the default in silence.
func loadEnv(k *koanf.Koanf) error {
	paths := map[string]string{}
	for _, setting := range Settings() {
		paths[setting.Variable] = setting.Path
	}
	var unknown []string
	err := k.Load(env.Provider(".", env.Opt{Prefix: envPrefix, TransformFunc: func(name, value string) (string, any) {
		path, known := paths[name]
		if !known {
			if !slices.Contains(foreign, name) {
				unknown = append(unknown, name)
			}

			return "", nil
		}

		return path, value
	}}), nil)
	if err != nil {
		return fmt.Errorf("read variables: %w", err)
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)

		return fmt.Errorf("unknown setting: %s", strings.Join(unknown, ", "))
	}

	return nil
}

// fits refuses a number that the setting's type cannot hold, which mapstructure
// would wrap or cut, and nothing in the place of a number, which it takes for 0:
// no limit.
func fits(from, to reflect.Value) (any, error) {
	var number string
	switch {
	case from.CanInt(), from.CanUint(), from.Kind() == reflect.String:
		number = fmt.Sprint(from)
	case from.CanFloat():
		number = strconv.FormatFloat(from.Float(), 'f', -1, 64)
	default:
		return from.Interface(), nil
	}
	var err error
	switch {
	case to.CanInt():
		_, err = strconv.ParseInt(number, 0, to.Type().Bits())
	case to.CanUint():
		_, err = strconv.ParseUint(number, 0, to.Type().Bits())
	}
	if err != nil {
		return nil, fmt.Errorf("%q is not a number that can be set: %w", number, err)
	}

	return from.Interface(), nil
}

// check refuses what contradicts itself, all faults at once.
func (c *Config) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		fail("log.level: %q is not debug, info, warn or error", c.Log.Level)
	}
	if !slices.Contains([]string{RequestsErrors, RequestsWrites, RequestsAll}, c.Log.Requests) {
		fail("log.requests: %q is not errors, writes or all", c.Log.Requests)
	}
	errs = append(errs, c.Telemetry.check()...)
	if c.API.MaxInFlight < 1 {
		fail("api.max_in_flight: %d is below 1", c.API.MaxInFlight)
	}
	for _, setting := range []struct {
		name  string
		value int
	}{
		{"api.drain_ms", c.API.DrainMS},
		{"api.shutdown_timeout_ms", c.API.ShutdownTimeoutMS},
		{"worker.shutdown_timeout_ms", c.Worker.ShutdownTimeoutMS},
	} {
		if setting.value < 0 || setting.value > maxStopMS {
			fail("%s: %d is not within 0 and %d", setting.name, setting.value, maxStopMS)
		}
	}
	if c.API.MaxChargeMsat < 1 || c.API.MaxChargeMsat > payments.MaxMsat {
		fail("api.max_charge_msat: %d is not an amount", c.API.MaxChargeMsat)
	}
	for name, value := range map[string]int{
		"api.max_connections": c.API.MaxConnections, "api.unauthorized_per_second": c.API.UnauthorizedPerSecond,
		"api.unauthorized_burst": c.API.UnauthorizedBurst,
	} {
		if value < 0 || value > maxLimit {
			fail("%s: %d is not within 0 and %d", name, value, maxLimit)
		}
	}
	if _, err := c.API.Proxies(); err != nil {
		errs = append(errs, err)
	}
	if (c.API.TLSCertFile == "") != (c.API.TLSKeyFile == "") {
		errs = append(errs, errHalfAPITLS)
	}
	for name, env := range c.Environments() {
		if env.Temporal.Address == "" || env.Temporal.Namespace == "" {
			fail("%s.temporal.address and .namespace are required", name)
		}
		if env.MaxConns < 2 {
			fail("%s.max_conns: %d is below 2", name, env.MaxConns)
		}
		errs = append(errs, env.Payouts.check(string(name)+".payouts")...)
		errs = append(errs, env.Reconcile.check(string(name)+".reconcile")...)
		errs = append(errs, env.Limits.check(string(name)+".limits")...)
		errs = append(errs, env.Temporal.TLS.check(string(name)+".temporal.tls")...)
	}
	if c.Webhooks.AllowPrivate && c.Production.DatabaseURL != "" {
		fail("webhooks.allow_private is for development: not with production configured")
	}
	errs = append(errs, c.checkPayer()...)
	errs = append(errs, c.checkApart()...)

	return errors.Join(errs...)
}

// check refuses what would send traces nowhere, or not say how many.
func (t Telemetry) check() []error {
	var errs []error
	if t.OTLPEndpoint != "" {
		endpoint, err := url.Parse(t.OTLPEndpoint)
		if err != nil || endpoint.Host == "" || endpoint.User != nil || (endpoint.Scheme != "http" && endpoint.Scheme != "https") {
			errs = append(errs, errors.New("telemetry.otlp_endpoint: not an http or https URL without a password"))
		}
	}
	if !(t.SampleRatio >= 0 && t.SampleRatio <= 1) { // Not a number is refused too.
		errs = append(errs, fmt.Errorf("telemetry.sample_ratio: %v is not from 0 to 1", t.SampleRatio))
	}
	if t.ServiceName == "" {
		errs = append(errs, errors.New("telemetry.service_name is empty"))
	}

	return errs
}

// checkPayer refuses a payer node in production, half of one, one on a network
// whose money is worth something, and the node itself.
func (c *Config) checkPayer() []error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Production.Payer != (Payer{}) {
		fail("production.payer: only the sandbox has a payer node")
	}
	payer, node := c.Sandbox.Payer, c.Sandbox.Node
	if payer == (Payer{}) {
		return errs
	}
	for _, setting := range []struct{ name, value string }{
		{"address", payer.Address}, {"tls_cert_file", payer.TLSCertFile}, {"macaroon_file", payer.MacaroonFile},
	} {
		if setting.value == "" {
			fail("sandbox.payer.%s is required where another setting of sandbox.payer is given", setting.name)
		}
	}
	if node.Network != "" && node.Network != "regtest" && node.Network != "signet" {
		fail("sandbox.payer: only on regtest or signet, and sandbox.node.network is %s", node.Network)
	}
	if payer.Address != "" && payer.Address == node.Address {
		fail("sandbox.payer.address and sandbox.node.address are the same: a node does not pay itself")
	}

	return errs
}

// check refuses what lnd would refuse at each send, or take for something else,
// and limits below zero, which would be no limits.
func (p Payouts) check(path string) []error {
	var errs []error
	for _, setting := range []struct {
		name                   string
		value, lowest, highest int64
	}{
		{"default_max_fee_floor_msat", int64(p.DefaultMaxFeeFloorMsat), 0, int64(payments.MaxMsat)},
		{"default_max_fee_ppm", p.DefaultMaxFeePPM, 0, 1_000_000},
		{"cltv_limit_blocks", int64(p.CLTVLimitBlocks), 1, maxCLTVLimit},
		{"timeout_s", int64(p.TimeoutS), 1, maxTimeoutS},
		{"max_parts", int64(p.MaxParts), 1, maxMaxParts},
		{"max_amount_msat", int64(p.MaxAmountMsat), 0, math.MaxInt64},
		{"workspace_daily_msat", int64(p.WorkspaceDailyMsat), 0, math.MaxInt64},
		{"workspace_open", int64(p.WorkspaceOpen), 0, math.MaxInt64},
		{"workspace_open_msat", int64(p.WorkspaceOpenMsat), 0, math.MaxInt64},
		{"node_daily_msat", int64(p.NodeDailyMsat), 0, math.MaxInt64},
		{"node_open", int64(p.NodeOpen), 0, math.MaxInt64},
		{"node_open_msat", int64(p.NodeOpenMsat), 0, math.MaxInt64},
	} {
		switch {
		case setting.value < setting.lowest:
			errs = append(errs, fmt.Errorf("%s.%s: %d is below %d", path, setting.name, setting.value, setting.lowest))
		case setting.value > setting.highest:
			errs = append(errs, fmt.Errorf("%s.%s: %d is above %d", path, setting.name, setting.value, setting.highest))
		}
	}

	return errs
}

// checkApart refuses two environments that share anything.
func (c *Config) checkApart() []error {
	if len(c.Environments()) < 2 {
		return nil
	}
	var errs []error
	for path, shared := range map[string]bool{
		"database_url":       c.Sandbox.DatabaseURL == c.Production.DatabaseURL,
		"temporal.namespace": c.Sandbox.Temporal.Namespace == c.Production.Temporal.Namespace,
		"node.pubkey":        c.Sandbox.Node.Pubkey != "" && c.Sandbox.Node.Pubkey == c.Production.Node.Pubkey,
		"node.address":       c.Sandbox.Node.Address != "" && c.Sandbox.Node.Address == c.Production.Node.Address,
		"secrets_key_file":   c.Sandbox.SecretsKeyFile != "" && c.Sandbox.SecretsKeyFile == c.Production.SecretsKeyFile,
		"preimage_key_file":  c.Sandbox.PreimageKeyFile != "" && c.Sandbox.PreimageKeyFile == c.Production.PreimageKeyFile,
	} {
		if shared {
			errs = append(errs, fmt.Errorf("sandbox.%s and production.%s are the same: environments never meet", path, path))
		}
	}
	if payer := c.Sandbox.Payer.Address; payer != "" && payer == c.Production.Node.Address {
		errs = append(errs, errors.New("sandbox.payer.address and production.node.address are the same: environments never meet"))
	}
	// A retired key still gives the preimages of charges that are open.
	for path, shared := range map[string]bool{
		"sandbox.preimage_key_file":         slices.Contains(c.Production.OldPreimageKeyFiles, c.Sandbox.PreimageKeyFile),
		"production.preimage_key_file":      slices.Contains(c.Sandbox.OldPreimageKeyFiles, c.Production.PreimageKeyFile),
		"production.old_preimage_key_files": overlap(c.Sandbox.OldPreimageKeyFiles, c.Production.OldPreimageKeyFiles),
	} {
		if shared {
			errs = append(errs, fmt.Errorf("%s is in the other's old_preimage_key_files: environments never meet", path))
		}
	}

	return errs
}

func overlap(one, other []string) bool {
	return slices.ContainsFunc(one, func(path string) bool { return slices.Contains(other, path) })
}

// CheckWorker refuses an environment that lacks what only the worker needs.
func (e Environment) CheckWorker(name payments.Environment) error {
	var errs []error
	for path, value := range map[string]string{
		"secrets_key_file": e.SecretsKeyFile, "preimage_key_file": e.PreimageKeyFile,
		"node.name": e.Node.Name, "node.network": e.Node.Network, "node.address": e.Node.Address,
		"node.tls_cert_file": e.Node.TLSCertFile, "node.macaroon_file": e.Node.MacaroonFile,
		"node.pubkey": e.Node.Pubkey,
	} {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s.%s is required", name, path))
		}
	}

	return errors.Join(errs...)
}
