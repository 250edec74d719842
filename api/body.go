package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lntpay/lntpay/payments"
)

const (
	maxBodyBytes = 64 << 10
	// maxDepth of nesting; the deepest documented body has two levels.
	maxDepth = 8
)

// readBody returns the exact bytes: their hash is the request's identity. An
// empty body is returned as such, for routes that need none.
func readBody(c *call) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBodyBytes))
	if err == nil {
		setReadDeadline(c.Context, time.Time{})
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, payments.NewProblem(payments.CodePayloadTooLarge, "A request body is at most 64 KiB.")
	case err != nil:
		return nil, invalid("The request body could not be read.")
	case len(body) == 0:
		return body, nil
	}
	media, params, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	charset := params["charset"]
	if err != nil || media != contentJSON || (charset != "" && !strings.EqualFold(charset, "utf-8")) {
		return nil, payments.NewProblem(payments.CodeUnsupportedMediaType,
			"Send the body as Content-Type: application/json in UTF-8.")
	}

	return body, nil
}

// readNoFields is readBody for a command that takes an empty body or an empty
// object.
func readNoFields(c *call) ([]byte, error) {
	body, err := readBody(c)
	if err != nil || len(body) == 0 {
		return body, err
	}
	f, err := parseFields(body)
	if err != nil {
		return nil, err
	}

	return body, f.result()
}

// invalid is a 400.
func invalid(detail string, errors ...payments.FieldError) *payments.Problem {
	return payments.NewProblem(payments.CodeInvalidRequest, detail, errors...)
}

// parseObject splits a body into its fields. It refuses what encoding/json
// would let pass: trailing data, duplicate keys, NUL, broken UTF-8.
func parseObject(body []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(body) {
		return nil, invalid("The request body is not UTF-8.")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := walk(decoder, "", 0); err != nil {
		if problem, ok := errors.AsType[*payments.Problem](err); ok {
			return nil, problem
		}

		return nil, invalid("The request body is not JSON.")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("Something follows the JSON object in the request body.")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return nil, invalid("The request body must be a JSON object.")
	}

	return fields, nil
}

// walk reads one value and everything in it.
func walk(decoder *json.Decoder, path string, depth int) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	switch value := token.(type) {
	case string:
		return refuseNUL(path, value)
	case json.Delim:
		if depth == maxDepth {
			return invalid("The request body is nested too deeply.")
		}
		if value == '{' {
			return walkObject(decoder, path, depth+1)
		}

		return walkArray(decoder, path, depth+1)
	}

	return nil
}

func walkObject(decoder *json.Decoder, path string, depth int) error {
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string) // The decoder lets only strings be keys.
		name := join(path, key)
		if seen[key] {
			return invalid("A field is given twice.", payments.FieldError{Field: name, Message: "is given twice"})
		}
		seen[key] = true
		if err := refuseNUL(name, key); err != nil {
			return err
		}
		if err := walk(decoder, name, depth); err != nil {
			return err
		}
	}
	_, err := decoder.Token()

	return err
}

func walkArray(decoder *json.Decoder, path string, depth int) error {
	for i := 0; decoder.More(); i++ {
		if err := walk(decoder, fmt.Sprintf("%s[%d]", path, i), depth); err != nil {
			return err
		}
	}
	_, err := decoder.Token()

	return err
}

// refuseNUL because Postgres' text cannot hold it.
func refuseNUL(path, text string) error {
	if strings.ContainsRune(text, 0) {
		return invalid("A text contains NUL.",
			payments.FieldError{Field: strings.ReplaceAll(path, "\x00", ""), Message: "must not contain NUL"})
	}

	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}

	return path + "." + key
}
