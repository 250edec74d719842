package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

const (
	// adminTimeout bounds the registration of an endpoint and its removal.
	adminTimeout = 15 * time.Second
	// forwardTimeout is what the API gives a delivery.
	forwardTimeout = 15 * time.Second
	// maxDelivery is more than any event has.
	maxDelivery = 1 << 20
)

// ListenOptions say how [Listen] listens.
type ListenOptions struct {
	// Events are the types that are wanted, all if empty.
	Events []lntpay.EventType
	// Description is the endpoint's.
	Description string
	// Port is that on 127.0.0.1, any if 0.
	Port int
	// URL is the address that is registered, that of the port if empty.
	URL string
	// ForwardTo is where verified deliveries are passed on to, if set.
	ForwardTo string
	// Count ends it after so many deliveries, never if 0.
	Count int
	// JSON prints the verified events and nothing else on Out.
	JSON bool
	// Out gets the deliveries, Say what else there is to say.
	Out, Say io.Writer
}

// Listen registers a webhook endpoint, verifies both signatures of what comes
// and prints it, until ctx ends or Count deliveries have come, which are no
// errors. It deletes the endpoint before it returns.
func Listen(ctx context.Context, client *lntpay.Client, o ListenOptions) error {
	l := &listener{o: o, client: client, received: make(chan delivery), ended: make(chan struct{})}
	socket, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)))
	if err != nil {
		return fmt.Errorf("listen: %w", &localError{err})
	}
	if err := l.register(ctx, "http://"+socket.Addr().String()+"/"); err != nil {
		_ = socket.Close()

		return err
	}
	server := &http.Server{Handler: l, ReadHeaderTimeout: adminTimeout, ReadTimeout: adminTimeout}
	served := make(chan error, 1)
	go func() { served <- server.Serve(socket) }()
	err = l.print(ctx, served)
	// Who still waits to be printed is told to come again.
	close(l.ended)
	l.shutDown(ctx, server)

	return errors.Join(err, l.remove(ctx))
}

// listener is the receiver of one endpoint.
type listener struct {
	o        ListenOptions
	client   *lntpay.Client
	endpoint *lntpay.WebhookEndpoint
	// say guards o.Say, which the handlers use too.
	say sync.Mutex
	// received is read by print until ended is closed.
	received chan delivery
	ended    chan struct{}
}

// delivery is what came, and why it is refused, if it is.
type delivery struct {
	body    []byte
	refused error
}

// register makes the endpoint. Ctrl-C does not cut it short: who does not know
// the id cannot delete it.
func (l *listener) register(ctx context.Context, own string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminTimeout)
	defer cancel()
	params := lntpay.WebhookEndpointParams{URL: l.o.URL, Events: l.o.Events, Description: l.o.Description}
	if params.URL == "" {
		params.URL = own
	}
	if len(params.Events) == 0 {
		params.Events = []lntpay.EventType{lntpay.AllEvents}
	}
	var err error
	l.endpoint, err = l.client.WebhookEndpoints.Create(ctx, params)
	switch {
	case errors.Is(err, lntpay.ErrSecretLost):
		return errors.Join(err, l.remove(ctx))
	case errors.Is(err, lntpay.ErrURLNotAllowed) && l.o.URL == "":
		return fmt.Errorf("this server delivers to public addresses only, name one by --url: %w", err)
	case err != nil:
		return err
	}
	text := fmt.Sprintf("listening as %s at %s\n", l.endpoint.ID, params.URL)
	if l.o.JSON {
		l.sayf("%s", text)
	} else {
		fmt.Fprint(l.o.Out, text)
	}

	return nil
}

// remove deletes the endpoint, also when ctx has ended.
func (l *listener) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminTimeout)
	defer cancel()
	err := l.client.WebhookEndpoints.Delete(ctx, l.endpoint.ID)
	if err == nil || errors.Is(err, lntpay.ErrNotFound) {
		return nil
	}

	return fmt.Errorf("delete the endpoint %s: %w", l.endpoint.ID, err)
}

