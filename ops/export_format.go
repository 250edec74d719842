package ops

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// timeLayout has the microseconds of Postgres, always six digits.
const timeLayout = "2006-01-02T15:04:05.000000Z07:00"

// rowWriter writes rows of the same columns: CSV or JSON Lines.
type rowWriter interface {
	header(columns []string) error
	row(columns []string, values []any) error
}

// csvRows writes RFC 4180: CRLF after each row, quotes where they are needed,
// what is in a field as it is. A null is an empty field. A text that a
// spreadsheet would take for a formula begins with an apostrophe.
type csvRows struct {
	to     io.Writer
	buffer bytes.Buffer
	fields []string
}

func (c *csvRows) header(columns []string) error {
	c.fields = append(c.fields[:0], columns...)

	return c.write()
}

func (c *csvRows) row(_ []string, values []any) error {
	c.fields = c.fields[:0]
	for _, value := range values {
		switch v := plain(value).(type) {
		case nil:
			c.fields = append(c.fields, "")
		case int64:
			c.fields = append(c.fields, strconv.FormatInt(v, 10))
		case bool:
			c.fields = append(c.fields, strconv.FormatBool(v))
		case json.RawMessage:
			c.fields = append(c.fields, harmless(string(v)))
		case string:
			c.fields = append(c.fields, harmless(v))
		default:
			return fmt.Errorf("no form for %T", value)
		}
	}

	return c.write()
}

// write replaces the end of the line that package csv gives: with its UseCRLF
// it would change the ends of lines inside fields too.
func (c *csvRows) write() error {
	c.buffer.Reset()
	w := csv.NewWriter(&c.buffer)
	if err := w.Write(c.fields); err != nil {
		return err
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	c.buffer.Truncate(c.buffer.Len() - 1)
	c.buffer.WriteString("\r\n")
	_, err := c.to.Write(c.buffer.Bytes())

	return err
}

// harmless keeps spreadsheets from running a text that clients chose, as OWASP
// advises: a field that begins like a formula gets an apostrophe in front.
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}

	return text
}

// jsonRows writes one JSON object a line, its fields in the order of the
// columns.
type jsonRows struct {
	to     io.Writer
	buffer bytes.Buffer
}

func (*jsonRows) header([]string) error { return nil }

func (j *jsonRows) row(columns []string, values []any) error {
	j.buffer.Reset()
	encoder := json.NewEncoder(&j.buffer)
	encoder.SetEscapeHTML(false)
	for i, value := range values {
		j.buffer.WriteByte("{,"[min(i, 1)])
		j.buffer.WriteString(strconv.Quote(columns[i]))
		j.buffer.WriteByte(':')
		if err := encoder.Encode(plain(value)); err != nil {
			return err
		}
		// Encode ends with a line.
		j.buffer.Truncate(j.buffer.Len() - 1)
	}
	j.buffer.WriteString("}\n")
	_, err := j.to.Write(j.buffer.Bytes())

	return err
}

// plain makes a column's value nil, a text, a number, a bool or JSON: times are
// UTC, bytes hex.
func plain(value any) any {
	switch v := value.(type) {
	case time.Time:
		return v.UTC().Format(timeLayout)
	case *time.Time:
		if v == nil {
			return nil
		}

		return v.UTC().Format(timeLayout)
	case []byte:
		return hex.EncodeToString(v)
	case *string:
		if v == nil {
			return nil
		}

		return *v
	case *int64:
		if v == nil {
			return nil
		}

		return *v
	case int32:
		return int64(v)
	}

	return value
}
