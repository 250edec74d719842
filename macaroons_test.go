package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
)

// The commands name the calls of package lightning, in files of their own.
func TestMacaroons(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want map[string][]string
	}{
		{[]string{"macaroons"}, map[string][]string{
			"receive.macaroon": lightning.ReceivePermissions(), "spend.macaroon": lightning.SpendPermissions(),
		}},
		{[]string{"macaroons", "--payer"}, map[string][]string{
			"receive.macaroon": lightning.ReceivePermissions(), "spend.macaroon": lightning.SpendPermissions(),
			"payer.macaroon": lightning.PayerPermissions(),
		}},
	} {
		var out bytes.Buffer
		root := rootCommand()
		root.SetOut(&out)
		root.SetArgs(test.args)
		require.NoError(t, root.Execute())
		baked := map[string][]string{}
		for _, command := range strings.Split(out.String(), "lncli bakemacaroon ")[1:] {
			file := regexp.MustCompile(`^--save_to (\S+)`).FindStringSubmatch(command)[1]
			for _, uri := range regexp.MustCompile(`uri:(\S+)`).FindAllStringSubmatch(command, -1) {
				baked[file] = append(baked[file], uri[1])
			}
		}
		require.Equal(t, test.want, baked)
	}
}
