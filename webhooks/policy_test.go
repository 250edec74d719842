package webhooks_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/webhooks"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()
	production := webhooks.Policy{Production: true}
	sandbox := webhooks.Policy{}
	dev := webhooks.Policy{AllowPrivate: true}
	// contradictory lets Production win.
	contradictory := webhooks.Policy{AllowPrivate: true, Production: true}
	all := []webhooks.Policy{production, sandbox, dev, contradictory}
	tests := []struct {
		url     string
		allowed []webhooks.Policy
	}{
		{"https://example.com/hook?a=b", all},
		{"HTTPS://EXAMPLE.com:443", all},
		{"https://8.8.8.8/", all},
		{"https://[2606:4700:4700::1111]/", all},
		{"http://example.com/", []webhooks.Policy{sandbox, dev}},
		{"http://example.com:80/", []webhooks.Policy{sandbox, dev}},
		{"https://example.com:8443/", []webhooks.Policy{dev}},
		{"http://127.0.0.1:9999/", []webhooks.Policy{dev}},
		{"http://[::1]:9999/", []webhooks.Policy{dev}},
		{"http://192.168.1.5/", []webhooks.Policy{dev}},
		{"http://localhost:3000/", []webhooks.Policy{dev}},
		{"https://localhost./", []webhooks.Policy{dev}},
		{"https://app.localhost/", []webhooks.Policy{dev}},
		{"https://host.docker.internal/", []webhooks.Policy{dev}},
		{"https://intranet/", []webhooks.Policy{dev}},
		{"https://169.254.169.254/latest/meta-data", nil},
		{"https://[::ffff:169.254.169.254]/", nil},
		{"https://[fe80::1%25eth0]/", nil},
		{"https://[::1%25%C6]/", nil},
		{"https://metadata.google.internal/", nil},
		{"https://0.0.0.0/", nil},
		{"https://2130706433/", nil},
		{"https://127.1/", nil},
		{"https://0x7f.1/", nil},
		{"https://0x7f000001/", nil},
		{"https://017700000001/", nil},
		{"https://127。0。0。1/", nil},
		{"https://exämple.com/", nil},
		{"https://user:secret@example.com/", nil},
		{"https://user@example.com/", nil},
		{"https://example.com/#part", nil},
		{"https://example.com/#", nil},
		{"https://example.com:0/", nil},
		{"ftp://example.com/", nil},
		{"javascript:alert(1)", nil},
		{"//example.com/", nil},
		{"/hook", nil},
		{"https:///hook", nil},
		{"https://", nil},
		{"", nil},
		{"https://exa mple.com/", nil},
		{"https://example.com/a b", nil},
		{"https://example.com/a%20b", all},
		{"https://example.com/\r\nX: y", nil},
		{"https://-example.com/", nil},
		{"https://example..com/", nil},
		{"https://example.com/" + strings.Repeat("a", 2048), nil},
		{"https://" + strings.Repeat("a.", 130) + "com/", nil},
	}
	for _, tt := range tests {
		t.Run(tt.url[:min(len(tt.url), 60)], func(t *testing.T) {
			t.Parallel()
			for _, p := range all {
				err := webhooks.CheckURL(tt.url, p)
				if slices.Contains(tt.allowed, p) {
					require.NoError(t, err, "%+v", p)

					continue
				}
				require.ErrorIs(t, err, webhooks.ErrURLNotAllowed, "%+v", p)
				require.NotContains(t, err.Error(), "secret")
			}
		})
	}
}
