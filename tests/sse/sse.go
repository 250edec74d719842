// Package sse reads Server-Sent Events (WHATWG HTML, section 9.2), as much of
// them as LNTPay's event stream uses: one line of data for each event.
package sse

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Event is one event of a stream, or what came in its place: a comment, or the
// time to wait before a reconnect.
type Event struct {
	ID, Type, Data string
	Comment        string
}

// Stream is an open stream.
type Stream struct {
	body  io.Closer
	lines *bufio.Scanner
}

// maxLine bounds an event.
const maxLine = 1 << 20

// Open asks for the stream of an API, after the event of the id unless that is
// empty. The request's context ends the stream.
func Open(client *http.Client, request *http.Request, lastID string) (*Stream, error) {
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("open the stream: %w", err)
	}
	if content := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || content != "text/event-stream" {
		_ = response.Body.Close()

		return nil, fmt.Errorf("open the stream: %s, %s", response.Status, content)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxLine)

	return &Stream{body: response.Body, lines: lines}, nil
}

// Close cuts the stream off.
func (s *Stream) Close() error { return s.body.Close() }

// Next reads up to the next empty line; io.EOF when the server ended the stream
// in order.
func (s *Stream) Next() (Event, error) {
	var event Event
	for s.lines.Scan() {
		name, value, _ := strings.Cut(s.lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "":
			if s.lines.Text() == "" {
				return event, nil
			}
			event.Comment = value
		case "id":
			event.ID = value
		case "event":
			event.Type = value
		case "data":
			event.Data = value
		}
	}
	if err := s.lines.Err(); err != nil {
		return event, fmt.Errorf("read the stream: %w", err)
	}

	return event, io.EOF
}

// NextEvent is Next without comments and times to wait.
func (s *Stream) NextEvent() (Event, error) {
	for {
		event, err := s.Next()
		if err != nil || event.ID != "" {
			return event, err
		}
	}
}
