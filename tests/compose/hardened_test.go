package compose_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/compose"
)

// requireHardened looks at every container that was made: nobody is root, may
// write to its image or gain a right; only the proxy and, on loopback, the UI
// are published; an api has no key of money.
func requireHardened(t *testing.T, p *compose.Project) {
	t.Helper()
	boxes, err := p.Containers(t.Context())
	require.NoError(t, err)
	require.Greater(t, len(boxes), 15)
	for service, box := range boxes {
		require.True(t, box.HostConfig.ReadonlyRootfs, service)
		require.Equal(t, []string{"ALL"}, box.HostConfig.CapDrop, service)
		require.Contains(t, box.HostConfig.SecurityOpt, "no-new-privileges:true", service)
		require.False(t, box.HostConfig.Privileged, service)
		require.NotContains(t, []string{"", "0", "root", "0:0"}, box.Config.User, service)
		require.Equal(t, "json-file", box.HostConfig.LogConfig.Type, service)
		require.NotEmpty(t, box.HostConfig.LogConfig.Config["max-size"], service)
		requirePublished(t, service, box)
	}
	for _, service := range []string{compose.API1, compose.API2} {
		var names []string
		for _, mount := range boxes[service].Mounts {
			names = append(names, strings.TrimPrefix(mount.Name, p.Name+"_"))
			require.False(t, mount.RW, "%s %s", service, mount.Destination)
		}
		require.Equal(t, []string{"api-secrets"}, names)
		require.Equal(t, []string{"secrets.key"}, listed(t, p, service))
		for _, variable := range boxes[service].Config.Env {
			require.NotContains(t, variable, "MACAROON")
			require.NotContains(t, variable, "PREIMAGE")
		}
	}
	require.Equal(t, []string{
		"payer.macaroon", "payer.tls.cert", "preimage.key", "receive.macaroon", "secrets.key", "spend.macaroon",
		"tls.cert", "worker.yaml",
	}, listed(t, p, compose.Worker1))
}

func requirePublished(t *testing.T, service string, box container.InspectResponse) {
	t.Helper()
	for port, bindings := range box.HostConfig.PortBindings {
		if len(bindings) == 0 {
			continue
		}
		require.Contains(t, []string{compose.Proxy, "temporal-ui"}, service, port)
		for _, binding := range bindings {
			require.Equal(t, netip.MustParseAddr("127.0.0.1"), binding.HostIP, service)
		}
	}
}

// listed are the files of a service's folder of secrets, which are its own.
func listed(t *testing.T, p *compose.Project, service string) []string {
	t.Helper()
	files, err := p.ReadFolder(t.Context(), service, "/secrets")
	require.NoError(t, err)
	var names []string
	for name, file := range files {
		names = append(names, name)
		require.EqualValues(t, 0o600, file.Mode&0o777, name)
		require.Equal(t, 65532, file.Uid, name)
	}
	slices.Sort(names)

	return names
}
