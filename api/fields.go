package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/lntpay/lntpay/payments"
)

// fields reads a parsed body field by field and collects everything that is
// wrong, so that one answer names all of it.
type fields struct {
	raw    map[string]json.RawMessage
	known  map[string]bool
	errors []payments.FieldError
	// outOfRange holds amounts that are integers but not allowed ones: 422,
	// after everything that is 400.
	outOfRange []payments.FieldError
}

func parseFields(body []byte) (*fields, error) {
	raw, err := parseObject(body)
	if err != nil {
		return nil, err
	}

	return &fields{raw: raw, known: map[string]bool{}}, nil
}

// fail records what is wrong with a field.
func (f *fields) fail(name, format string, args ...any) {
	f.errors = append(f.errors, payments.FieldError{Field: name, Message: fmt.Sprintf(format, args...)})
}

// result is the problem of all that was recorded. Called last: what no reader
// asked for is unknown.
func (f *fields) result() error {
	for _, name := range slices.Sorted(maps.Keys(f.raw)) {
		if !f.known[name] {
			f.fail(name, "is not a field of this request")
		}
	}
	if len(f.errors) > 0 {
		return invalid("Some fields are not valid.", f.errors...)
	}
	if len(f.outOfRange) > 0 {
		return payments.NewProblem(payments.CodeAmountOutOfRange, "An amount is out of range.", f.outOfRange...)
	}

	return nil
}

// get returns the raw value; a null counts as absent.
func (f *fields) get(name string) (json.RawMessage, bool) {
	f.known[name] = true
	raw, present := f.raw[name]
	if !present || isNull(raw) {
		return nil, false
	}

	return raw, true
}

func isNull(raw json.RawMessage) bool { return bytes.Equal(raw, []byte("null")) }

// text reads a string; nil when absent.
func (f *fields) text(name string) *string {
	raw, present := f.get(name)
	if !present {
		return nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		f.fail(name, "must be a string")

		return nil
	}

	return &text
}

// textChars is text of at most maxChars characters.
func (f *fields) textChars(name string, maxChars int) *string {
	text := f.text(name)
	if text != nil && utf8.RuneCountInString(*text) > maxChars {
		f.fail(name, "must be at most %d characters long", maxChars)
	}

	return text
}

// required is textChars that must be there and not be empty.
func (f *fields) required(name string, maxChars int) string {
	before := len(f.errors)
	text := f.textChars(name, maxChars)
	if len(f.errors) > before {
		return ""
	}
	if text == nil || *text == "" {
		f.fail(name, "is required")

		return ""
	}

	return *text
}

// texts reads an array of strings that must be there and not be empty.
func (f *fields) texts(name string, maxItems int) []string {
	raw, present := f.get(name)
	if !present {
		f.fail(name, "is required")

		return nil
	}
	var items []*string
	if err := json.Unmarshal(raw, &items); err != nil || slices.Contains(items, nil) {
		f.fail(name, "must be an array of strings")

		return nil
	}
	if len(items) == 0 || len(items) > maxItems {
		f.fail(name, "must have 1 to %d items", maxItems)

		return nil
	}
	texts := make([]string, 0, len(items))
	for _, item := range items {
		if !slices.Contains(texts, *item) {
			texts = append(texts, *item)
		}
	}

	return texts
}

// time reads an RFC 3339 time; nil when absent.
func (f *fields) time(name string) *time.Time {
	before := len(f.errors)
	text := f.text(name)
	if text == nil || len(f.errors) > before {
		return nil
	}
	at, ok := parseTime(*text)
	if !ok {
		f.fail(name, "must be a time as in RFC 3339, such as 2026-01-31T12:00:00Z")

		return nil
	}

	return &at
}

// parseTime reads an RFC 3339 time as UTC. Where the offset moves it out of
// the years 0 to 9999 it could not be written again.
func parseTime(text string) (at time.Time, ok bool) {
	at, err := time.Parse(time.RFC3339, text)
	at = at.UTC()

	return at, err == nil && at.Year() >= 0 && at.Year() <= 9999
}

// wholeNumber is JSON's own grammar of an integer: 1.0 and 1e3 are floats.
var wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// seconds reads an integer within bounds, or the fallback when absent.
func (f *fields) seconds(name string, low, high, fallback int32) int32 {
	raw, present := f.get(name)
	if !present {
		return fallback
	}
	value, err := strconv.ParseInt(string(raw), 10, 32)
	switch {
	case !wholeNumber.Match(raw) && !looksLikeNumber(raw):
		f.fail(name, "must be an integer")
	case !wholeNumber.Match(raw):
		f.fail(name, "must be an integer, not a float")
	case err != nil || int32(value) < low || int32(value) > high:
		f.fail(name, "must be between %d and %d", low, high)
	}

	return int32(value)
}

func looksLikeNumber(raw json.RawMessage) bool {
	return len(raw) > 0 && (raw[0] == '-' || (raw[0] >= '0' && raw[0] <= '9'))
}

// metadata reads an object of strings, within the contract's limits.
func (f *fields) metadata(name string) map[string]string {
	raw, present := f.get(name)
	if !present {
		return map[string]string{}
	}
	var pairs map[string]*string
	if err := json.Unmarshal(raw, &pairs); err != nil {
		f.fail(name, "must be an object of strings")

		return nil
	}
	if len(pairs) > payments.MaxMetadataPairs {
		f.fail(name, "must have at most %d pairs", payments.MaxMetadataPairs)

		return nil
	}
	values := make(map[string]string, len(pairs))
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		value := pairs[key]
		switch {
		case key == "" || utf8.RuneCountInString(key) > payments.MaxMetadataKeyChars:
			f.fail(name, "a key must have 1 to %d characters", payments.MaxMetadataKeyChars)
		case value == nil:
			f.fail(name+"."+key, "must be a string")
		case utf8.RuneCountInString(*value) > payments.MaxMetadataValueChars:
			f.fail(name+"."+key, "must be at most %d characters long", payments.MaxMetadataValueChars)
		default:
			values[key] = *value
		}
	}

	return values
}
