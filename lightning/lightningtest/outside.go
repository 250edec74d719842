package lightningtest

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
)

// Outcome is what becomes of one payment. Make it with Succeed, Fail, Hold,
// Stick, Phantom or Unrecorded.
type Outcome struct {
	fee     payments.Msat
	reason  lightning.FailureReason
	held    bool
	stuck   bool
	phantom bool
	// unrecorded is paid, and says so when the node is started again.
	unrecorded bool
}

// Succeed pays at once for a fee. A fee above the request's limit makes the
// payment fail: no route.
func Succeed(fee payments.Msat) Outcome { return Outcome{fee: fee} }

// Fail fails at once. A payment without a route or without balance never had
// an HTLC.
func Fail(reason lightning.FailureReason) Outcome { return Outcome{reason: reason} }

// Hold keeps one HTLC out until SettlePayment or FailPayment, as the recipient
// of a hold invoice does. The fee limit counts.
func Hold(fee payments.Msat) Outcome { return Outcome{fee: fee, held: true} }

// Stick is in flight without an HTLC, as lnd's payments sometimes are until it
// is restarted (lnd #9461), or until SettlePayment or FailPayment.
func Stick() Outcome { return Outcome{stuck: true} }

// Phantom is in flight with one HTLC that no channel has, for ever, as after an
// lnd that was killed between its record of the attempt and the channel's; or
// until SettlePayment or FailPayment.
func Phantom() Outcome { return Outcome{held: true, phantom: true} }

// Unrecorded is what looks as Phantom does and has been paid: the channel has
// settled the HTLC, and lnd failed to write that into its record. Its next start
// does.
func Unrecorded(fee payments.Msat) Outcome {
	return Outcome{fee: fee, held: true, phantom: true, unrecorded: true}
}

// SetChannelsActive says whether all channels are active. While they are not,
// HTLCsOf is not certain of what it does not find, and a node that has not been
// steady for a minute is coming up.
func (n *Node) SetChannelsActive(active bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.inactive = !active
}

// Script says what becomes of the next initiations of a hash, in order; the
// last one stays. Without a script payments succeed for the default fee (see
// SetFee), if this node knows the preimage (OutsideInvoice) or the recipient
// is linked (Link), and find no route otherwise.
func (n *Node) Script(hash lightning.Hash, outcomes ...Outcome) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.scripts[hash] = outcomes
}

// peek is what would become of the next initiation.
func (n *Node) peek(hash lightning.Hash) Outcome {
	if script := n.scripts[hash]; len(script) > 0 {
		return script[0]
	}

	return Succeed(n.fee)
}

// outcome takes the next one.
func (n *Node) outcome(hash lightning.Hash) Outcome {
	next := n.peek(hash)
	if script := n.scripts[hash]; len(script) > 1 {
		n.scripts[hash] = script[1:]
	}

	return next
}

// SetFee sets the fee of payments without a script; 0 at first.
func (n *Node) SetFee(fee payments.Msat) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fee = fee
}

// estimate is a fixed answer of EstimateFee.
type estimate struct {
	fee payments.Msat
	err error
}

// SetEstimate fixes EstimateFee's answer; the error may be
// lightning.ErrNoRoute.
func (n *Node) SetEstimate(fee payments.Msat, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.estimate = &estimate{fee: fee, err: err}
}

// SetSteady fixes what SteadyFor says until the node is restarted, restored or
// unavailable, which makes it 0. Injected faults leave it alone.
func (n *Node) SetSteady(steady time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.steady = steady
}

// SetUp says for how long the node has run by now. A restart or a Restore starts
// it anew.
func (n *Node) SetUp(up time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.started = n.now().Add(-up)
}

// Link lets payments of this node reach another node's invoices.
func (n *Node) Link(to *Node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links[to.Pubkey()] = to
}

// outside is an invoice of somebody in the outside world.
type outside struct {
	params   *chaincfg.Params
	preimage lightning.Preimage
	outcomes []Outcome
}

// OutsideOption changes an OutsideInvoice.
type OutsideOption func(*outside)

