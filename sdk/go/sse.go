package lntpay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// maxLine is more than the longest event.
const maxLine = 4 << 20

// sseReader reads Server-Sent Events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
type sseReader struct {
	lines *bufio.Scanner
	// alive is called for each line, comments too.
	alive func()
	// retry is how long the server asks to wait before the next connection.
	retry time.Duration
}

func newSSEReader(from io.Reader, alive func()) *sseReader {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)

	return &sseReader{lines: lines, alive: alive}
}

// next is the data of the next event. What was cut off before its end is none.
func (r *sseReader) next() (string, error) {
	var data []string
	for r.lines.Scan() {
		r.alive()
		line := r.lines.Text()
		if line == "" {
			if data != nil {
				return strings.Join(data, "\n"), nil
			}

			continue
		}
		// A comment is a field without a name. The id and the type are in the
		// data as well.
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "data":
			data = append(data, value)
		case "retry":
			if ms, err := strconv.ParseUint(value, 10, 31); err == nil {
				r.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
	if err := r.lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return "", fmt.Errorf("lntpay: an event of the stream is over %d bytes", maxLine)
	} else if err != nil {
		return "", &lostError{err}
	}

	return "", &lostError{io.EOF}
}
