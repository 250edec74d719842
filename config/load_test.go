package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
)

const sandbox = `
sandbox:
  database_url: postgres://sandbox
  temporal: {address: "127.0.0.1:7233", namespace: lntpay-sandbox}
  node: {pubkey: "02aa", address: "127.0.0.1:10009"}
  preimage_key_file: /keys/sandbox
`

const production = `
production:
  database_url: postgres://production
  temporal: {address: "127.0.0.1:7233", namespace: lntpay-production}
`

func TestLoad(t *testing.T) {
	for name, c := range map[string]struct {
		yaml    string
		env     map[string]string
		wantErr string
		check   func(*testing.T, *config.Config)
	}{
		"defaults": {check: func(t *testing.T, c *config.Config) {
			require.Equal(t, "info", c.Log.Level)
			require.Empty(t, c.Environments())
		}},
		"file, variable over it, default between": {
			yaml: sandbox, env: map[string]string{"LNTPAY_SANDBOX_NODE_ADDRESS": "10.0.0.1:1", "LNTPAY_API_MAX_IN_FLIGHT": "9"},
			check: func(t *testing.T, c *config.Config) {
				require.Equal(t, "10.0.0.1:1", c.Sandbox.Node.Address)
				require.Equal(t, "02aa", c.Sandbox.Node.Pubkey)
				require.Equal(t, 9, c.API.MaxInFlight)
				require.EqualValues(t, 20, c.Sandbox.MaxConns)
				require.Contains(t, c.Environments(), payments.Sandbox)
				require.NotContains(t, c.Environments(), payments.Production)
			},
		},
		"list in a variable": {
			env: map[string]string{"LNTPAY_SANDBOX_OLD_PREIMAGE_KEY_FILES": "/a,/b"},
			check: func(t *testing.T, c *config.Config) {
				require.Equal(t, []string{"/a", "/b"}, c.Sandbox.OldPreimageKeyFiles)
			},
		},
		"SDK variables are not ours": {env: map[string]string{"LNTPAY_API_KEY": "x", "LNTPAY_BASE_URL": "y"}},
		"unknown in the file":        {yaml: "sandbox: {databas_url: x}", wantErr: "databas_url"},
		"unknown variable":           {env: map[string]string{"LNTPAY_SANDBOX_DATABAS_URL": "x"}, wantErr: "LNTPAY_SANDBOX_DATABAS_URL"},
		"not a number":               {yaml: "api: {max_in_flight: many}", wantErr: "max_in_flight"},
		"bad level":                  {yaml: "log: {level: loud}", wantErr: "log.level"},
		"shared database": {
			yaml:    sandbox + "production:\n  database_url: postgres://sandbox\n  temporal: {address: x, namespace: p}\n",
			wantErr: "sandbox.database_url and production.database_url",
		},
		"shared namespace": {
			yaml:    sandbox + "production:\n  database_url: postgres://p\n  temporal: {address: x, namespace: lntpay-sandbox}\n",
			wantErr: "temporal.namespace",
		},
		"shared node": {
			yaml: sandbox + "production:\n  database_url: postgres://p\n  temporal: {address: x, namespace: p}\n" +
				"  node: {pubkey: \"02aa\"}\n",
			wantErr: "node.pubkey",
		},
		"shared key of the secrets": {
			yaml: sandbox + "  secrets_key_file: /keys/secrets\n" +
				production + "  secrets_key_file: /keys/secrets\n",
			wantErr: "sandbox.secrets_key_file and production.secrets_key_file",
		},
		"sandbox's preimage key is production's old one": {
			yaml:    sandbox + production + "  old_preimage_key_files: [/keys/older, /keys/sandbox]\n",
			wantErr: "sandbox.preimage_key_file is in the other's old_preimage_key_files",
		},
		"production's preimage key is sandbox's old one": {
			yaml: sandbox + "  old_preimage_key_files: [/keys/production]\n" +
				production + "  preimage_key_file: /keys/production\n",
			wantErr: "production.preimage_key_file is in the other's old_preimage_key_files",
		},
		"shared old preimage key": {
			yaml: sandbox + "  old_preimage_key_files: [/keys/older]\n" +
				production + "  old_preimage_key_files: [/keys/older]\n",
			wantErr: "production.old_preimage_key_files is in the other's",
		},
		"two environments apart": {
			yaml: sandbox + "  secrets_key_file: /keys/s1\n  old_preimage_key_files: [/keys/o1]\n" + production +
				"  secrets_key_file: /keys/s2\n  preimage_key_file: /keys/production\n  old_preimage_key_files: [/keys/o2]\n",
		},
		"a payer node": {yaml: sandbox + "  payer: {address: \"127.0.0.1:2\", tls_cert_file: /c, macaroon_file: /m}\n"},
		"half a payer node": {
			yaml: sandbox + "  payer: {address: \"127.0.0.1:2\", macaroon_file: /m}\n", wantErr: "sandbox.payer.tls_cert_file is required",
		},
		"a payer node without an address": {
			env:     map[string]string{"LNTPAY_SANDBOX_PAYER_TLS_CERT_FILE": "/c", "LNTPAY_SANDBOX_PAYER_MACAROON_FILE": "/m"},
			wantErr: "sandbox.payer.address is required",
		},
		"a payer node that is the node": {
			yaml:    sandbox + "  payer: {address: \"127.0.0.1:10009\", tls_cert_file: /c, macaroon_file: /m}\n",
			wantErr: "sandbox.payer.address and sandbox.node.address are the same",
		},
		"a payer node that is production's node": {
			yaml:    sandbox + "  payer: {address: \"127.0.0.1:10010\", tls_cert_file: /c, macaroon_file: /m}\n" + production,
			env:     map[string]string{"LNTPAY_PRODUCTION_NODE_ADDRESS": "127.0.0.1:10010"},
			wantErr: "sandbox.payer.address and production.node.address",
		},
		"a payer node with real money": {
			yaml: sandbox + "  payer: {address: \"127.0.0.1:2\", tls_cert_file: /c, macaroon_file: /m}\n",
			env:  map[string]string{"LNTPAY_SANDBOX_NODE_NETWORK": "mainnet"}, wantErr: "sandbox.payer: only on regtest or signet",
		},
		"a payer node in production": {
			env: map[string]string{"LNTPAY_PRODUCTION_PAYER_ADDRESS": "127.0.0.1:2"}, wantErr: "production.payer: only the sandbox",
		},
		"private targets in production": {
			yaml:    "webhooks: {allow_private: true}\nproduction:\n  database_url: postgres://p\n  temporal: {address: x, namespace: p}\n",
			wantErr: "webhooks.allow_private",
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := ""
			if c.yaml != "" {
				path = filepath.Join(t.TempDir(), "lntpay.yaml")
				require.NoError(t, os.WriteFile(path, []byte(c.yaml), 0o600))
			}
			for key, value := range c.env {
				t.Setenv(key, value)
			}
			cfg, err := config.Load(path)
			if c.wantErr != "" {
				require.ErrorContains(t, err, c.wantErr)

				return
			}
			require.NoError(t, err)
			if c.check != nil {
				c.check(t, cfg)
			}
		})
	}
}

