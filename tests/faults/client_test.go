package faults_test

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

const repeatPause = 100 * time.Millisecond

// client talks to the API as a workspace.
type client struct {
	base, key string
	http      http.Client
}

// answer is what the API said.
type answer struct {
	status int
	body   []byte
}

// post repeats a POST with the same Idempotency-Key until it is answered: a
// connection that breaks and a 503 leave the outcome open.
func (c *client) post(ctx context.Context, path, key string, body []byte) (answer, error) {
	for {
		got, err := c.call(ctx, http.MethodPost, path, key, body)
		if err == nil && got.status != http.StatusServiceUnavailable {
			return got, nil
		}
		select {
		case <-time.After(repeatPause):
		case <-ctx.Done():
			return answer{}, fmt.Errorf("POST %s with key %s was never answered; last: %d %s, %v",
				path, key, got.status, got.body, err)
		}
	}
}

// call makes one request.
func (c *client) call(ctx context.Context, method, path, key string, body []byte) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)

	return answer{status: response.StatusCode, body: text}, err
}

// get reads one object of a stack that is up.
func get[T any](t *testing.T, c *client, path string) (object T) {
	t.Helper()
	got, err := c.call(t.Context(), http.MethodGet, path, "", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.status, "GET %s: %s", path, got.body)
	require.NoError(t, json.Unmarshal(got.body, &object))

	return object
}

// page is the API's shape of a list.
type page[T any] struct {
	Data       []T
	HasMore    bool   `json:"has_more"`
	NextCursor string `json:"next_cursor"`
}

// all reads a whole list.
func all[T any](t *testing.T, c *client, path string) (objects []T) {
	t.Helper()
	for rest := "?limit=100"; ; {
		next := get[page[T]](t, c, path+rest)
		objects = append(objects, next.Data...)
		if !next.HasMore {
			return objects
		}
		rest = "?limit=100&cursor=" + url.QueryEscape(next.NextCursor)
	}
}
