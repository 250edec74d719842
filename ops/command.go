package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/workflows"
)

// Nudger wakes the run of a withdrawal: the Starter, or a fake.
type Nudger interface {
	NudgeWithdrawal(ctx context.Context, ref workflows.WithdrawalRef) error
}

// Reconciler asks for a reconciliation: the Starter, or a fake.
type Reconciler interface {
	Reconcile(ctx context.Context, in workflows.ReconcileInput, wait bool) (workflows.ReconcileReport, error)
}

// Deliverer starts deliveries: the Starter, or a fake.
type Deliverer interface {
	Deliver(ctx context.Context, deliveryID string) error
}

// Backend is what the commands work on: one environment.
type Backend struct {
	Store  *store.Store
	Nudger Nudger
	// Reconciler is asked by `ops reconcile` only.
	Reconciler Reconciler
	// Deliverer starts the deliveries of a freeze or a thaw; without one the
	// sweeper does.
	Deliverer Deliverer
	// LimitDefaults are the settings that hold for workspaces without limits of
	// their own, by name.
	LimitDefaults map[string]int64
	Finder        ChargeFinder
}

// Connect runs fn on the environment of that name; "" is the only one that is
// configured.
type Connect func(ctx context.Context, environment string, fn func(context.Context, Backend) error) error

// Exit codes of commands that did what they could.
const (
	// ExitRefused says that a worker has judged, and refused.
	ExitRefused = 1
	// ExitUndecided says that what was asked for is written, and not done yet.
	ExitUndecided = 2
)

// ExitError ends the process with a code of its own.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }

func (e *ExitError) Unwrap() error { return e.Err }

// ExitCode is the process's.
func (e *ExitError) ExitCode() int { return e.Code }

const (
	// nudgeTimeout bounds one nudge: Temporal or its workers may be away.
	nudgeTimeout = 10 * time.Second
	// pollEvery is the pause between two looks at what a worker is to do.
	pollEvery = 500 * time.Millisecond
	// maxRows bounds each list.
	maxRows = 500
	// timeout bounds a command: a thaw waits for a sweeper, and nudges after
	// that. longTimeout is for those that read everything.
	timeout     = 3 * time.Minute
	longTimeout = 2 * time.Hour
)

// Command is `lntpay ops`.
func Command(connect Connect) *cobra.Command {
	cmd := &cobra.Command{
		Use: "ops", Short: "Look at stuck payments, freeze payouts, resolve what is under review, reconcile, verify, export",
	}
	cmd.AddCommand(
		freezeCommand(connect), thawCommand(connect), resolveCommand(connect), nudgeCommand(connect),
		stuckCommand(connect), showCommand(connect), limitsCommand(connect),
		straysCommand(connect), strayCommand(connect), auditCommand(connect),
		reconcileCommand(connect), findingsCommand(connect),
		suspenseCommand(connect), verifyCommand(connect), exportCommand(connect),
	)

	return cmd
}

// common are the flags of every command.
type common struct {
	connect Connect
	env     string
	asJSON  bool
	// limit bounds the command; 0 is timeout.
	limit time.Duration
}

func (c *common) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.env, "env", "", "sandbox or production (default: the only one that is configured)")
	cmd.Flags().BoolVar(&c.asJSON, "json", false, "print JSON")
}

// run runs fn on the environment of the flags.
func (c *common) run(cmd *cobra.Command, fn func(context.Context, Backend) error) error {
	limit := c.limit
	if limit == 0 {
		limit = timeout
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), limit)
	defer cancel()

	return c.connect(ctx, c.env, fn)
}

// print writes a value as JSON, or what text writes for a human.
func (c *common) print(cmd *cobra.Command, value any, text func(io.Writer)) error {
	if !c.asJSON {
		table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		text(table)

		return table.Flush()
	}
	encoder := json.NewEncoder(cmd.OutOrStdout())
	encoder.SetIndent("", "  ")

	return encoder.Encode(value)
}

// signed are the flags of a command that changes something.
type signed struct {
	common

	by     string
	reason string
}

func (s *signed) register(cmd *cobra.Command) {
	s.common.register(cmd)
	cmd.Flags().StringVar(&s.by, "by", "", "your name, for the audit trail (required)")
	cmd.Flags().StringVar(&s.reason, "reason", "", "why, for the audit trail (required)")
}

// operator refuses a command without a name or a reason before anything is
// connected to.
func (s *signed) operator() (store.Operator, error) {
	switch {
	case strings.TrimSpace(s.by) == "":
		return store.Operator{}, errors.New("--by: say who you are, for the audit trail")
	case strings.TrimSpace(s.reason) == "":
		return store.Operator{}, errors.New("--reason: say why, for the audit trail")
	}

	return store.Operator{Name: strings.TrimSpace(s.by), Reason: strings.TrimSpace(s.reason)}, nil
}

// one returns the only choice that was made.
func one(choices map[string]bool, names string) (string, error) {
	chosen := ""
	for name, is := range choices {
		if !is {
			continue
		}
		if chosen != "" {
			return "", fmt.Errorf("choose one of %s", names)
		}
		chosen = name
	}
	if chosen == "" {
		return "", fmt.Errorf("choose one of %s", names)
	}

	return chosen, nil
}

// until polls done until it says so or the time is over; false if it is.
func until(ctx context.Context, limit time.Duration, done func(context.Context) (bool, error)) (bool, error) {
	deadline := time.After(limit)
	for {
		ok, err := done(ctx)
		if ok || err != nil {
			return ok, err
		}
		select {
		case <-time.After(pollEvery):
		case <-deadline:
			return false, nil
		case <-ctx.Done():
			return false, fmt.Errorf("wait: %w", ctx.Err())
		}
	}
}

// nudge wakes one run, within its time.
func (b Backend) nudge(ctx context.Context, ref workflows.WithdrawalRef) error {
	ctx, cancel := context.WithTimeout(ctx, nudgeTimeout)
	defer cancel()

	return b.Nudger.NudgeWithdrawal(ctx, ref)
}

// at is a time as operators read it.
func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// utc keeps the zone of the machine out of JSON.
func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	in := t.UTC()

	return &in
}

// atOr is at, or a word where there is no time.
func atOr(t *time.Time, none string) string {
	if t == nil {
		return none
	}

	return at(*t)
}

// or is the text, or a word where there is none.
func or(text *string, none string) string {
	if text == nil || *text == "" {
		return none
	}

	return *text
}