// print prints what comes.
func (l *listener) print(ctx context.Context, served <-chan error) error {
	for n := 0; l.o.Count == 0 || n < l.o.Count; n++ {
		select {
		case one := <-l.received:
			if err := l.line(one); err != nil {
				return err
			}
		case err := <-served:
			return fmt.Errorf("listen: %w", &localError{err})
		case <-ctx.Done():
			return nil
		}
	}

	return nil
}

func (l *listener) line(one delivery) error {
	var err error
	switch {
	case one.refused != nil && l.o.JSON:
		l.sayf("REFUSED (%v) %s\n", one.refused, clean(string(one.body)))
	case one.refused != nil:
		// Anybody can have sent it, with anything in it.
		_, err = fmt.Fprintf(l.o.Out, "REFUSED (%v) %s\n", one.refused, clean(string(one.body)))
	case l.o.JSON:
		_, err = fmt.Fprintf(l.o.Out, "%s\n", one.body)
	default:
		_, err = fmt.Fprintf(l.o.Out, "VERIFIED %s\n", one.body)
	}

	return err
}

func (l *listener) sayf(format string, args ...any) {
	l.say.Lock()
	defer l.say.Unlock()
	fmt.Fprintf(l.o.Say, format, args...)
}

// ServeHTTP receives one delivery.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxDelivery))
	if err != nil {
		// Not all of it came: it is cut off, and comes again.
		w.WriteHeader(http.StatusBadRequest)

		return
	}
	refused := verify(body, r.Header, l.endpoint.Secret)
	select {
	case l.received <- delivery{body, refused}:
	case <-l.ended:
		w.WriteHeader(http.StatusServiceUnavailable)

		return
	}
	switch {
	case refused != nil:
		w.WriteHeader(http.StatusBadRequest)
	case l.o.ForwardTo != "":
		w.WriteHeader(l.forward(r, body))
	}
}

// verify checks both signatures of a delivery over the raw body.
func verify(body []byte, header http.Header, secret string) error {
	if _, err := lntpay.Verify(body, header, secret); err != nil {
		return fmt.Errorf("webhook-signature: %s", withoutPrefix(err))
	}
	if _, err := lntpay.VerifySignature(body, header, secret); err != nil {
		return fmt.Errorf("x-lntpay-signature: %s", withoutPrefix(err))
	}

	return nil
}

// withoutPrefix is an error of the SDK's in our own words.
func withoutPrefix(err error) string { return strings.TrimPrefix(err.Error(), "lntpay: ") }

// forwarded is a client that passes on what it is told to and goes nowhere else.
var forwarded = &http.Client{
	Timeout:       forwardTimeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// hopByHop are headers of a connection, not of what it carries (RFC 9110, 7.6.1).
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// forward passes a delivery on and returns the status of the answer, so that the
// API tries again as it would if it had sent it there itself.
func (l *listener) forward(r *http.Request, body []byte) int {
	began := time.Now()
	request, err := http.NewRequestWithContext(r.Context(), r.Method, l.o.ForwardTo, bytes.NewReader(body))
	if err != nil {
		l.sayf("not forwarded: %v\n", err)

		return http.StatusBadGateway
	}
	request.Header = r.Header.Clone()
	for _, name := range hopByHop {
		request.Header.Del(name)
	}
	response, err := forwarded.Do(request) //nolint:gosec // the address is the user's, who runs this
	if err != nil {
		l.sayf("not forwarded: %v\n", err)

		return http.StatusBadGateway
	}
	defer response.Body.Close()
	// What is read to its end leaves the connection for the next.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxDelivery))
	l.sayf("forwarded %s to %s: %s after %s\n", r.Header.Get("Webhook-Id"), l.o.ForwardTo, response.Status,
		time.Since(began).Round(time.Millisecond))

	return response.StatusCode
}

// shutDown lets the last answers be sent.
func (l *listener) shutDown(ctx context.Context, server *http.Server) {
	grace := time.Second
	if l.o.ForwardTo != "" {
		grace += forwardTimeout
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	_ = server.Shutdown(ctx)
	_ = server.Close()
}
