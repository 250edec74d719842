package examples_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
)

// name is a text that a client could switch on, such as a status or a code.
var name = regexp.MustCompile(`^(?:\*|[a-z]+(?:[._:][a-z]+)*)$`)

// shapeOf lists what an example's answer is made of: each path with the type
// of what is there, or the name itself. The items of a list are one.
func shapeOf(t *testing.T, e api.Example) []string {
	t.Helper()
	shape := map[string]bool{fmt.Sprintf("%d %s", e.Status, e.ContentType): true}
	if e.Answer != nil {
		var answer any
		require.NoError(t, json.Unmarshal(e.Answer, &answer))
		if stream, ok := answer.(string); ok {
			answer = linesOf(t, stream)
		}
		addShape(shape, "", answer)
	}

	return slices.Sorted(maps.Keys(shape))
}

// linesOf are the fields of a stream's text by name, data as what it is.
func linesOf(t *testing.T, stream string) any {
	t.Helper()
	fields := object{}
	for line := range strings.Lines(stream) {
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		fields[field] = value
		if field == "data" {
			var data any
			require.NoError(t, json.Unmarshal([]byte(value), &data))
			fields[field] = data
		}
	}

	return fields
}

func addShape(shape map[string]bool, path string, value any) {
	switch value := value.(type) {
	case object:
		shape[path+" object"] = true
		for field, inner := range value {
			addShape(shape, path+"."+field, inner)
		}
	case []any:
		shape[path+" array"] = true
		for _, item := range value {
			addShape(shape, path+"[]", item)
		}
	case string:
		// Four letters of a key may be small ones, and look like a name.
		if !name.MatchString(value) || strings.HasSuffix(path, ".last4") {
			value = "string"
		}
		shape[path+" "+value] = true
	case nil:
		shape[path+" null"] = true
	default:
		shape[fmt.Sprintf("%s %T", path, value)] = true
	}
}

func TestShape(t *testing.T) {
	t.Parallel()
	shape := func(answer string) []string {
		return shapeOf(t, api.Example{Status: 200, Answer: json.RawMessage(answer)})
	}
	const charge = `{"id":"ch_1","status":"pending","amount_msat":1,"list":[{"a":null}]}`
	require.Equal(t, shape(charge), shape(`{"id":"ch_2","status":"pending","amount_msat":7,"list":[{"a":null},{"a":null}]}`))
	require.Equal(t, shape(`{"last4":"x7Qa"}`), shape(`{"last4":"pcbp"}`), "it is random")
	for _, other := range []string{
		`{"id":"ch_1","status":"paid","amount_msat":1,"list":[{"a":null}]}`,
		`{"id":"ch_1","status":"pending","amount_msat":"1","list":[{"a":null}]}`,
		`{"id":"ch_1","status":"pending","amount_msat":1,"list":[]}`,
		`{"id":"ch_1","status":"pending","amount_msat":1,"list":[{"a":1}]}`,
		`{"id":"ch_1","status":"pending","list":[{"a":null}]}`,
		`{"id":"ch_1","status":"pending","amount_msat":1,"list":[{"a":null}],"more":true}`,
	} {
		require.NotEqual(t, shape(charge), shape(other))
	}
}
