package lightning

import (
	"context"

	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/lntpay/lntpay/payments"
)

// Balances implements Node. It says nothing about payments, and a macaroon from
// before may not allow it: what it fails with holds nothing up.
func (n *lnd) Balances(ctx context.Context) (Balances, error) {
	var channels *lnrpc.ChannelBalanceResponse
	var pending *lnrpc.PendingChannelsResponse
	var wallet *lnrpc.WalletBalanceResponse
	call := "ChannelBalance"
	err := n.spend(withAdvice(ctx), callTimeout, func(ctx context.Context, client lnrpc.LightningClient) (err error) {
		if channels, err = client.ChannelBalance(ctx, &lnrpc.ChannelBalanceRequest{}); err != nil {
			return err
		}
		call = "PendingChannels"
		if pending, err = client.PendingChannels(ctx, &lnrpc.PendingChannelsRequest{}); err != nil {
			return err
		}
		call = "WalletBalance"
		wallet, err = client.WalletBalance(ctx, &lnrpc.WalletBalanceRequest{})

		return err
	})
	if err != nil {
		return Balances{}, n.unknown(call, err)
	}

	return balances(channels, pending, wallet), nil
}

// balances adds up lnd's answers. lnd calls incoming HTLCs unsettled local and
// outgoing ones unsettled remote (rpcserver.go, ChannelBalance); what is in
// channels that are being closed is in limbo (PendingChannels).
func balances(channels *lnrpc.ChannelBalanceResponse, pending *lnrpc.PendingChannelsResponse,
	wallet *lnrpc.WalletBalanceResponse,
) Balances {
	return Balances{
		LocalMsat:    payments.Msat(channels.GetLocalBalance().GetMsat()),
		IncomingMsat: payments.Msat(channels.GetUnsettledLocalBalance().GetMsat()),
		OutgoingMsat: payments.Msat(channels.GetUnsettledRemoteBalance().GetMsat()),
		OpeningMsat:  payments.Msat(channels.GetPendingOpenLocalBalance().GetMsat()),
		ClosingMsat:  payments.Msat(pending.GetTotalLimboBalance()) * payments.MsatPerSat,
		OnChainMsat:  payments.Msat(wallet.GetConfirmedBalance()) * payments.MsatPerSat,
	}
}
