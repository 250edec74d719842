package cli

import (
	"crypto/rand"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

const (
	// defaultLimit is that of the API's lists.
	defaultLimit = 20
	// maxPage is the most that the API gives at a time.
	maxPage = 100
)

// listFlags are --limit and --all.
type listFlags struct {
	limit int
	all   bool
}

func (l *listFlags) register(cmd *cobra.Command) {
	cmd.Flags().IntVar(&l.limit, "limit", defaultLimit, "how many to print, the newest first")
	cmd.Flags().BoolVar(&l.all, "all", false, "print all")
}

// size is how many to print, all if 0, and how many to fetch at a time: one more
// than asked for tells whether there are more.
func (l *listFlags) size() (limit, page int, err error) {
	if l.all {
		return 0, maxPage, nil
	}
	if err := positive("--limit", int64(l.limit)); err != nil {
		return 0, 0, err
	}

	return l.limit, min(l.limit, maxPage-1) + 1, nil
}

// filterFlags select charges or withdrawals.
type filterFlags struct {
	listFlags

	status, externalID string
	after, before      string
}

func (f *filterFlags) register(cmd *cobra.Command, statuses string) {
	f.listFlags.register(cmd)
	cmd.Flags().StringVar(&f.status, "status", "", "only those of this status: "+statuses)
	cmd.Flags().StringVar(&f.externalID, "external-id", "", "only those with this id of yours")
	cmd.Flags().StringVar(&f.after, "created-after", "", "only later ones: a time as 2026-01-31T12:00:00Z, or how long ago as 24h")
	cmd.Flags().StringVar(&f.before, "created-before", "", "only earlier ones, the same")
}

// times reads --created-after and --created-before.
func (f *filterFlags) times(now time.Time) (after, before time.Time, err error) {
	if after, err = parseTime("--created-after", f.after, now); err != nil {
		return after, before, err
	}
	before, err = parseTime("--created-before", f.before, now)

	return after, before, err
}

// parseTime reads a time, or how long before now it was.
func parseTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%s: %q is neither a time as 2026-01-31T12:00:00Z nor a duration as 24h", flag, text)
	}

	return t, nil
}

// labelFlags are the words of the user's own on a charge or a withdrawal.
type labelFlags struct {
	description, externalID string
	metadata                []string
}

func (l *labelFlags) register(cmd *cobra.Command, description string) {
	cmd.Flags().StringVar(&l.description, "description", "", description)
	cmd.Flags().StringVar(&l.externalID, "external-id", "", "an id of yours, to find it by")
	cmd.Flags().StringArrayVar(&l.metadata, "metadata", nil, "key=value of yours; may be repeated")
}

// pairs reads --metadata.
func (l *labelFlags) pairs() (map[string]string, error) {
	pairs := map[string]string{}
	for _, text := range l.metadata {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--metadata: %q is not key=value", text)
		}
		if _, twice := pairs[key]; twice {
			return nil, fmt.Errorf("--metadata: %q is given twice", key)
		}
		pairs[key] = value
	}

	return pairs, nil
}

// metadataText writes metadata, in order.
func metadataText(pairs map[string]string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		all = append(all, clean(key+"="+pairs[key]))
	}

	return strings.Join(all, ", ")
}

// keyFlag is --idempotency-key.
type keyFlag struct {
	key string
	cmd *cobra.Command
}

func (k *keyFlag) register(cmd *cobra.Command, without string) {
	k.cmd = cmd
	cmd.Flags().StringVar(&k.key, "idempotency-key", "",
		"the same command with the same key happens once, however often it is run (default: "+without+")")
}

// value is the key, or a random one. A key that is given and empty is a script's
// variable that is not set, and a repeat would not be one.
func (k *keyFlag) value() (lntpay.WriteOption, error) {
	if !k.cmd.Flags().Changed("idempotency-key") {
		k.key = rand.Text()
	}
	if k.key == "" || len(k.key) > 255 || strings.ContainsFunc(k.key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, fmt.Errorf("--idempotency-key: %q is not 1 to 255 printable ASCII characters", k.key)
	}

	return lntpay.WithIdempotencyKey(k.key), nil
}

// idForm is what the SDK takes for an id.
var idForm = regexp.MustCompile(`^\w+$`)

// id takes one argument, which can be an id.
func (c *common) id() cobra.PositionalArgs {
	return c.args(func(cmd *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(1)(cmd, args); err != nil {
			return err
		}
		if !idForm.MatchString(args[0]) {
			return fmt.Errorf("%q is no id", args[0])
		}

		return nil
	})
}

// withoutScheme takes lightning: off an invoice, as wallets write it.
func withoutScheme(bolt11 string) string {
	const scheme = "lightning:"
	if len(bolt11) > len(scheme) && strings.EqualFold(bolt11[:len(scheme)], scheme) {
		return bolt11[len(scheme):]
	}

	return bolt11
}
