package gateway_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/gateway"
)

const good = `
services:
  - {name: shop, upstream: "http://127.0.0.1:9000", price_sats: 5}
`

func TestTheExampleIsGood(t *testing.T) {
	t.Parallel()
	cfg, err := gateway.Load("../deploy/gateway.example.yaml")
	require.NoError(t, err)
	require.Greater(t, len(cfg.Services), 2)
	var table strings.Builder
	require.NoError(t, cfg.PrintRoutes(&table))
	for _, service := range cfg.Services {
		require.Contains(t, table.String(), service.Name)
	}
}

func TestRoutesAreATable(t *testing.T) {
	t.Parallel()
	cfg, err := gateway.Parse([]byte(`
services:
  - {name: a, host: 'a\.test', upstream: "http://u", free: [/health], prices: [{method: POST, path: '/big/.*', price_sats: 100}, {price_msat: 1500}]}
  - {name: b, host: 'b\.test', upstream: "http://u", price_sats: 2, resource: service, once: true, lifetime_s: 60, freebies: 3}
  - {name: c, upstream: "h2c://u", auth: off}
`))
	require.NoError(t, err)
	var table strings.Builder
	require.NoError(t, cfg.PrintRoutes(&table))
	require.Equal(t, `SERVICE  HOST     METHOD  PATH     PRICE           TOKEN                                      UPSTREAM
a        a\.test  any     /health  free            -                                          http://u
a        a\.test  POST    /big/.*  100 sat         for the path                               http://u
a        a\.test  any     any      1500 msat       for the path                               http://u
a        a\.test  any     any      not sold (404)  -                                          http://u
b        b\.test  any     any      2 sat           for the service, once, 60 s, 3 free a day  http://u
c        any      any     any      free            -                                          h2c://u
`, table.String())
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	service := func(fields string) string { return "services: [{name: shop, upstream: 'http://u', " + fields + "}]" }
	for name, test := range map[string]struct{ settings, says string }{
		"unknown":              {good + "colour: blue", "colour"},
		"unknown of a service": {service("price_sats: 1, prize: 2"), "prize"},
		"unknown limit":        {good + "limits: {speed: 1}", "speed"},
		"twice":                {good + "listen: a\nlisten: b", "listen"},
		"nothing":              {"listen: 127.0.0.1:1", "services: there is none"},
		"half a sat":           {service("price_sats: 0.5"), "0.5"},
		"too large":            {service("price_sats: 99999999999999999999"), "999"},
		"free price":           {service("price_sats: 0"), "price_sats: 0"},
		"negative":             {service("price_msat: -1"), "price_msat: -1"},
		"more than there is":   {service("price_sats: 2100000000000001"), "is not an amount"},
		"both prices":          {service("price_sats: 1, price_msat: 1000"), "one of price_sats and price_msat"},
		"no price":             {service("free: [/a]"), "is required, or auth: off"},
		"null price":           {service("price_sats: "), "is required, or auth: off"},
		"row without price":    {service("prices: [{path: /a}]"), "prices[0]"},
		"row's method":         {service("prices: [{method: get, price_sats: 1}]"), "prices[0].method"},
		"row's path":           {service("prices: [{path: '(', price_sats: 1}]"), "prices[0].path"},
		"price without auth":   {service("auth: off, price_sats: 1"), "auth is off"},
		"auth":                 {service("auth: maybe, price_sats: 1"), "maybe"},
		"host":                 {service("price_sats: 1, host: '['"), "host"},
		"unbalanced":           {service("price_sats: 1, free: ['a)|(b']"), "free"},
		"empty free":           {service("price_sats: 1, free: ['']"), "empty expression"},
		"resource":             {service("price_sats: 1, resource: all"), "resource"},
		"no way to buy":        {service("price_sats: 1, no_challenge: [/a]"), "resource: service"},
		"lifetime":             {service("price_sats: 1, lifetime_s: -1"), "lifetime_s"},
		"freebies":             {service("price_sats: 1, freebies: -1"), "freebies"},
		"capability":           {service("price_sats: 1, capabilities: ['a,b']"), "capabilities"},
		"header":               {service("price_sats: 1, headers: {'a b': c}"), "headers"},
		"our header":           {service("price_sats: 1, headers: {lntpay_charge_id: c}"), "not yours"},
		"header in a header":   {service(`price_sats: 1, headers: {a: "b\r\nc: d"}`), "headers"},
		"CA without TLS":       {service("price_sats: 1, tls_ca_file: /x"), "https upstream"},
		"name":                 {"services: [{name: 'a:0,b', upstream: 'http://u', price_sats: 1}]", "name"},
		"no name":              {"services: [{upstream: 'http://u', price_sats: 1}]", "name"},
		"no upstream":          {"services: [{name: a, price_sats: 1}]", "upstream"},
		"upstream's scheme":    {"services: [{name: a, upstream: 'ftp://u', price_sats: 1}]", "upstream"},
		"upstream's query":     {"services: [{name: a, upstream: 'http://u/?a', price_sats: 1}]", "query"},
		"upstream's path":      {"services: [{name: a, upstream: 'http://u/a/../b', price_sats: 1}]", "dot segment"},
		"same name": {`services: [{name: a, path: /a, upstream: 'http://u', price_sats: 1},
			{name: a, path: /b, upstream: 'http://u', price_sats: 1}]`, "another service"},
		"hidden": {`services: [{name: a, upstream: 'http://u', price_sats: 1},
			{name: b, path: /b, upstream: 'http://u', price_sats: 1}]`, "no request comes here"},
		"half of TLS": {good + "tls_cert_file: /x", "go together"},
		"proxies":     {good + "trusted_proxies: [localhost]", "localhost"},
		"limit":       {good + "limits: {in_flight: 0}", "in_flight"},
		"log level":   {good + "log_level: loud", "loud"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := gateway.Parse([]byte(test.settings))
			require.ErrorContains(t, err, test.says)
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := gateway.Parse([]byte(good))
	require.NoError(t, err)
	want := gateway.Defaults()
	want.Services = cfg.Services
	require.Equal(t, &want, cfg)
	require.Equal(t, "on", cfg.Services[0].Auth)
	require.Equal(t, "path", cfg.Services[0].Resource)
}

func TestSecretsComeFromFilesOfTheirOwnersOnly(t *testing.T) {
	for _, name := range []string{"LNTPAY_API_KEY", "LNTPAY_BASE_URL", "LNTPAY_L402_KEY"} {
		t.Setenv(name, "")
	}
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.NoError(t, os.Chmod(path, mode))

		return path
	}
	key := strings.Repeat("ab", 32)
	cfg := gateway.Defaults()
	_, err := cfg.LoadSecrets()
	for _, setting := range []string{"lntpay.base_url", "LNTPAY_BASE_URL", "lntpay.api_key_file", "l402.key_file", "LNTPAY_L402_KEY"} {
		require.ErrorContains(t, err, setting)
	}
	cfg.LNTPay = gateway.LNTPay{BaseURL: "http://127.0.0.1:8080", APIKeyFile: file("api.key", "lnt_sandbox_x\n", 0o640)}
	cfg.L402 = gateway.L402{KeyFile: file("l402.key", key, 0o600), OldKeyFiles: []string{file("old.key", key, 0o400)}}
	secrets, err := cfg.LoadSecrets()
	require.NoError(t, err)
	require.Equal(t, "lnt_sandbox_x", secrets.APIKey)
	require.Len(t, secrets.OldKeys, 1)

	for text, mode := range map[string]os.FileMode{key: 0o644, key + " ": 0o660, "short": 0o600, "": 0o600} {
		cfg.L402.KeyFile = file("l402.key", text, mode)
		_, err = cfg.LoadSecrets()
		require.ErrorContains(t, err, "l402.key_file")
		require.NotContains(t, err.Error(), key)
	}
	t.Setenv("LNTPAY_L402_KEY", key)
	t.Setenv("LNTPAY_API_KEY", "lnt_sandbox_y")
	t.Setenv("LNTPAY_BASE_URL", "http://127.0.0.1:9")
	secrets, err = cfg.LoadSecrets()
	require.NoError(t, err)
	require.Equal(t, "lnt_sandbox_y", secrets.APIKey)
	require.Equal(t, "http://127.0.0.1:9", secrets.BaseURL)
}

func TestTheFileOfSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(path, []byte(good), 0o600))
	t.Setenv(gateway.EnvConfig, "")
	_, err := gateway.Load("")
	require.ErrorContains(t, err, gateway.EnvConfig)
	t.Setenv(gateway.EnvConfig, path)
	cfg, err := gateway.Load("")
	require.NoError(t, err)
	cfg.TLSCertFile, cfg.Services[0].TLSCAFile = path, path
	require.ErrorContains(t, cfg.CheckFiles(), "tls_cert_file")
	require.ErrorContains(t, cfg.CheckFiles(), "tls_ca_file")
}
