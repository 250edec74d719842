package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
)

// cost is what so many charges took at so many clients.
type cost struct {
	clients, count int
	took           usage
}

// create compares POST /v1/charges with the bare node's AddInvoice.
func (b *bench) create(ctx context.Context) error {
	conn, err := b.dev.Lnd.Merchant.Connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	node := lnrpc.NewLightningClient(conn)
	fmt.Println("| clients | AddInvoice/s | p50 ms | p99 ms | POST /v1/charges/s | p50 ms | p99 ms | max ms | 503 | other | ratio |")
	fmt.Println("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	var costs []cost
	for _, clients := range []int{1, 16, 64} {
		bare := load(ctx, clients, b.seconds/2, func(ctx context.Context) outcome { return addInvoice(ctx, node) })
		before := b.usage()
		ours := load(ctx, clients, b.seconds, func(ctx context.Context) outcome {
			_, got := b.post(ctx)

			return got
		})
		fmt.Printf("| %d | %.0f | %.1f | %.1f | %.0f | %.1f | %.1f | %.0f | %d | %d | %.3f |\n", clients,
			bare.rate(), bare.percentile(50), bare.percentile(99),
			ours.rate(), ours.percentile(50), ours.percentile(99), ours.percentile(100),
			ours.refused, ours.failed, ours.rate()/bare.rate())
		costs = append(costs, cost{clients: clients, took: b.usage().minus(before), count: ours.ok})
	}
	fmt.Println()
	for _, one := range costs {
		one.took.print(fmt.Sprintf("a created charge at %d clients", one.clients), one.count)
	}

	return nil
}

func addInvoice(ctx context.Context, node lnrpc.LightningClient) outcome {
	preimage := make([]byte, 32)
	_, _ = rand.Read(preimage)
	if _, err := node.AddInvoice(ctx, &lnrpc.Invoice{RPreimage: preimage, ValueMsat: 10_000, Expiry: 3600}); err != nil {
		return failed
	}

	return done
}

// charge is what the bench needs of one.
type charge struct {
	ID          string `json:"id"`
	Bolt11      string `json:"bolt11"`
	PaymentHash string `json:"payment_hash"`
}

var transport = &http.Client{
	Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256},
	Timeout:   30 * time.Second,
}

// post creates one charge.
func (b *bench) post(ctx context.Context) (charge, outcome) {
	var made charge
	status, err := b.call(ctx, http.MethodPost, "/v1/charges", `{"amount_sats":10}`, &made)
	switch {
	case err == nil && status == http.StatusCreated:
		return made, done
	case status == http.StatusServiceUnavailable:
		return made, refused
	}

	return made, failed
}

// call makes one request of the API.
func (b *bench) call(ctx context.Context, method, path, body string, answer any) (int, error) {
	return b.callAs(ctx, method, path, "", body, answer)
}

// callAs is call with an Idempotency-Key, unless that is empty.
func (b *bench) callAs(ctx context.Context, method, path, key, body string, answer any) (int, error) {
	request, err := http.NewRequestWithContext(ctx, method, b.dev.APIURL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+b.key)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := transport.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || answer == nil {
		return response.StatusCode, err
	}

	return response.StatusCode, json.Unmarshal(text, answer)
}
