package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Level says how bad a line is.
type Level string

// The levels. Only an error keeps a process from starting.
const (
	OK      Level = "ok"
	Note    Level = "note"
	Warning Level = "warning"
	Error   Level = "error"
)

// Line is one thing that was looked at.
type Line struct {
	Level Level `json:"level"`
	// Subject is a setting, or what it leads to.
	Subject string `json:"subject"`
	// Text says what was found, in one line.
	Text string `json:"text"`
}

// String is the line as it is printed.
func (l Line) String() string { return fmt.Sprintf("%-8s %s: %s", l.Level, l.Subject, l.Text) }

// Report is what was found.
type Report struct {
	Object string `json:"object"`
	OK     bool   `json:"ok"`
	Lines  []Line `json:"lines"`
}

func newReport(lines []Line) Report {
	r := Report{Object: "check", OK: true, Lines: lines}
	for _, line := range lines {
		r.OK = r.OK && line.Level != Error
	}

	return r
}

// Count is how many lines have a level.
func (r Report) Count(level Level) int {
	n := 0
	for _, line := range r.Lines {
		if line.Level == level {
			n++
		}
	}

	return n
}

// Print writes one line for each, and the sum.
func (r Report) Print(w io.Writer) {
	for _, line := range r.Lines {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintf(w, "%d errors, %d warnings, %d notes\n", r.Count(Error), r.Count(Warning), r.Count(Note))
}

// PrintJSON writes the report as one object.
func (r Report) PrintJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// RefusalError is the error of a start that the report forbids: its errors and
// warnings, one line each.
type RefusalError struct{ Report Report }

// Error lists them.
func (r *RefusalError) Error() string {
	var b strings.Builder
	b.WriteString("not started, see `lntpay check`:")
	for _, line := range r.Report.Lines {
		if line.Level == Error || line.Level == Warning {
			b.WriteString("\n" + line.String())
		}
	}

	return b.String()
}

// Settings are the lines of what is wrong with the settings themselves, as
// config.Load says it.
func Settings(err error) []Line {
	if err == nil {
		return nil
	}
	var lines []Line
	for text := range strings.Lines(err.Error()) {
		text = strings.TrimSpace(text)
		// What mapstructure puts above its list.
		if text == "" || strings.HasSuffix(text, "error(s):") {
			continue
		}
		lines = append(lines, Line{Error, "settings", text})
	}
	slices.SortFunc(lines, func(a, b Line) int { return cmp.Compare(a.Text, b.Text) })

	return lines
}

// findings collects lines about one thing.
type findings struct{ lines []Line }

func (f *findings) add(level Level, subject, format string, args ...any) {
	// An error of a driver may have several lines.
	text := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	f.lines = append(f.lines, Line{level, subject, text})
}
