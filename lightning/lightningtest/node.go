package lightningtest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
)

// DefaultReceivable is what a new Node says its channels can receive.
const DefaultReceivable = 10_000_000 * payments.MsatPerSat

// DefaultSteady is what a new Node's SteadyFor says.
const DefaultSteady = 24 * time.Hour

// highestWindow is how many invoices HighestIndexes looks at, as with lnd.
const highestWindow = 100

// Node is a lightning.Node in memory. Its methods beyond the interface script
// what the outside world and the node's failures do. All are safe for
// concurrent use. Invoices do not expire by themselves: see Cancel.
type Node struct {
	name string
	key  *btcec.PrivateKey

	mu       sync.Mutex
	now      func() time.Time
	invoices map[lightning.Hash]lightning.Invoice
	highest  lightning.Indexes
	// entries are the settle indexes in use, ascending: the highest without
	// the gaps.
	entries     []uint64
	receivable  payments.Msat
	balances    lightning.Balances
	notReady    error
	unavailable bool
	faults      map[Method][]Fault
	calls       map[Method]int

	streams    map[*stream]struct{}
	addOrder   bool
	duplicates int
	holding    bool
	held       []lightning.Invoice

	payments map[lightning.Hash]*payment
	// preimages are those of our invoices and of the outside world's.
	preimages      map[lightning.Hash]lightning.Preimage
	scripts        map[lightning.Hash][]Outcome
	initiations    map[lightning.Hash]int
	links          map[string]*Node
	delayed        []func() error
	paymentStreams map[*paymentStream]struct{}
	// broken is closed and replaced when streams break.
	broken   chan struct{}
	fee      payments.Msat
	estimate *estimate
	steady   time.Duration
	// started is when the node was: a year ago until SetUp or a restart.
	started time.Time
	// inactive says that a channel is: see SetChannelsActive.
	inactive bool
}

var _ lightning.Node = (*Node)(nil)

// New makes an empty node. Nodes of the same name have the same pubkey.
func New(name string) *Node {
	seed := sha256.Sum256([]byte(name))
	key, _ := btcec.PrivKeyFromBytes(seed[:])

	return &Node{
		name: name, key: key, now: time.Now, receivable: DefaultReceivable,
		balances: lightning.Balances{LocalMsat: DefaultReceivable},
		invoices: map[lightning.Hash]lightning.Invoice{},
		faults:   map[Method][]Fault{}, calls: map[Method]int{},
		streams: map[*stream]struct{}{},

		payments: map[lightning.Hash]*payment{}, preimages: map[lightning.Hash]lightning.Preimage{},
		scripts: map[lightning.Hash][]Outcome{}, initiations: map[lightning.Hash]int{},
		links: map[string]*Node{}, paymentStreams: map[*paymentStream]struct{}{},
		broken: make(chan struct{}), steady: DefaultSteady, started: time.Now().AddDate(-1, 0, 0),
	}
}

// Name implements lightning.Node.
func (n *Node) Name() string { return n.name }

// Pubkey implements lightning.Node.
func (n *Node) Pubkey() string { return hex.EncodeToString(n.key.PubKey().SerializeCompressed()) }

// Close implements lightning.Node: it breaks the streams.
func (n *Node) Close() { n.BreakStreams() }

// AddInvoice implements lightning.Node. The bolt11 is a real one, for
// regtest, signed with the node's key.
func (n *Node) AddInvoice(ctx context.Context, want lightning.NewInvoice) (added lightning.Invoice, err error) {
	err = n.do(ctx, AddInvoice, func() error {
		if want.AmountMsat <= 0 || want.Expiry < time.Second {
			return fmt.Errorf("lightningtest: amount %d, expiry %s", want.AmountMsat, want.Expiry)
		}
		hash := want.Preimage.Hash()
		if _, exists := n.invoices[hash]; exists {
			return lightning.ErrInvoiceExists
		}
		created := n.now().Truncate(time.Second).UTC()
		bolt11, err := encode(&chaincfg.RegressionNetParams, n.key, want, created)
		if err != nil {
			return err
		}
		n.highest.Add++
		added = lightning.Invoice{
			PaymentHash: hash, Bolt11: bolt11, State: lightning.InvoiceOpen,
			ValueMsat: want.AmountMsat, AddIndex: n.highest.Add, CreatedAt: created,
			ExpiresAt: created.Add(want.Expiry.Truncate(time.Second)),
		}
		n.invoices[hash], n.preimages[hash] = added, want.Preimage

		return nil
	})
	if err != nil {
		return lightning.Invoice{}, err
	}

	return added, nil
}

