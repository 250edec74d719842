package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

func eventsCommand(find Find) *cobra.Command {
	c := &common{find: find}

	return c.group("events", "See what happened: list events, or follow them", c.listEvents(), c.tailEvents())
}

func (c *common) listEvents() *cobra.Command {
	var l listFlags
	var kind string
	cmd := &cobra.Command{Use: "list", Short: "List events", Args: c.args(cobra.NoArgs)}
	cmd.RunE = c.run(func(ctx context.Context, s *session, _ []string) error {
		limit, page, err := l.size()
		if err != nil {
			return &usageError{err: err}
		}
		events := s.Events.List(ctx, lntpay.EventFilter{Type: lntpay.EventType(kind), PageSize: page})
		columns := []string{"ID", "TYPE", "CREATED", "OF", "ABOUT"}

		return list(s, events, limit, columns, func(event *lntpay.Event) []string {
			id, about := aboutEvent(event)

			return []string{event.ID, clean(string(event.Type)), s.ago(event.CreatedAt), id, about}
		})
	})
	l.register(cmd)
	cmd.Flags().StringVar(&kind, "type", "", "only those of this type, such as charge.paid")

	return cmd
}

func (c *common) tailEvents() *cobra.Command {
	var kinds []string
	var since string
	var count int
	cmd := &cobra.Command{
		Use: "tail", Short: "Print events as they happen, until Ctrl-C", Args: c.args(cobra.NoArgs),
		Long: "Print events as they happen, each once and in order, across broken connections and restarts of the server.\n" +
			"Without --since it begins at the present; what Ctrl-C leaves on stderr goes on where it ended.",
	}
	cmd.RunE = c.run(func(ctx context.Context, s *session, _ []string) error {
		if count < 0 {
			return &usageError{err: fmt.Errorf("--count: %d is negative", count)}
		}
		wanted := func(event *lntpay.Event) bool { return len(kinds) == 0 || slices.Contains(kinds, string(event.Type)) }

		return s.tail(ctx, since, count, wanted)
	})
	cmd.Flags().StringSliceVar(&kinds, "type", nil, "only those of these types, such as charge.paid,withdrawal.failed")
	cmd.Flags().StringVar(&since, "since", "", "begin after this event (evt_…)")
	cmd.Flags().IntVar(&count, "count", 0, "end after so many (default: never)")

	return cmd
}

// tail prints the wanted events until there were count, if that is not 0.
func (s *session) tail(ctx context.Context, since string, count int, wanted func(*lntpay.Event) bool) error {
	n, last := 0, ""
	params := lntpay.StreamParams{LastEventID: since, OnReconnect: func(err error) {
		s.sayf("connecting again: %s", strings.TrimPrefix(err.Error(), "lntpay: "))
	}}
	for event, err := range s.Events.Stream(ctx, params) {
		if err != nil {
			if last != "" && !s.asJSON {
				s.sayf("to go on: lntpay events tail --since %s", last)
			}

			return err
		}
		last = event.ID
		if !wanted(event) {
			continue
		}
		if err := s.printEvent(event); err != nil {
			return err
		}
		if n++; n == count {
			return nil
		}
	}

	return nil
}

func (s *session) printEvent(event *lntpay.Event) error {
	if s.asJSON {
		return s.line(s.raw)
	}
	id, about := aboutEvent(event)

	return s.printf("%s  %s  %-20s  %s  %s", at(event.CreatedAt), event.ID, clean(string(event.Type)), id, about)
}

// aboutEvent says of which object an event is, and what of it counts.
func aboutEvent(event *lntpay.Event) (id, about string) {
	var object struct {
		ID     string `json:"id"`
		Object string `json:"object"`
		// AmountMsat is that of a charge or a withdrawal, the rest of one of them.
		AmountMsat     int64                     `json:"amount_msat"`
		AmountPaidMsat int64                     `json:"amount_paid_msat"`
		Failure        *lntpay.WithdrawalFailure `json:"failure"`
		URL            string                    `json:"url"`
	}
	if json.Unmarshal(event.Data.Object, &object) != nil {
		return "-", "an object of a kind that is not known here"
	}
	switch {
	case object.Failure != nil:
		about = sat(object.AmountMsat) + ", " + failureText(object.Failure)
	case object.AmountPaidMsat > 0:
		about = sat(object.AmountPaidMsat)
	case object.AmountMsat > 0:
		about = sat(object.AmountMsat)
	case object.URL != "":
		about = short(object.URL)
	}

	return clean(object.ID), about
}
