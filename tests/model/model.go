package model

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/webhooks"
)

// secret signs the deliveries.
var secret = webhooks.NewSecret()

// Counts say what seeds were made of.
type Counts struct {
	Seeds, Steps, Crashes, Waits, Checks, Sends int
	// Faults are those injected, by kind.
	Faults map[string]int
}

// Add adds what another seed was made of.
func (c *Counts) Add(other Counts) {
	c.Seeds += other.Seeds
	c.Steps += other.Steps
	c.Crashes += other.Crashes
	c.Waits += other.Waits
	c.Checks += other.Checks
	c.Sends += other.Sends
	if c.Faults == nil {
		c.Faults = map[string]int{}
	}
	for kind, n := range other.Faults {
		c.Faults[kind] += n
	}
}

// String is a summary, a line for each kind of fault.
func (c *Counts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d seeds, %d steps, %d payments begun, %d processes or activities that died, %d waits for a lock, %d checks of the books",
		c.Seeds, c.Steps, c.Sends, c.Crashes, c.Waits, c.Checks)
	for _, kind := range slices.Sorted(maps.Keys(c.Faults)) {
		fmt.Fprintf(&b, "\n  %7d × %s", c.Faults[kind], kind)
	}

	return b.String()
}

// Result is what became of a seed.
type Result struct {
	Seed uint64
	// Violations are what must not be; the seed ends with the first.
	Violations []string
	// Trace names all that happened: two runs of a seed have the same.
	Trace  uint64
	Counts Counts
}

// Simulator runs seeds, one after another. It needs a database of its own on
// the Postgres of the tests.
type Simulator struct {
	machine *machine
	// Mutant is the fault of the product, none usually.
	Mutant Mutant
	// Log gets a line for all that happens; nil for nobody.
	Log func(line string)
}

// New makes a simulator. Whoever makes it closes it.
func New(ctx context.Context) (*Simulator, error) {
	m, err := newMachine(ctx)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}

	return &Simulator{machine: m}, nil
}

// Close drops the database.
func (s *Simulator) Close(ctx context.Context) { s.machine.close(ctx) }

// Run runs one seed. An error is the model's own.
func (s *Simulator) Run(ctx context.Context, seed uint64) (Result, error) {
	w := newWorld(ctx, s.machine, seed, s.Mutant)
	w.log = s.Log
	w.count.Seeds = 1
	w.late, w.regresses = w.chance(6), w.chance(8)
	w.drawMix()
	if err := w.setup(); err != nil {
		return Result{}, fmt.Errorf("model: seed %d: %w", seed, err)
	}
	w.chaos()
	if len(w.violations) == 0 {
		w.heal()
	}
	if len(w.violations) == 0 {
		w.checkFinally()
	}
	w.abandon()

	return Result{Seed: seed, Violations: w.violations, Trace: w.trace.Sum64(), Counts: w.count}, ctx.Err()
}

// abandon ends what still runs after a violation.
func (w *world) abandon() {
	deadline := time.Now().Add(time.Minute)
	for len(w.tasks) > 0 && time.Now().Before(deadline) {
		for _, t := range slices.Clone(w.tasks) {
			if t.detached = true; t.blocked || t.ended {
				continue
			}
			t.dead, t.nudged = true, nil
			w.step(t, dieBefore)
		}
	}
}

func newInvoice(preimage lightning.Preimage, amount payments.Msat) lightning.NewInvoice {
	return lightning.NewInvoice{Preimage: preimage, AmountMsat: amount, Expiry: time.Hour}
}

// Replay is the command that runs a seed again and tells all that happens.
func Replay(seed uint64) string {
	return fmt.Sprintf("make test PKG='./tests/model -args -seed=%d -seeds=1 -trace' ARGS='-run TestSeeds -count=1 -v'", seed)
}