// LookupInvoice implements lightning.Node.
func (n *Node) LookupInvoice(ctx context.Context, hash lightning.Hash) (found lightning.Invoice, err error) {
	err = n.do(ctx, LookupInvoice, func() error {
		invoice, ok := n.invoices[hash]
		if !ok {
			return lightning.ErrInvoiceNotFound
		}
		found = invoice

		return nil
	})
	if err != nil {
		return lightning.Invoice{}, err
	}

	return found, nil
}

// CancelInvoice implements lightning.Node.
func (n *Node) CancelInvoice(ctx context.Context, hash lightning.Hash) error {
	return n.do(ctx, CancelInvoice, func() error { return n.cancel(hash) })
}

// cancel is lnd's own rule: anything but settled becomes canceled.
func (n *Node) cancel(hash lightning.Hash) error {
	invoice, ok := n.invoices[hash]
	switch {
	case !ok:
		return lightning.ErrInvoiceNotFound
	case invoice.State == lightning.InvoiceSettled:
		return lightning.ErrInvoiceSettled
	}
	invoice.State = lightning.InvoiceCanceled
	n.invoices[hash] = invoice

	return nil
}

// ListInvoices implements lightning.Node. Each page is a call of its own for
// faults.
func (n *Node) ListInvoices(
	ctx context.Context, from, pageSize uint64, page func([]lightning.Invoice) error,
) error {
	for {
		var next []lightning.Invoice
		err := n.do(ctx, ListInvoices, func() error {
			all := n.byAddIndex()
			start, _ := slices.BinarySearchFunc(all, from, func(i lightning.Invoice, index uint64) int {
				return cmp.Compare(i.AddIndex, index)
			})
			end := min(uint64(start)+max(pageSize, 1), uint64(len(all)))
			next = all[start:end]

			return nil
		})
		if err != nil || len(next) == 0 {
			return err
		}
		if err := page(next); err != nil {
			return err
		}
		from = next[len(next)-1].AddIndex + 1
	}
}

// HighestIndexes implements lightning.Node.
func (n *Node) HighestIndexes(ctx context.Context) (highest lightning.Indexes, err error) {
	err = n.do(ctx, HighestIndexes, func() error {
		all := n.byAddIndex()
		for _, invoice := range all[max(0, len(all)-highestWindow):] {
			highest.Add = max(highest.Add, invoice.AddIndex)
			highest.Settle = max(highest.Settle, invoice.SettleIndex)
		}
		for _, payment := range n.payments {
			highest.Payment = max(highest.Payment, payment.Index)
		}

		return nil
	})
	if err != nil {
		return lightning.Indexes{}, err
	}

	return highest, nil
}

// ReceivableMsat implements lightning.Node.
func (n *Node) ReceivableMsat(ctx context.Context) (amount payments.Msat, err error) {
	err = n.do(ctx, ReceivableMsat, func() error {
		amount = n.receivable

		return nil
	})
	if err != nil {
		return 0, err
	}

	return amount, nil
}

// Balances implements lightning.Node: what SetBalances says. Payments do not move
// it.
func (n *Node) Balances(ctx context.Context) (has lightning.Balances, err error) {
	err = n.do(ctx, Balances, func() error {
		has = n.balances

		return nil
	})
	if err != nil {
		return lightning.Balances{}, err
	}

	return has, nil
}

// Ready implements lightning.Node.
func (n *Node) Ready(ctx context.Context) error {
	return n.do(ctx, Ready, func() error { return n.notReady })
}

// Health implements lightning.Node: a node with one active channel.
func (n *Node) Health(ctx context.Context) (health lightning.Health, err error) {
	err = n.do(ctx, Health, func() error {
		health = lightning.Health{
			SyncedToChain: n.notReady == nil, SyncedToGraph: true, BlockHeight: 100, ActiveChannels: 1, Peers: 1,
		}

		return nil
	})

	return health, err
}

// byAddIndex are all invoices in add order.
func (n *Node) byAddIndex() []lightning.Invoice {
	all := make([]lightning.Invoice, 0, len(n.invoices))
	for _, invoice := range n.invoices {
		all = append(all, invoice)
	}
	slices.SortFunc(all, func(a, b lightning.Invoice) int { return cmp.Compare(a.AddIndex, b.AddIndex) })

	return all
}
