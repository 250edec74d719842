package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

const (
	// flushEvery bounds what a table holds back to find its columns' widths.
	flushEvery = 100
	// maxCell is how many characters of somebody's words a table shows.
	maxCell = 40
)

// line prints JSON as one line.
func (s *session) line(raw json.RawMessage) error {
	var one bytes.Buffer
	if err := json.Compact(&one, raw); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	one.WriteByte('\n')
	_, err := one.WriteTo(s.out)

	return err
}

// rows are the words and values of one object.
type rows [][2]string

// show prints the object that came last: its JSON, or its rows, of which those
// without a value are left out.
func (s *session) show(of rows) error {
	if s.asJSON {
		return s.line(s.raw)
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, row := range of {
		if row[1] != "" {
			fmt.Fprintf(table, "%s\t%s\n", row[0], row[1])
		}
	}

	return table.Flush()
}

// list prints the items that there are, up to a limit if that is not 0: their
// JSON, or a table of the columns.
func list[T any](s *session, items iter.Seq2[*T, error], limit int, columns []string, cells func(*T) []string) error {
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	row := func(cells []string) { fmt.Fprintln(table, strings.Join(cells, "\t")) }
	n, note := 0, "there are none"
	for one, err := range items {
		if err != nil {
			_ = table.Flush()

			return err
		}
		if n++; limit > 0 && n > limit {
			note = "there are more: --all, or a higher --limit"

			break
		}
		note = ""
		if s.asJSON {
			if err := s.line(s.raw); err != nil {
				return err
			}

			continue
		}
		if n == 1 {
			row(columns)
		}
		row(cells(one))
		if n%flushEvery == 0 {
			if err := table.Flush(); err != nil {
				return err
			}
		}
	}
	err := table.Flush()
	if note != "" && !s.asJSON {
		s.sayf("%s", note)
	}

	return err
}

// follow is a context under which a Wait prints the object each time that its
// status is another: its JSON, or a line.
func follow[T any](ctx context.Context, s *session, status string, line func(*T) string) context.Context {
	return lntpay.WithRawJSON(ctx, func(raw json.RawMessage) {
		var is struct {
			Status string `json:"status"`
		}
		var object T
		if json.Unmarshal(raw, &is) != nil || is.Status == status || json.Unmarshal(raw, &object) != nil {
			return
		}
		status = is.Status
		if s.asJSON {
			_ = s.line(raw)
		} else {
			fmt.Fprintln(s.out, line(&object))
		}
	})
}

// result prints what became of an object that was over before it was watched;
// its JSON has been printed.
func (s *session) result(line string) error {
	if s.asJSON {
		return nil
	}

	return s.printf("%s", line)
}

// at is a time as a person here reads it.
func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}

	return t.Local().Format(time.DateTime) //nolint:gosmopolitan // a person reads it here
}

// when is a time with its distance from now.
func (s *session) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}

	return at(t) + " (" + s.ago(t) + ")"
}

// ago is the distance of a time from now, in the largest unit that it fills.
func (s *session) ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := s.now().Sub(t)
	text := fmt.Sprint(int(d.Abs()/time.Second), "s")
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{time.Minute, "m"}, {time.Hour, "h"}, {24 * time.Hour, "d"}} {
		if d.Abs() >= unit.length {
			text = fmt.Sprint(int(d.Abs()/unit.length), unit.name)
		}
	}
	if d < 0 {
		return "in " + text
	}

	return text + " ago"
}

// clean makes somebody else's words fit for a terminal: what is not printable
// could move the cursor or change what is seen.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}

		return r
	}, text)
}

// short is clean in a cell of a table.
func short(text string) string {
	letters := []rune(clean(text))
	if len(letters) <= maxCell {
		return string(letters)
	}

	return string(letters[:maxCell-1]) + "…"
}

// printf prints a line of what was asked for.
func (s *session) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(s.out, format+"\n", args...)

	return err
}