// OnNetwork makes an invoice of another network than regtest.
func OnNetwork(params *chaincfg.Params) OutsideOption {
	return func(o *outside) { o.params = params }
}

// WithPreimage chooses the preimage, so that two invoices share a hash.
func WithPreimage(preimage lightning.Preimage) OutsideOption {
	return func(o *outside) { o.preimage = preimage }
}

// ThatWill scripts its payments (see Script).
func ThatWill(outcomes ...Outcome) OutsideOption {
	return func(o *outside) { o.outcomes = outcomes }
}

// OutsideInvoice makes a bolt11 of somebody else, whom this node can pay. An
// amount of 0 names none; it is created now by the node's clock. It panics
// on what cannot be encoded.
func (n *Node) OutsideInvoice(
	amount payments.Msat, expiry time.Duration, options ...OutsideOption,
) (bolt11 string, preimage lightning.Preimage) {
	o := outside{params: &chaincfg.RegressionNetParams}
	if _, err := rand.Read(o.preimage[:]); err != nil {
		panic(err)
	}
	for _, option := range options {
		option(&o)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	hash := o.preimage.Hash()
	n.preimages[hash] = o.preimage
	if o.outcomes != nil {
		n.scripts[hash] = o.outcomes
	}
	bolt11, err := encode(o.params, outsideKey(), lightning.NewInvoice{
		Preimage: o.preimage, AmountMsat: amount, Description: "outside", Expiry: expiry,
	}, n.now().Truncate(time.Second))
	if err != nil {
		panic(err)
	}

	return bolt11, o.preimage
}

// outsideKey is the identity of the outside world.
func outsideKey() *btcec.PrivateKey {
	seed := sha256.Sum256([]byte("the outside world"))
	key, _ := btcec.PrivKeyFromBytes(seed[:])

	return key
}

// OutsidePubkey is the destination of OutsideInvoice, in hex.
func OutsidePubkey() string {
	return hex.EncodeToString(outsideKey().PubKey().SerializeCompressed())
}

// decode reads a regtest bolt11.
func decode(bolt11 string) (*zpay32.Invoice, error) {
	return zpay32.Decode(bolt11, &chaincfg.RegressionNetParams)
}

// destination is the recipient's pubkey.
func destination(invoice *zpay32.Invoice) string {
	return hex.EncodeToString(invoice.Destination.SerializeCompressed())
}

// lnd's bounds of a CLTV limit: max-cltv-expiry, and what is added to the
// invoice's own delta (routing/payment_session.go, BlockPadding).
const (
	maxCLTV      = 2016
	blockPadding = 3
)

// intent is lnd's extractIntentFromSendRequest (routerrpc/router_backend.go):
// what it refuses before it writes anything.
func (n *Node) intent(request lightning.SendRequest) (*zpay32.Invoice, payments.Msat, error) {
	invoice, err := decode(request.Bolt11)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", lightning.ErrPaymentRefused, err)
	}
	refuse := func(why string) (*zpay32.Invoice, payments.Msat, error) {
		return nil, 0, fmt.Errorf("%w: %s", lightning.ErrPaymentRefused, why)
	}
	switch amount, limit := request.AmountMsat, uint64(cmp.Or(request.CLTVLimit, maxCLTV)); {
	case amount < 0 || request.FeeLimitMsat < 0:
		return refuse("amount cannot be negative")
	case limit > maxCLTV:
		return refuse("total time lock exceeds max allowed")
	case n.now().After(invoice.Timestamp.Add(invoice.Expiry())):
		return refuse("invoice expired")
	case invoice.MilliSat != nil && amount != 0:
		return refuse("amount must not be specified when paying a non-zero amount invoice")
	case invoice.MilliSat == nil && amount <= 0:
		return refuse("amount must be specified when paying a zero amount invoice")
	case destination(invoice) == n.Pubkey():
		return refuse("self-payments not allowed")
	case limit <= invoice.MinFinalCLTVExpiry()+blockPadding:
		return refuse("cltv limit too low")
	case invoice.MilliSat == nil:
		return invoice, amount, nil
	default:
		return invoice, payments.Msat(*invoice.MilliSat), nil
	}
}
