package lightning_test

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/tests/regtest"
)

// Each macaroon opens the calls of its list, and no other that lnd has. (That
// the lists suffice is shown by every other test: the network's nodes are
// connected to with these macaroons.)
func TestMacaroonsOpenTheirListAndNothingElse(t *testing.T) {
	net := regtest.Shared(t)
	all, err := net.Merchant.Lightning.ListPermissions(t.Context(), &lnrpc.ListPermissionsRequest{})
	require.NoError(t, err)
	require.Greater(t, len(all.MethodPermissions), 100)
	for name, uris := range map[string][]string{
		"receive": lightning.ReceivePermissions(), "spend": lightning.SpendPermissions(), "sandbox": lightning.PayerPermissions(),
	} {
		file, err := net.Merchant.Bake(t.Context(), name, uris)
		require.NoError(t, err)
		macaroon, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, uri := range uris {
			require.Contains(t, all.MethodPermissions, uri)
		}
		for uri := range all.MethodPermissions {
			answer, err := net.Merchant.Lightning.CheckMacaroonPermissions(t.Context(), &lnrpc.CheckMacPermRequest{
				Macaroon: macaroon, FullMethod: uri, CheckDefaultPermsFromFullMethod: true,
			})
			require.Equal(t, slices.Contains(uris, uri), err == nil && answer.Valid, "%s: %s: %v", name, uri, err)
		}
	}
}

// The calls that would cost most, made for real.
func TestMacaroonsAreRefused(t *testing.T) {
	net := regtest.Shared(t)
	creds, err := credentials.NewClientTLSFromFile(net.Merchant.Config.TLSCertFile, "")
	require.NoError(t, err)
	conn, err := grpc.NewClient(net.Merchant.Config.Address, grpc.WithTransportCredentials(creds))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	lnd := lnrpc.NewLightningClient(conn)
	bolt11, err := net.AddInvoice(t.Context(), 1000, time.Hour)
	require.NoError(t, err)
	receive, spend := net.Merchant.Config.MacaroonFile, net.Merchant.Config.SpendMacaroonFile
	for name, refused := range map[string]struct {
		files []string
		call  func(context.Context) error
	}{
		"pay": {[]string{receive}, func(ctx context.Context) error {
			stream, err := routerrpc.NewRouterClient(conn).SendPaymentV2(ctx,
				&routerrpc.SendPaymentRequest{PaymentRequest: bolt11, TimeoutSeconds: 5})
			if err != nil {
				return err
			}
			_, err = stream.Recv()

			return err
		}},
		"send coins": {[]string{receive, spend}, func(ctx context.Context) error {
			_, err := lnd.SendCoins(ctx, &lnrpc.SendCoinsRequest{Addr: "x", SendAll: true})

			return err
		}},
		"open a channel": {[]string{receive, spend}, func(ctx context.Context) error {
			_, err := lnd.OpenChannelSync(ctx, &lnrpc.OpenChannelRequest{})

			return err
		}},
		"sign": {[]string{receive, spend}, func(ctx context.Context) error {
			_, err := lnd.SignMessage(ctx, &lnrpc.SignMessageRequest{Msg: []byte("x")})

			return err
		}},
		"bake": {[]string{receive, spend}, func(ctx context.Context) error {
			_, err := lnd.BakeMacaroon(ctx, &lnrpc.BakeMacaroonRequest{})

			return err
		}},
		"add an invoice": {[]string{spend}, func(ctx context.Context) error {
			_, err := lnd.AddInvoice(ctx, &lnrpc.Invoice{ValueMsat: 1000})

			return err
		}},
	} {
		for _, file := range refused.files {
			macaroon, err := os.ReadFile(file)
			require.NoError(t, err)
			err = refused.call(metadata.AppendToOutgoingContext(t.Context(), "macaroon", hex.EncodeToString(macaroon)))
			require.Error(t, err, "%s with %s", name, file)
			require.Equal(t, codes.Unknown, status.Code(err), err)
			require.ErrorContains(t, err, "permission denied", "%s with %s", name, file)
		}
	}
}

// A macaroon says itself what it allows, and lnd agrees on what that means.
func TestReadAllowance(t *testing.T) {
	net := regtest.Shared(t)
	both := slices.Concat(lightning.ReceivePermissions(), lightning.SpendPermissions())
	read := func(file string, needed []string) lightning.Allowance {
		t.Helper()
		allowance, err := lightning.ReadAllowance(file, needed)
		require.NoError(t, err)

		return allowance
	}
	receive, spend := net.Merchant.Config.MacaroonFile, net.Merchant.Config.SpendMacaroonFile
	require.Equal(t, lightning.Allowance{}, read(receive, lightning.ReceivePermissions()))
	require.Equal(t, lightning.Allowance{}, read(spend, lightning.SpendPermissions()))
	require.Contains(t, read(receive, both).Missing, "/routerrpc.Router/SendPaymentV2")
	require.Contains(t, read(receive, lightning.SpendPermissions()).Beyond, "/lnrpc.Lightning/AddInvoice")
	admin := read(net.Merchant.AdminMacaroonFile, slices.Concat(both, lightning.PayerPermissions()))
	require.Empty(t, admin.Missing, "what lnd asks of a macaroon that is not made of URIs")
	require.Contains(t, admin.Beyond, "onchain:write")

	// One broad permission opens exactly the calls that lnd says.
	all, err := net.Merchant.Lightning.ListPermissions(t.Context(), &lnrpc.ListPermissionsRequest{})
	require.NoError(t, err)
	for _, uri := range slices.Concat(both, lightning.PayerPermissions()) {
		asked := all.MethodPermissions[uri].Permissions
		require.Len(t, asked, 1, uri)
		answer, err := net.Merchant.Lightning.BakeMacaroon(t.Context(), &lnrpc.BakeMacaroonRequest{Permissions: asked})
		require.NoError(t, err)
		macaroon, err := hex.DecodeString(answer.Macaroon)
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "one.macaroon")
		require.NoError(t, os.WriteFile(file, macaroon, 0o600))
		require.Empty(t, read(file, []string{uri}).Missing, uri)
	}
}

func TestReadAllowanceOfSomethingElse(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.macaroon")
	for _, content := range []string{"", "secret words", "0201036c6e64"} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		_, err := lightning.ReadAllowance(file, nil)
		require.ErrorContains(t, err, "not a macaroon")
		require.NotContains(t, err.Error(), "secret")
	}
	_, err := lightning.ReadAllowance(file+".none", nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}
