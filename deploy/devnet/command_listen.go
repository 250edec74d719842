package devnet

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/webhooks"
)

const (
	// apiTimeout bounds a call of the stack's own API.
	apiTimeout = 15 * time.Second
	// maxDelivery is more than any event has.
	maxDelivery = 1 << 20
)

// listenCommand is `lntpay dev listen`: a webhook endpoint for looking on.
func listenCommand(o *Options) *cobra.Command {
	var count int
	listen := &cobra.Command{
		Use:   "listen",
		Short: "Register a webhook endpoint, verify what comes and print it, until Ctrl-C",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			running, err := FindRunning(o.StateDir)
			if err != nil {
				return err
			}
			ctx, stop := untilSignal(cmd.Context())
			defer stop()

			return running.listen(ctx, cmd.OutOrStdout(), count)
		},
	}
	listen.Flags().IntVar(&count, "count", 0, "end after so many deliveries (default: never)")

	return listen
}

// listen receives deliveries on loopback until ctx ends or count have come,
// and takes its endpoint away again.
func (d *DevJSON) listen(ctx context.Context, out io.Writer, count int) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	var endpoint struct{ ID, Secret string }
	url := "http://" + listener.Addr().String() + "/"
	if err := d.callAPI(ctx, http.MethodPost, "/v1/webhooks/endpoints", map[string]any{
		"url": url, "events": []string{"*"}, "description": "lntpay dev listen",
	}, &endpoint); err != nil {
		_ = listener.Close()

		return err
	}
	defer func() {
		_ = d.callAPI(context.WithoutCancel(ctx), http.MethodDelete, "/v1/webhooks/endpoints/"+endpoint.ID, nil, nil)
	}()
	_, _ = fmt.Fprintf(out, "listening as %s at %s\n", endpoint.ID, url)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	received := make(chan string)
	server := &http.Server{ReadHeaderTimeout: apiTimeout, ReadTimeout: apiTimeout, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(io.LimitReader(r.Body, maxDelivery))
			verdict := "VERIFIED"
			if err = errors.Join(err, verify(endpoint.Secret, r.Header, body)); err != nil {
				verdict = "REFUSED (" + err.Error() + ")"
				w.WriteHeader(http.StatusBadRequest)
			}
			select {
			case received <- verdict + " " + string(body):
			case <-ctx.Done():
			}
		})}
	defer func() {
		// The last answer is still to be sent.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	}()
	go func() { _ = server.Serve(listener) }()
	for n := 0; count == 0 || n < count; n++ {
		select {
		case line := <-received:
			_, _ = fmt.Fprintln(out, line)
		case <-ctx.Done():
			return nil
		}
	}

	return nil
}

// verify checks both signatures of a delivery over the raw body.
func verify(secret string, got http.Header, body []byte) error {
	seconds, err := strconv.ParseInt(got.Get(webhooks.HeaderStandardTimestamp), 10, 64)
	if err != nil {
		return errors.New("no timestamp")
	}
	want, err := webhooks.Headers(webhooks.Secrets{Current: secret}, got.Get(webhooks.HeaderStandardID), time.Unix(seconds, 0), body)
	if err != nil {
		return err
	}
	for _, name := range []string{webhooks.HeaderSignature, webhooks.HeaderStandardSignature} {
		if subtle.ConstantTimeCompare([]byte(got.Get(name)), []byte(want.Get(name))) != 1 {
			return errors.New(name + " does not match")
		}
	}

	return nil
}

// callAPI makes one call of the stack's API with its key.
func (d *DevJSON) callAPI(ctx context.Context, method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, d.APIURL+path, bytes.NewReader(sent))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Authorization", "Bearer "+d.APIKeys.Sandbox)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxDelivery))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}

	return nil
}