// What lnd would refuse at each send or take for something else, and what would
// lift a limit in silence, stops the start and is named.
func TestPayoutsOutOfRange(t *testing.T) {
	const payouts = "sandbox.payouts."
	for setting, values := range map[string][]string{
		"cltv_limit_blocks":          {"-1", "0", "2017", "4294967296", "4294968304", "1.5"},
		"timeout_s":                  {"-1", "0", "3601", "\"\""},
		"max_parts":                  {"-1", "0", "1001"},
		"default_max_fee_floor_msat": {"-1", "9223372036854775807"},
		"default_max_fee_ppm":        {"-1", "1000001"},
		"max_amount_msat":            {"-1", "9223372036854775808", "\"\""},
		"workspace_daily_msat":       {"-1"},
		"workspace_open":             {"-1"},
		"workspace_open_msat":        {"-1"},
		"node_daily_msat":            {"-1"},
		"node_open":                  {"-1"},
		"node_open_msat":             {"-1"},
	} {
		for _, value := range values {
			path := filepath.Join(t.TempDir(), "lntpay.yaml")
			text := sandbox + "  payouts: {" + setting + ": " + value + "}\n"
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			_, err := config.Load(path)
			require.ErrorContains(t, err, payouts+setting, value)
		}
	}
	t.Setenv("LNTPAY_SANDBOX_DATABASE_URL", "postgres://sandbox")
	t.Setenv("LNTPAY_SANDBOX_TEMPORAL_ADDRESS", "x")
	t.Setenv("LNTPAY_SANDBOX_TEMPORAL_NAMESPACE", "x")
	for _, value := range []string{"-1", "0", "2017", ""} {
		t.Setenv("LNTPAY_SANDBOX_PAYOUTS_CLTV_LIMIT_BLOCKS", value)
		_, err := config.Load("")
		require.ErrorContains(t, err, payouts+"cltv_limit_blocks", value)
	}
}

// The ends of the ranges, and 0 for no limit, may be set; amounts as 1e10 too.
func TestPayoutsInRange(t *testing.T) {
	t.Parallel()
	for _, payouts := range []string{
		"{cltv_limit_blocks: 1, timeout_s: 1, max_parts: 1, default_max_fee_floor_msat: 0, default_max_fee_ppm: 0}",
		"{cltv_limit_blocks: 2016, timeout_s: 3600, max_parts: 1000, default_max_fee_ppm: 1000000}",
		"{max_amount_msat: 0, workspace_daily_msat: 0, workspace_open: 0, workspace_open_msat: 0}",
		"{node_daily_msat: 0, node_open: 0, node_open_msat: 0, max_amount_msat: 1e10}",
	} {
		path := filepath.Join(t.TempDir(), "lntpay.yaml")
		require.NoError(t, os.WriteFile(path, []byte(sandbox+"  payouts: "+payouts+"\n"), 0o600))
		_, err := config.Load(path)
		require.NoError(t, err, payouts)
	}
}

func TestCheckWorkerNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	err := config.Environment{}.CheckWorker(payments.Sandbox)
	require.ErrorContains(t, err, "sandbox.node.macaroon_file")
	require.ErrorContains(t, err, "sandbox.preimage_key_file")
}
