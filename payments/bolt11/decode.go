package bolt11

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/lntpay/lntpay/payments"
)

// Errors of Decode.
var (
	// ErrInvalid means that this is no invoice, or none that can be paid.
	ErrInvalid = errors.New("bolt11: invalid invoice")
	// ErrAmountOutOfRange is an ErrInvalid: more than can ever exist.
	ErrAmountOutOfRange = fmt.Errorf("%w: amount out of range", ErrInvalid)
	// ErrWrongNetwork means a well-formed invoice of another network.
	ErrWrongNetwork = errors.New("bolt11: invoice of another network")
	// ErrExpired means that too little time is left to pay.
	ErrExpired = errors.New("bolt11: expired")
	// ErrUnknownNetwork means that the caller's network is none.
	ErrUnknownNetwork = errors.New("bolt11: unknown network")
)

// How long an invoice must and may still live when money is locked for it: long
// enough to be sent, and not so long that an unsent one ties money up.
const (
	MinLife = 10 * time.Second
	MaxLife = 7 * 24 * time.Hour
)

const (
	// MaxLength is the longest invoice, that of a QR code.
	MaxLength = 7089
	scheme    = "lightning:"
	// blockPadding is what lnd adds to the final delta of a payment.
	blockPadding = 3
	// maxFinalCLTV is the largest final delta that lnd does not cut off: it
	// counts in 16 bits, padding included.
	maxFinalCLTV = 1<<16 - 1 - blockPadding
)

// Invoice is what a payer needs to know of an invoice.
type Invoice struct {
	// Bolt11 is the invoice in lower case, without a scheme.
	Bolt11      string
	PaymentHash [32]byte
	// Destination is the payee's pubkey in hex.
	Destination string
	// AmountMsat is 0 where the invoice names no amount.
	AmountMsat payments.Msat
	CreatedAt  time.Time
	ExpiresAt  time.Time
	// MinFinalCLTV is for how many blocks the payee wants the last HTLC to be
	// out.
	MinFinalCLTV uint32
	// Description is empty where the invoice has only its hash.
	Description string
}

// FitsCLTVLimit reports whether a payment of the invoice may be held for few
// enough blocks. A limit of 0 is none.
func (i Invoice) FitsCLTVLimit(limit uint32) bool {
	return limit == 0 || i.MinFinalCLTV+blockPadding < limit
}

// CheckLife judges an expiry by the caller's clock: ErrExpired with less than
// MinLife to live, ErrInvalid with more than MaxLife.
func CheckLife(expiresAt, now time.Time) error {
	switch left := expiresAt.Sub(now); {
	case left < MinLife:
		return ErrExpired
	case left > MaxLife:
		return fmt.Errorf("%w: lives too long", ErrInvalid)
	}

	return nil
}

// networks are by the human-readable part, which is not a matter of prefixes
// alone: lnbc begins lnbcrt too.
var networks = map[string]*chaincfg.Params{
	"bc": &chaincfg.MainNetParams, "tb": &chaincfg.TestNet3Params, "tbs": &chaincfg.SigNetParams,
	"bcrt": &chaincfg.RegressionNetParams, "sb": &chaincfg.SimNetParams,
}

// names are the networks as the configuration calls them.
var names = map[string]string{"mainnet": "bc", "testnet": "tb", "signet": "tbs", "regtest": "bcrt"}

// humanPart is the network and the amount. No network ends in a digit and every
// amount begins with one, so there is one way to read it.
var humanPart = regexp.MustCompile(`^ln(bc|tb|tbs|bcrt|sb)(?:([0-9]+)([munp]?))?$`)

