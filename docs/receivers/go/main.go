// Receives LNTPay's webhooks with Go's standard library. docs/webhooks.md
// explains it.
package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	tolerance = 5 * time.Minute
	maxBody   = 1 << 20
)

type event struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Sequence int64           `json:"sequence"`
	Data     json.RawMessage `json:"data"`
}

// handle is where your work goes. It gets each event once, in order.
func handle(e event) error {
	_, err := fmt.Println("handled", e.Sequence, e.ID, e.Type)

	return err
}

// parseKeys reads the endpoint's secret; the new and the old one, separated by
// a space, while a rotation lasts.
func parseKeys(secrets string) (keys [][]byte, err error) {
	for secret := range strings.FieldsSeq(secrets) {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		// Anybody can sign with an empty key.
		if err != nil || len(key) == 0 {
			return nil, errors.New("LNTPAY_WEBHOOK_SECRET is not whsec_ and base64")
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("LNTPAY_WEBHOOK_SECRET is empty")
	}

	return keys, nil
}

// genuine checks the signature over the raw body, and that it was made a
// moment ago.
func genuine(keys [][]byte, header http.Header, body []byte) bool {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
		ours := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for theirs := range strings.FieldsSeq(header.Get("webhook-signature")) {
			// hmac.Equal takes the same time wherever the two differ.
			if hmac.Equal([]byte(theirs), []byte(ours)) {
				return true
			}
		}
	}

	return false
}

// inbox hands events to handle once and in order. The file stands in for a
// table of yours: write the event's id, with a unique index, in the
// transaction of what the event causes. Events that wait for an earlier one
// are only in memory: a restart fetches them again.
type inbox struct {
	mu      sync.Mutex
	file    *os.File
	handled map[string]bool
	waiting map[int64]event
	next    int64
}

func openInbox(path string, after int64) (*inbox, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	in := &inbox{file: file, handled: map[string]bool{}, waiting: map[int64]event{}, next: after + 1}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 2*maxBody)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, err
		}
		in.handled[e.ID], in.next = true, e.Sequence+1
	}

	return in, lines.Err()
}

func (in *inbox) take(e event) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.handled[e.ID] || e.Sequence < in.next {
		return nil // a repeat
	}
	in.waiting[e.Sequence] = e
	for {
		e, ok := in.waiting[in.next]
		if !ok {
			return nil
		}
		// What fails here stays, and is soon tried again.
		if err := handle(e); err != nil {
			return err
		}
		if err := in.record(e); err != nil {
			return err
		}
		delete(in.waiting, in.next)
		in.next++
	}
}

func (in *inbox) record(e event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := in.file.Write(append(line, '\n')); err != nil {
		return err
	}
	if err := in.file.Sync(); err != nil {
		return err
	}
	in.handled[e.ID] = true

	return nil
}

func (in *inbox) state() (next int64, waiting bool) {
	in.mu.Lock()
	defer in.mu.Unlock()

	return in.next, len(in.waiting) > 0
}

type client struct{ baseURL, key string }

// eventsAfter fetches the events after a sequence, oldest first. The API lists
// the newest first.
func (c client) eventsAfter(sequence int64) ([]event, error) {
	var events []event
	query := "?limit=100"
	for {
		page, cursor, err := c.page(query)
		if err != nil {
			return nil, err
		}
		events = append(events, page...)
		if cursor == "" || page[len(page)-1].Sequence <= sequence+1 {
			slices.Reverse(events)

			return events, nil
		}
		query = "?limit=100&cursor=" + cursor
	}
}

func (c client) page(query string) (events []event, cursor string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.baseURL+"/v1/events"+query, nil)
	if err != nil {
		return nil, "", err
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, "", errors.New(response.Status)
	}
	var list struct {
		Data       []event `json:"data"`
		NextCursor string  `json:"next_cursor"`
	}
	err = json.NewDecoder(response.Body).Decode(&list)

	return list.Data, list.NextCursor, err
}

// catchUp fetches what came while we were away, and later what is missing when
// events wait for an earlier one.
func catchUp(api client, in *inbox, every time.Duration) {
	for behind := true; ; time.Sleep(every) {
		next, waiting := in.state()
		if !behind && !waiting {
			continue
		}
		events, err := api.eventsAfter(next - 1)
		for _, e := range events {
			err = errors.Join(err, in.take(e))
		}
		if err != nil {
			log.Println("events could not be fetched, next try soon:", err)
		}
		behind = behind && err != nil
	}
}

func receive(keys [][]byte, in *inbox) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil || !genuine(keys, r.Header, body) {
			w.WriteHeader(http.StatusBadRequest)

			return
		}
		var e event
		if err = json.Unmarshal(body, &e); err == nil {
			err = in.take(e)
		}
		if err != nil {
			log.Println(err)
			w.WriteHeader(http.StatusInternalServerError) // LNTPay tries again.

			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func run() error {
	setting := func(name, otherwise string) string { return cmp.Or(os.Getenv(name), otherwise) }
	keys, err := parseKeys(os.Getenv("LNTPAY_WEBHOOK_SECRET"))
	if err != nil {
		return err
	}
	gap, err := time.ParseDuration(setting("GAP_SECONDS", "10") + "s")
	if err != nil {
		return err
	}
	after, err := strconv.ParseInt(setting("AFTER_SEQUENCE", "0"), 10, 64)
	if err != nil {
		return err
	}
	in, err := openInbox(setting("EVENTS_FILE", "events.jsonl"), after)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+setting("PORT", "9099"))
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s/\n", listener.Addr())
	go catchUp(client{setting("LNTPAY_BASE_URL", "http://127.0.0.1:8080"), os.Getenv("LNTPAY_API_KEY")}, in, gap)
	server := &http.Server{Handler: receive(keys, in), ReadTimeout: 15 * time.Second}

	return server.Serve(listener)
}

func main() {
	log.Fatal(run())
}
