package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// RepeatPause is before a request is sent again.
const RepeatPause = 100 * time.Millisecond

// Client talks to the API as a workspace.
type Client struct {
	Base, Key string
	HTTP      http.Client
}

// Answer is what the API said.
type Answer struct {
	Status int
	Body   []byte
}

// Post repeats a POST with the same Idempotency-Key until it is answered: a
// connection that breaks and an answer that is open leave the outcome open.
func (c *Client) Post(ctx context.Context, path, key string, body []byte) (Answer, error) {
	for {
		got, err := c.Call(ctx, http.MethodPost, path, key, body)
		if err == nil && !open(got.Status) {
			return got, nil
		}
		select {
		case <-time.After(RepeatPause):
		case <-ctx.Done():
			return Answer{}, fmt.Errorf("POST %s with key %s was never answered; last: %d %s, %v",
				path, key, got.Status, got.Body, err)
		}
	}
}

// open are the answers after which nobody knows what has happened: the API's own
// 503, and those of a proxy that lost its API.
func open(status int) bool {
	return status == http.StatusServiceUnavailable || status == http.StatusBadGateway || status == http.StatusGatewayTimeout
}

// Call makes one request.
func (c *Client) Call(ctx context.Context, method, path, key string, body []byte) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.Base+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+c.Key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)

	return Answer{Status: response.StatusCode, Body: text}, err
}

// Get reads one object of a stack that is up.
func Get[T any](t *testing.T, c *Client, path string) (object T) {
	t.Helper()
	got, err := c.Call(t.Context(), http.MethodGet, path, "", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.Status, "GET %s: %s", path, got.Body)
	require.NoError(t, json.Unmarshal(got.Body, &object))

	return object
}

// page is the API's shape of a list.
type page[T any] struct {
	Data       []T
	HasMore    bool   `json:"has_more"`
	NextCursor string `json:"next_cursor"`
}

// All reads a whole list.
func All[T any](t *testing.T, c *Client, path string) (objects []T) {
	t.Helper()
	for rest := "?limit=100"; ; {
		next := Get[page[T]](t, c, path+rest)
		objects = append(objects, next.Data...)
		if !next.HasMore {
			return objects
		}
		rest = "?limit=100&cursor=" + url.QueryEscape(next.NextCursor)
	}
}