// Decode reads an invoice of the network (mainnet, testnet, signet, regtest),
// with or without "lightning:" before it. What it accepts is of the form that
// lnd pays; whether it still lives is for the caller to judge.
func Decode(text, network string) (Invoice, error) {
	want, known := names[network]
	if !known {
		return Invoice{}, fmt.Errorf("%w: %q", ErrUnknownNetwork, network)
	}
	text = strings.TrimSpace(text)
	if len(text) >= len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
		text = text[len(scheme):]
	}
	if len(text) > MaxLength {
		return Invoice{}, fmt.Errorf("%w: longer than %d", ErrInvalid, MaxLength)
	}
	lower := strings.ToLower(text)
	parts := humanPart.FindStringSubmatch(lower[:max(strings.LastIndexByte(lower, '1'), 0)])
	if parts == nil {
		return Invoice{}, fmt.Errorf("%w: no invoice of Bitcoin's", ErrInvalid)
	}
	// The text as it came: mixed case and what is not ASCII are for zpay32 to
	// refuse.
	decoded, err := zpay32.Decode(text, networks[parts[1]])
	if err != nil {
		return Invoice{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if parts[1] != want {
		return Invoice{}, ErrWrongNetwork
	}
	amount, err := readAmount(parts[2], parts[3])
	if err != nil {
		return Invoice{}, err
	}
	if err := check(decoded); err != nil {
		return Invoice{}, err
	}

	return invoiceOf(lower, amount, decoded), nil
}

func invoiceOf(bolt11 string, amount payments.Msat, decoded *zpay32.Invoice) Invoice {
	invoice := Invoice{
		Bolt11: bolt11, PaymentHash: *decoded.PaymentHash, AmountMsat: amount,
		Destination: hex.EncodeToString(decoded.Destination.SerializeCompressed()),
		CreatedAt:   decoded.Timestamp.UTC(), ExpiresAt: decoded.Timestamp.Add(decoded.Expiry()).UTC(),
		MinFinalCLTV: uint32(decoded.MinFinalCLTVExpiry()),
	}
	if decoded.Description != nil {
		invoice.Description = *decoded.Description
	}

	return invoice
}

// msatPerUnit is what an amount's multiplier stands for; p is a tenth of a
// millisatoshi and has none.
var msatPerUnit = map[string]payments.Msat{"": 1e11, "m": 1e8, "u": 1e5, "n": 1e2}

// readAmount reads the amount again: zpay32 multiplies without a look at the
// overflow. Zero is refused: lnd would neither let the payer choose nor pay.
func readAmount(digits, unit string) (payments.Msat, error) {
	if digits == "" {
		return 0, nil
	}
	value, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, ErrAmountOutOfRange
	}
	amount, limit := payments.Msat(value), payments.MaxMsat
	if per, whole := msatPerUnit[unit]; whole {
		limit /= per
		if amount <= limit {
			amount, limit = amount*per, payments.MaxMsat
		}
	} else {
		amount /= 10 // zpay32 refused what is no multiple.
	}
	switch {
	case amount > limit:
		return 0, ErrAmountOutOfRange
	case amount == 0:
		return 0, fmt.Errorf("%w: an amount of zero", ErrInvalid)
	}

	return amount, nil
}

// check refuses what lnd refuses before it writes anything down, or would have
// to fail at once, and what it does not survive.
func check(i *zpay32.Invoice) error {
	switch expiry := i.Expiry(); {
	case i.PaymentAddr.IsNone() && len(i.BlindedPaymentPaths) == 0:
		return fmt.Errorf("%w: neither payment address nor blinded path", ErrInvalid)
	case len(i.Features.UnknownRequiredFeatures()) > 0:
		return fmt.Errorf("%w: unknown features are required", ErrInvalid)
	case i.Features.HasFeature(lnwire.AMPOptional):
		return fmt.Errorf("%w: AMP", ErrInvalid)
	case i.MinFinalCLTVExpiry() > maxFinalCLTV:
		return fmt.Errorf("%w: final CLTV delta beyond 16 bits", ErrInvalid)
	case expiry < 0 || expiry%time.Second != 0:
		return fmt.Errorf("%w: expiry beyond 64 bits", ErrInvalid)
	}
	for _, path := range i.BlindedPaymentPaths {
		if err := checkPath(path, i.BlindedPaymentPaths[0]); err != nil {
			return err
		}
	}

	return nil
}

// numsKey stands for the recipient in lnd's own bookkeeping; no path may name
// it (routing.BlindedPathNUMSHex).
const numsKey = "02667a98ef82ecb522f803b17a74f14508a48b25258f9831dd6e95f5e299dfd54e"

// checkPath is lnd's BuildBlindedPathSet. One without hops ends lnd itself: it
// reads the first before it counts them.
func checkPath(path, first *zpay32.BlindedPaymentPath) error {
	switch {
	case len(path.Hops) == 0:
		return fmt.Errorf("%w: a blinded path without hops", ErrInvalid)
	case path.HTLCMaxMsat < path.HTLCMinMsat:
		return fmt.Errorf("%w: a blinded path that carries no amount", ErrInvalid)
	case path.CltvExpiryDelta > maxFinalCLTV:
		return fmt.Errorf("%w: a blinded path of too many blocks", ErrInvalid)
	case !path.Features.RawFeatureVector.Equals(first.Features.RawFeatureVector):
		return fmt.Errorf("%w: blinded paths with different features", ErrInvalid)
	case len(path.Features.UnknownRequiredFeatures()) > 0:
		return fmt.Errorf("%w: unknown features are required", ErrInvalid)
	}
	for _, hop := range path.Hops {
		if hex.EncodeToString(hop.BlindedNodePub.SerializeCompressed()) == numsKey {
			return fmt.Errorf("%w: a blinded path over the recipient's stand-in", ErrInvalid)
		}
	}

	return nil
}
