package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

func webhooksCommand(find Find) *cobra.Command {
	c := &common{find: find}

	return c.group("webhooks", "Try out webhooks", c.listenWebhooks())
}

func (c *common) listenWebhooks() *cobra.Command {
	o := ListenOptions{Description: "lntpay webhooks listen"}
	var events []string
	cmd := &cobra.Command{
		Use: "listen", Short: "Register a temporary endpoint, verify what comes and print it, until Ctrl-C",
		Args: c.args(cobra.NoArgs),
		Long: "Register a webhook endpoint at a port of this machine, verify both signatures of each delivery, print it, and\n" +
			"delete the endpoint at the end. The server must reach this machine: a development stack does; for any other, let a\n" +
			"tunnel or a proxy forward a public address to --port of 127.0.0.1, and name it by --url.\n\n" +
			"With --forward-to, what is verified is passed on as it came, and what the other answers is the answer.",
		Example: "  lntpay webhooks listen --events charge.paid --forward-to http://localhost:3000/hook",
	}
	cmd.RunE = c.run(func(ctx context.Context, s *session, _ []string) error {
		if err := o.check(); err != nil {
			return &usageError{err: err}
		}
		for _, kind := range events {
			o.Events = append(o.Events, lntpay.EventType(kind))
		}
		ctx, stop := untilHangUp(ctx)
		defer stop()
		o.Out, o.Say, o.JSON = s.out, s.say, s.asJSON
		if err := Listen(ctx, s.Client, o); err != nil {
			return err
		}

		return ctx.Err()
	})
	cmd.Flags().StringSliceVar(&events, "events", []string{string(lntpay.AllEvents)}, "the types of events that are wanted")
	cmd.Flags().IntVar(&o.Port, "port", 0, "the port on 127.0.0.1 (default: any)")
	cmd.Flags().StringVar(&o.URL, "url", "", "the public address that leads to that port (default: the port's own)")
	cmd.Flags().StringVar(&o.ForwardTo, "forward-to", "", "pass what is verified on to this address, with its headers")
	cmd.Flags().IntVar(&o.Count, "count", 0, "end after so many deliveries (default: never)")

	return cmd
}

// untilHangUp ends with the terminal too, unless nohup asked to ignore that:
// the endpoint is to be deleted.
func untilHangUp(ctx context.Context) (context.Context, context.CancelFunc) {
	if signal.Ignored(syscall.SIGHUP) {
		return context.WithCancel(ctx)
	}

	return signal.NotifyContext(ctx, syscall.SIGHUP)
}

func (o *ListenOptions) check() error {
	switch {
	case o.Count < 0:
		return fmt.Errorf("--count: %d is negative", o.Count)
	case o.Port < 0 || o.Port > 65535:
		return fmt.Errorf("--port: %d is no port", o.Port)
	case o.URL != "" && o.Port == 0:
		return errors.New("--url needs the --port that it leads to")
	}
	for flag, text := range map[string]string{"--url": o.URL, "--forward-to": o.ForwardTo} {
		address, err := url.Parse(text)
		if text != "" && (err != nil || address.Host == "" || (address.Scheme != "http" && address.Scheme != "https")) {
			return fmt.Errorf("%s: %q is not http:// or https:// and a host", flag, text)
		}
	}

	return nil
}
