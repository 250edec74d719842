package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

//go:embed examples.json
var examplesJSON []byte

// Example is one exchange with a real server, as `make record-examples` has
// recorded it; only secrets are replaced.
type Example struct {
	// Operation is the operationId in openapi.yaml.
	Operation string `json:"operation"`
	// Name tells the examples of an operation apart; a problem's is its code.
	Name string `json:"name"`
	// Method and Path are those of the request, with its query.
	Method string `json:"method"`
	Path   string `json:"path"`
	// Request is the body, if there was one.
	Request json.RawMessage `json:"request,omitempty"`
	Status  int             `json:"status"`
	// ContentType and Answer are missing when the answer has no body. An answer
	// that is no JSON is a string.
	ContentType string          `json:"content_type,omitempty"`
	Answer      json.RawMessage `json:"answer,omitempty"`
}

// Examples are the recorded exchanges, in the order in which they happened.
func Examples() ([]Example, error) {
	var all []Example
	if err := json.Unmarshal(examplesJSON, &all); err != nil {
		return nil, fmt.Errorf("api: examples.json: %w", err)
	}

	return all, nil
}

// object is JSON of any form.
type object = map[string]any

// in is the object under a path of names; nil if there is none.
func in(o object, path ...string) object {
	for _, name := range path {
		o, _ = o[name].(object)
	}

	return o
}

// withExamples puts the recorded exchanges into the document. A problem's
// answer is described once for all operations, and so is its example.
func withExamples(document object, examples []Example) error {
	for _, e := range examples {
		operation := operationOf(document, e.Operation)
		if operation == nil {
			return fmt.Errorf("api: examples.json: there is no operation %q in openapi.yaml", e.Operation)
		}
		if e.Request != nil && e.Status < http.StatusBadRequest {
			illustrate(in(operation, "requestBody", "content", contentJSON), e.Name, e.Request)
		}
		if e.Answer == nil {
			continue
		}
		response := in(operation, "responses", strconv.Itoa(e.Status))
		if ref, ok := response["$ref"].(string); ok {
			response = in(document, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
		media := in(response, "content", e.ContentType)
		if media == nil {
			return fmt.Errorf("api: examples.json: %s has no answer %d of %s in openapi.yaml", e.Operation, e.Status, e.ContentType)
		}
		illustrate(media, e.Name, e.Answer)
	}

	return nil
}

// operationOf finds an operation by its id.
func operationOf(document object, id string) object {
	for path := range in(document, "paths") {
		for method := range in(document, "paths", path) {
			if operation := in(document, "paths", path, method); operation["operationId"] == id {
				return operation
			}
		}
	}

	return nil
}

// illustrate adds an example to a media type object.
func illustrate(media object, name string, value json.RawMessage) {
	if media == nil {
		return
	}
	examples, ok := media["examples"].(object)
	if !ok {
		examples = object{}
		media["examples"] = examples
	}
	examples[name] = object{"value": value}
}
