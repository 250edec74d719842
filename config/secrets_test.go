package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/config"
)

func secretFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))

	return file
}

// A DSN may come from a file, as secrets are mounted.
func TestSecretsByFile(t *testing.T) {
	t.Setenv("LNTPAY_SANDBOX_DATABASE_URL_FILE", secretFile(t, "postgres://a:b@h/d\n"))
	t.Setenv("LNTPAY_SANDBOX_MIGRATE_DATABASE_URL_FILE", secretFile(t, "postgres://o:b@h/d\r\n"))
	t.Setenv("LNTPAY_SANDBOX_TEMPORAL_ADDRESS", "x")
	t.Setenv("LNTPAY_SANDBOX_TEMPORAL_NAMESPACE", "x")
	cfg, err := config.Load("")
	require.NoError(t, err)
	require.Equal(t, "postgres://a:b@h/d", cfg.Sandbox.DatabaseURL)
	require.Equal(t, "postgres://o:b@h/d", cfg.Sandbox.MigrateDatabaseURL)
	require.Len(t, cfg.Environments(), 1)
}

// Errors name the setting, and never what it holds.
func TestSecretsThatAreRefused(t *testing.T) {
	file := secretFile(t, "postgres://a:hunter2@h/d")
	for name, test := range map[string]struct{ yaml, want string }{
		"both":          {"{database_url: \"postgres://hunter2\", database_url_file: " + file + "}", "sandbox.database_url and sandbox.database_url_file are both set"},
		"both of owner": {"{migrate_database_url: hunter2, migrate_database_url_file: " + file + "}", "sandbox.migrate_database_url_file are both set"},
		"missing":       {"{database_url_file: /none}", "sandbox.database_url_file"},
		"empty":         {"{database_url_file: " + secretFile(t, "\n") + "}", "is empty"},
		"a map":         {"{database_url: {x: hunter2}}", "database_url"},
		"a list":        {"{database_url: [[hunter2]]}", "database_url"},
		"shared":        {"{database_url_file: " + file + "}\nproduction: {database_url_file: " + file + "}", "database_url"},
		"not YAML":      {"{database_url: postgres://a:hunter2@h/d", "config file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(secretFile(t, "sandbox: "+test.yaml+"\n"))
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestTLSSettings(t *testing.T) {
	for name, test := range map[string]struct{ yaml, want string }{
		"files and not enabled": {"temporal: {address: x, namespace: x, tls: {ca_file: /ca}}", "sandbox.temporal.tls.enabled is not set"},
		"half a certificate":    {"temporal: {address: x, namespace: x, tls: {enabled: true, cert_file: /c}}", "go together"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(secretFile(t, "sandbox:\n  database_url: x\n  "+test.yaml+"\n"))
			require.ErrorContains(t, err, test.want)
		})
	}
	t.Setenv("LNTPAY_API_TLS_CERT_FILE", "/c")
	_, err := config.Load("")
	require.ErrorContains(t, err, "api.tls_cert_file and api.tls_key_file go together")
}
