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

func TestCheckWorkerNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	err := config.Environment{}.CheckWorker(payments.Sandbox)
	require.ErrorContains(t, err, "sandbox.node.macaroon_file")
	require.ErrorContains(t, err, "sandbox.preimage_key_file")
}
