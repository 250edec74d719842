package api

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lntpay/lntpay/payments"
)

const (
	defaultLimit = 20
	maxLimit     = 100
)

// query reads the parameters of a URL and collects what is wrong with them.
type query struct {
	values url.Values
	known  []string
	errors []payments.FieldError
}

// readQuery refuses at once what no parameter may be.
func readQuery(c *call) (*query, error) {
	values, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return nil, invalid("The query of the URL is malformed.")
	}

	return &query{values: values}, nil
}

func (q *query) fail(name, message string) {
	q.errors = append(q.errors, payments.FieldError{Field: name, Message: message})
}

// text returns a parameter; present tells "" from absent.
func (q *query) text(name string) (text string, present bool) {
	q.known = append(q.known, name)
	values := q.values[name]
	if len(values) == 0 {
		return "", false
	}
	if len(values) > 1 {
		q.fail(name, "is given more than once")

		return "", false
	}
	if !utf8.ValidString(values[0]) || strings.ContainsRune(values[0], 0) {
		q.fail(name, "must be UTF-8 without NUL")

		return "", false
	}

	return values[0], true
}

// number returns an integer within bounds, or the fallback.
func (q *query) number(name string, low, high, fallback int) int {
	text, present := q.text(name)
	if !present {
		return fallback
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < low || value > high || !wholeNumber.MatchString(text) {
		q.fail(name, "must be an integer between "+strconv.Itoa(low)+" and "+strconv.Itoa(high))

		return fallback
	}

	return value
}

// time returns an RFC 3339 time, or the fallback.
func (q *query) time(name string, fallback time.Time) time.Time {
	text, present := q.text(name)
	if !present {
		return fallback
	}
	at, ok := parseTime(text)
	if !ok {
		q.fail(name, "must be a time as in RFC 3339, such as 2026-01-31T12:00:00Z")

		return fallback
	}

	return at
}

// oneOf returns one of the choices, or the fallback.
func (q *query) oneOf(name, fallback string, choices ...string) string {
	text, present := q.text(name)
	if !present {
		return fallback
	}
	if !slices.Contains(choices, text) {
		q.fail(name, "must be one of "+strings.Join(choices, ", "))

		return fallback
	}

	return text
}

// page reads limit and cursor. The cursor is the last id that was seen, in a
// form that nobody is tempted to build.
func (q *query) page(prefix string) page {
	limit := q.number("limit", 1, maxLimit, defaultLimit)
	before := q.cursor(func(seen string) bool { return payments.ValidID(prefix, seen) })
	if before == "" {
		before = prefix + "_~" // After every id, byte by byte.
	}

	return page{limit: limit, before: before}
}

func (q *query) cursor(valid func(string) bool) string {
	text, present := q.text("cursor")
	if !present {
		return ""
	}
	seen, err := base64.RawURLEncoding.DecodeString(text)
	// Written again: the decoder passes over line breaks and spare bits.
	if err != nil || base64.RawURLEncoding.EncodeToString(seen) != text || !valid(string(seen)) {
		q.fail("cursor", "must be a next_cursor of this list")

		return ""
	}

	return string(seen)
}

// result is the problem of all that was recorded.
func (q *query) result() error {
	for name := range q.values {
		if !slices.Contains(q.known, name) {
			q.fail(strings.ReplaceAll(strings.ToValidUTF8(name, ""), "\x00", ""), "is not a parameter of this request")
		}
	}
	if len(q.errors) > 0 {
		slices.SortFunc(q.errors, func(a, b payments.FieldError) int { return strings.Compare(a.Field, b.Field) })

		return invalid("Some parameters are not valid.", q.errors...)
	}

	return nil
}
