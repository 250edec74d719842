package lightningtest

import (
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/lntpay/lntpay/lightning"
)

// finalCLTV is lnd's default.
const finalCLTV = 80

// encode writes the bolt11 that lnd would. The payment address is the hash,
// which nothing minds in a test. An amount of 0 is left out.
func encode(
	params *chaincfg.Params, key *btcec.PrivateKey, want lightning.NewInvoice, created time.Time,
) (string, error) {
	features := lnwire.NewRawFeatureVector(
		lnwire.TLVOnionPayloadRequired, lnwire.PaymentAddrRequired, lnwire.MPPOptional,
	)
	hash := want.Preimage.Hash()
	options := []func(*zpay32.Invoice){
		zpay32.Description(want.Description),
		zpay32.Expiry(want.Expiry.Truncate(time.Second)),
		zpay32.CLTVExpiry(finalCLTV),
		zpay32.PaymentAddr(hash),
		zpay32.Features(lnwire.NewFeatureVector(features, lnwire.Features)),
	}
	if want.AmountMsat != 0 {
		options = append(options, zpay32.Amount(lnwire.MilliSatoshi(want.AmountMsat)))
	}
	invoice, err := zpay32.NewInvoice(params, hash, created, options...)
	if err != nil {
		return "", err
	}

	return invoice.Encode(zpay32.MessageSigner{
		SignCompact: func(message []byte) ([]byte, error) {
			return ecdsa.SignCompact(key, chainhash.HashB(message), true), nil
		},
	})
}
