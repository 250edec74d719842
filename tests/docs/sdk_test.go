package docs_test

import (
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	lntpay "github.com/lntpay/lntpay/sdk/go"
)

// operations are the methods and paths of openapi.yaml, by its layout.
func operations() (all []string) {
	var path string
	line := regexp.MustCompile(`(?m)^ {2}(/\S*):$|^ {4}(get|put|post|patch|delete):$`)
	for _, found := range line.FindAllStringSubmatch(string(api.OpenAPI()), -1) {
		if found[1] != "" {
			path = found[1]
		} else if strings.HasPrefix(path, "/v1/") {
			all = append(all, strings.ToUpper(found[2])+" "+strings.ReplaceAll(path, "{id}", "id"))
		}
	}

	return all
}

// Whatever the API has, the Go SDK has too.
func TestGoSDKHasEveryOperation(t *testing.T) {
	t.Parallel()
	want := operations()
	require.Greater(t, len(want), 20)
	called := map[string]bool{}
	network := roundTripper(func(r *http.Request) (*http.Response, error) {
		called[r.Method+" "+r.URL.Path] = true

		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"status":"succeeded"}`)),
		}, nil
	})
	client, err := lntpay.New(lntpay.Options{APIKey: "k", BaseURL: "http://lntpay.test", HTTPClient: &http.Client{Transport: network}})
	require.NoError(t, err)
	for field, service := range reflect.ValueOf(*client).Fields() {
		if !field.IsExported() {
			continue
		}
		for _, method := range service.Methods() {
			callWithZeroes(t, method)
		}
	}
	var got []string
	for operation := range called {
		got = append(got, operation)
	}
	require.ElementsMatch(t, want, got)
}

// Whatever has a name in openapi.yaml has a constant in the Go SDK.
func TestGoSDKHasEveryName(t *testing.T) {
	t.Parallel()
	for schema, file := range map[string]string{
		"Problem": "errors.go", "EventType": "events.go", "Scope": "keys.go", "ChargeStatus": "charges.go",
		"WithdrawalStatus": "withdrawals.go", "WithdrawalFailure": "withdrawals.go", "DeliveryStatus": "deliveries.go",
		"SandboxBehaviour": "sandbox.go",
	} {
		enum := regexp.MustCompile(`(?s)\n    ` + schema + `:.*?enum: \[(.*?)\]`).FindSubmatch(api.OpenAPI())
		require.NotNil(t, enum, schema)
		source := read(t, "sdk/go/"+file)
		for _, name := range regexp.MustCompile(`[\w.:]+`).FindAllString(string(enum[1]), -1) {
			require.Contains(t, source, `"`+name+`"`, schema)
		}
	}
}

func TestGoSDKsProgramIsQuoted(t *testing.T) {
	t.Parallel()
	_, program, _ := strings.Cut(read(t, "sdk/go/examples/charge/main.go"), "\n")
	require.Contains(t, read(t, "sdk/go/README.md"), "```go\n"+program+"```")
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// callWithZeroes calls a method of the SDK, and takes what it lists.
func callWithZeroes(t *testing.T, method reflect.Value) {
	t.Helper()
	var arguments []reflect.Value
	for i := range method.Type().NumIn() {
		switch in := method.Type().In(i); {
		case i == 0:
			arguments = append(arguments, reflect.ValueOf(t.Context()))
		case method.Type().IsVariadic() && i == method.Type().NumIn()-1:
		case in.Kind() == reflect.String:
			arguments = append(arguments, reflect.ValueOf("id"))
		default:
			arguments = append(arguments, reflect.Zero(in))
		}
	}
	result := method.Call(arguments)[0]
	if result.Kind() == reflect.Func {
		// The pages end by themselves, and the stream by what is no stream.
		for _, err := range result.Seq2() {
			t.Log(err)
		}
	}
}
