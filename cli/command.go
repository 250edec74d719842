package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

// Commands are the commands of this package. find looks for a development stack
// that runs here, for a user who names no API.
func Commands(find Find) []*cobra.Command {
	return []*cobra.Command{
		chargesCommand(find), withdrawalsCommand(find), balanceCommand(find), eventsCommand(find), webhooksCommand(find),
		exitCodesTopic(),
	}
}

// common are the flags that every command of a noun has.
type common struct {
	find    Find
	baseURL string
	keyFile string
	asJSON  bool
	timeout time.Duration
}

// noun sets up a command and all that is below it: the common flags, and a wrong
// usage that is told from other errors.
func (c *common) noun(cmd *cobra.Command) *cobra.Command {
	flags := cmd.PersistentFlags()
	flags.StringVar(&c.baseURL, "base-url", "", "where the API is, such as http://127.0.0.1:8080 (default $"+lntpay.EnvBaseURL+")")
	flags.StringVar(&c.keyFile, "api-key-file", "", "file with the API key (default: the key in $"+lntpay.EnvAPIKey+")")
	flags.BoolVar(&c.asJSON, "json", false, "print the API's objects as JSON, one a line, and errors too")
	flags.DurationVar(&c.timeout, "timeout", lntpay.DefaultTimeout,
		"how long a call may take in all, with its repeats; what --wait and watch wait for has no limit")
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return c.wrong(cmd, err) })

	return cmd
}

// group is a noun with verbs.
func (c *common) group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, DisableFlagsInUseLine: true,
		Args: c.args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(verbs...)

	return c.noun(cmd)
}

// args makes a refusal of arguments a wrong usage.
func (c *common) args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return c.wrong(cmd, err)
		}

		return nil
	}
}

// wrong is a wrong usage of cmd.
func (c *common) wrong(cmd *cobra.Command, err error) error {
	return c.exit(cmd, &usageError{err: err})
}

// session is what one run of a command works with.
type session struct {
	*lntpay.Client

	// out is for what was asked for, say for what a person may like to know.
	out, say io.Writer
	asJSON   bool
	// terminal tells whether out is one, of so many columns.
	terminal bool
	columns  int
	now      func() time.Time
	// raw is the JSON of the object that the API answered with last.
	raw json.RawMessage
}

// verb is the work of a command.
type verb func(ctx context.Context, s *session, args []string) error

// run makes a command of a verb.
func (c *common) run(do verb) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s, err := c.open(cmd)
		if err == nil {
			keep := func(raw json.RawMessage) { s.raw = raw }
			err = do(lntpay.WithRawJSON(cmd.Context(), keep), s, args)
		}

		return c.exit(cmd, err)
	}
}

// open makes the session of a command.
func (c *common) open(cmd *cobra.Command) (*session, error) {
	target, err := c.target()
	if err != nil {
		return nil, &usageError{err: err}
	}
	if c.timeout <= 0 {
		return nil, &usageError{err: fmt.Errorf("--timeout: %s is not positive", c.timeout)}
	}
	client, err := lntpay.New(lntpay.Options{APIKey: target.APIKey, BaseURL: target.BaseURL, Timeout: c.timeout})
	if err != nil {
		return nil, &usageError{err: err}
	}
	out := cmd.OutOrStdout()
	s := &session{Client: client, out: output{out}, say: cmd.ErrOrStderr(), asJSON: c.asJSON, now: time.Now}
	if file, ok := out.(*os.File); ok {
		fd := int(file.Fd())
		if s.terminal = term.IsTerminal(fd); s.terminal {
			s.columns, _, _ = term.GetSize(fd)
		}
	}

	return s, nil
}

// sayf tells a person something that was not asked for.
func (s *session) sayf(format string, args ...any) {
	fmt.Fprintf(s.say, format+"\n", args...)
}
