package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/api/conformance"
	"github.com/lntpay/lntpay/payments"
)

// Every example is one that openapi.yaml allows.
func TestExamplesConform(t *testing.T) {
	t.Parallel()
	examples, err := api.Examples()
	require.NoError(t, err)
	require.NotEmpty(t, examples)
	for _, e := range examples {
		request := httptest.NewRequest(e.Method, "http://127.0.0.1"+e.Path, bytes.NewReader(e.Request))
		answer := []byte(e.Answer)
		response := &http.Response{StatusCode: e.Status, Header: http.Header{"X-Request-Id": {"r"}}, Request: request}
		if e.Request != nil {
			request.Header.Set("Content-Type", "application/json")
		}
		if e.Operation == "createWithdrawal" {
			request.Header.Set("Idempotency-Key", "k")
		}
		if e.ContentType != "" {
			response.Header.Set("Content-Type", e.ContentType)
		}
		if e.Status >= http.StatusBadRequest {
			var problem payments.Problem
			require.NoError(t, json.Unmarshal(answer, &problem))
			require.Equal(t, e.Name, string(problem.Code), "a problem's example has its code as a name")
			response.Header.Set("X-Request-Id", problem.RequestID)
			response.Header.Set("Retry-After", "1")
		}
		require.NoError(t, conformance.Validate(request, e.Request, response, answer), "%s %s", e.Operation, e.Name)
		for _, secret := range []string{"lnt_sandbox_", "whsec_"} {
			for found := range strings.SplitSeq(string(answer), secret) {
				harmless := strings.HasPrefix(found, "NotARealKey") || strings.HasPrefix(found, "dGhpcyBpcyBub3QgYSByZWFsIHNlY3JldA==")
				require.True(t, harmless || strings.HasPrefix(string(answer), found), "%s %s has a secret", e.Operation, e.Name)
			}
		}
	}
}

// Every operation shows what it takes and what it answers.
func TestEveryOperationHasExamples(t *testing.T) {
	t.Parallel()
	b := setup(t)
	document := b.object(b.get("/openapi.json"), http.StatusOK)
	require.Equal(t, []any{map[string]any{"apiKey": []any{}}}, document["security"])
	for name, parameter := range document["components"].(map[string]any)["parameters"].(map[string]any) {
		require.NotEmpty(t, parameter.(map[string]any)["description"], name)
	}
	for path, item := range document["paths"].(map[string]any) {
		if !strings.HasPrefix(path, "/v1/") {
			continue
		}
		for method, operation := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			operation := operation.(map[string]any)
			for _, field := range []string{"description", "summary", "tags"} {
				require.NotEmpty(t, operation[field], operation["operationId"])
			}
			require.Nil(t, operation["security"], "the API key of the whole document is needed: %s", operation["operationId"])
			own, _ := operation["parameters"].([]any)
			common, _ := item.(map[string]any)["parameters"].([]any)
			for _, parameter := range append(own, common...) {
				of := parameter.(map[string]any)
				require.True(t, of["$ref"] != nil || of["description"] != nil, "%s of %s", of["name"], operation["operationId"])
			}
			if body, ok := operation["requestBody"].(map[string]any); ok && body["required"] == true {
				requireExamples(t, body, operation["operationId"])
			}
			for status, response := range operation["responses"].(map[string]any) {
				if status < "300" && status != "204" {
					requireExamples(t, response.(map[string]any), operation["operationId"])
				}
			}
		}
	}
}

func requireExamples(t *testing.T, of map[string]any, operation any) {
	t.Helper()
	for media, content := range of["content"].(map[string]any) {
		require.NotEmpty(t, content.(map[string]any)["examples"],
			"%v has no example of %s: give it a row in tests/examples/rows_test.go, then `make record-examples`", operation, media)
	}
}
