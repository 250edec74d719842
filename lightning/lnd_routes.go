package lightning

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/lntpay/lntpay/payments"
)

// lnd's texts for a graph without a route (routing/payment_session.go,
// noRouteError); they come as status Unknown.
const (
	textNoPath    = "unable to find a path to destination"
	textNoBalance = "insufficient local balance"
)

// anyFee is the fee limit of an estimate: all there is. Without one lnd looks
// only at routes below 5 % (lnrpc/rpc_utils.go, CalculateFeeLimit).
const anyFee = 21_000_000 * 100_000_000 * int64(payments.MsatPerSat)

// EstimateFee implements Node, with QueryRoutes and what lnd has learnt from
// earlier payments. It looks for one route: an amount that only several parts
// can carry has none.
func (n *lnd) EstimateFee(ctx context.Context, request RouteRequest) (payments.Msat, error) {
	bolt11, err := zpay32.Decode(request.Bolt11, n.params)
	if err != nil {
		return 0, n.unknown("QueryRoutes", err)
	}
	var answer *lnrpc.QueryRoutesResponse
	err = n.spend(withAdvice(ctx), callTimeout, func(ctx context.Context, client lnrpc.LightningClient) (err error) {
		answer, err = client.QueryRoutes(ctx, routesRequest(bolt11, request))

		return err
	})
	switch {
	case saysAny(err, textNoPath, textNoBalance):
		return 0, ErrNoRoute
	case err != nil:
		return 0, n.unknown("QueryRoutes", err)
	case len(answer.Routes) != 1 || answer.Routes[0].TotalFeesMsat < 0:
		return 0, n.unknown("QueryRoutes", fmt.Errorf("%w: %d routes", errMalformed, len(answer.Routes)))
	}

	return payments.Msat(answer.Routes[0].TotalFeesMsat), nil
}

// routesRequest says of the invoice what SendPaymentV2 would read from it.
// With blinded paths lnd wants nothing else about the destination
// (router_backend.go, parseBlindedPaymentPaths).
func routesRequest(bolt11 *zpay32.Invoice, request RouteRequest) *lnrpc.QueryRoutesRequest {
	rpc := &lnrpc.QueryRoutesRequest{
		AmtMsat: int64(request.AmountMsat), CltvLimit: request.CLTVLimit, UseMissionControl: true,
		FeeLimit: &lnrpc.FeeLimit{Limit: &lnrpc.FeeLimit_FixedMsat{FixedMsat: anyFee}},
	}
	if len(bolt11.BlindedPaymentPaths) > 0 {
		rpc.BlindedPaymentPaths = blindedPaths(bolt11.BlindedPaymentPaths)

		return rpc
	}
	rpc.PubKey = hex.EncodeToString(bolt11.Destination.SerializeCompressed())
	rpc.FinalCltvDelta = int32(bolt11.MinFinalCLTVExpiry())
	for _, hint := range bolt11.RouteHints {
		rpc.RouteHints = append(rpc.RouteHints, routeHint(hint))
	}

	return rpc
}

// routeHint converts one private way to the destination.
func routeHint(hops []zpay32.HopHint) *lnrpc.RouteHint {
	hint := &lnrpc.RouteHint{}
	for _, hop := range hops {
		hint.HopHints = append(hint.HopHints, &lnrpc.HopHint{
			NodeId: hex.EncodeToString(hop.NodeID.SerializeCompressed()), ChanId: hop.ChannelID,
			FeeBaseMsat: hop.FeeBaseMSat, FeeProportionalMillionths: hop.FeeProportionalMillionths,
			CltvExpiryDelta: uint32(hop.CLTVExpiryDelta),
		})
	}

	return hint
}

// blindedPaths converts what hides the destination. The first hop of each is
// the introduction node (zpay32.BlindedPaymentPath).
func blindedPaths(paths []*zpay32.BlindedPaymentPath) []*lnrpc.BlindedPaymentPath {
	converted := make([]*lnrpc.BlindedPaymentPath, 0, len(paths))
	for _, path := range paths {
		blinded := &lnrpc.BlindedPath{
			IntroductionNode: path.Hops[0].BlindedNodePub.SerializeCompressed(),
			BlindingPoint:    path.FirstEphemeralBlindingPoint.SerializeCompressed(),
		}
		for _, hop := range path.Hops {
			blinded.BlindedHops = append(blinded.BlindedHops, &lnrpc.BlindedHop{
				BlindedNode: hop.BlindedNodePub.SerializeCompressed(), EncryptedData: hop.CipherText,
			})
		}
		rpc := &lnrpc.BlindedPaymentPath{
			BlindedPath: blinded, BaseFeeMsat: uint64(path.FeeBaseMsat), ProportionalFeeRate: path.FeeRate,
			TotalCltvDelta: uint32(path.CltvExpiryDelta), HtlcMinMsat: path.HTLCMinMsat, HtlcMaxMsat: path.HTLCMaxMsat,
		}
		for bit := range path.Features.Features() {
			rpc.Features = append(rpc.Features, lnrpc.FeatureBit(bit))
		}
		converted = append(converted, rpc)
	}

	return converted
}
