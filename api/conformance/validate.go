package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	validation "github.com/pb33f/libopenapi-validator/errors"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/payments"
)

// ErrMismatch means that an exchange is not as openapi.yaml describes it.
var ErrMismatch = errors.New("conformance: not as openapi.yaml says")

// document is parsed once. The validator is asked by one at a time: it keeps
// caches of its own.
var document = sync.OnceValues(func() (validator.Validator, error) {
	parsed, err := libopenapi.NewDocument(api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("parse openapi.yaml: %w", err)
	}
	v, errs := validator.NewValidator(parsed, config.WithFormatAssertions(), config.WithoutSecurityValidation())
	if len(errs) > 0 {
		return nil, fmt.Errorf("read openapi.yaml: %w", errors.Join(errs...))
	}
	if ok, problems := v.ValidateDocument(); !ok {
		return nil, fmt.Errorf("openapi.yaml: %w", join(problems))
	}

	return v, nil
})

var documentLock sync.Mutex

// Validate holds one exchange against openapi.yaml. requestBody and body are
// the bytes that were sent and received.
func Validate(request *http.Request, requestBody []byte, response *http.Response, body []byte) error {
	documentLock.Lock()
	defer documentLock.Unlock()
	v, err := document()
	if err != nil {
		return err
	}
	request = request.Clone(request.Context())
	request.Body = io.NopCloser(bytes.NewReader(requestBody))
	answer := *response
	answer.Body = io.NopCloser(bytes.NewReader(body))
	if ok, problems := v.ValidateHttpResponse(request, &answer); !ok {
		return judge(request, response, body, problems)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return isProblem(request, response, body)
	}
	request.Body = io.NopCloser(bytes.NewReader(requestBody))
	if ok, problems := v.ValidateHttpRequestSync(request); !ok {
		return fmt.Errorf("%s %s was accepted with %d but its request: %w: %w",
			request.Method, request.URL, response.StatusCode, ErrMismatch, join(problems))
	}

	return nil
}

// judge lets pass the two answers that no path describes: there is no such
// path, and not with this method.
func judge(request *http.Request, response *http.Response, body []byte, problems []*validation.ValidationError) error {
	// The validator reads a path with a trailing slash as the one without.
	slashed := strings.HasSuffix(request.URL.Path, "/")
	for _, problem := range problems {
		unknownPath := (problem.IsPathMissingError() || slashed) && response.StatusCode == http.StatusNotFound
		unknownMethod := problem.IsOperationMissingError() && response.StatusCode == http.StatusMethodNotAllowed
		if unknownPath || unknownMethod {
			return isProblem(request, response, body)
		}
	}

	return fmt.Errorf("%s %s: %d %s: %w: %w",
		request.Method, request.URL, response.StatusCode, body, ErrMismatch, join(problems))
}

// isProblem checks what a schema cannot: that the body repeats the status, the
// media type and the request's id.
func isProblem(request *http.Request, response *http.Response, body []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	var problem payments.Problem
	err := decoder.Decode(&problem)
	known := payments.NewProblem(problem.Code, "")
	if err != nil || problem.Status != response.StatusCode || known.Status != problem.Status ||
		response.Header.Get("Content-Type") != "application/problem+json" {
		return fmt.Errorf("%s %s: %d %s: %w: not a problem of this status",
			request.Method, request.URL, response.StatusCode, body, ErrMismatch)
	}
	id := response.Header.Get("X-Request-Id")
	replayed := response.Header.Get("Idempotent-Replayed") != ""
	if id == "" || problem.RequestID == "" || (!replayed && problem.RequestID != id) {
		return fmt.Errorf("%s %s: %w: request_id %q but X-Request-Id %q",
			request.Method, request.URL, ErrMismatch, problem.RequestID, id)
	}

	return nil
}

func join(problems []*validation.ValidationError) error {
	all := make([]error, 0, len(problems))
	for _, problem := range problems {
		all = append(all, problem)
		for _, failure := range problem.SchemaValidationErrors {
			all = append(all, failure)
		}
	}

	return errors.Join(all...)
}
