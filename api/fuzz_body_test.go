package api

import (
	"bytes"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

// mustBeProblem checks that a refusal is one that clients are promised.
func mustBeProblem(t *testing.T, err error, statuses ...int) {
	t.Helper()
	problem, plain := err.(*payments.Problem) // A wrapped one would be logged as a failure of ours.
	require.True(t, plain, "%T %v", err, err)
	require.Contains(t, statuses, problem.Status)
	require.Equal(t, payments.NewProblem(problem.Code, "").Status, problem.Status, "a code has one status")
	body, err := json.Marshal(problem)
	require.NoError(t, err)
	require.True(t, utf8.Valid(body))
	var again payments.Problem
	require.NoError(t, json.Unmarshal(body, &again))
	for _, field := range again.Errors {
		require.NotEmpty(t, field.Message)
		require.NotContains(t, field.Field+field.Message, "\x00")
	}
}

var fuzzedBodies = []string{
	`{}`, `null`, `[1]`, `"x"`, ``, ` `, `{"a":1} `, `{"a":1}{}`, `{"a":1}}`, `{"a":1,}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`,
	`{"amount_msat":1}`, `{"amount_sats":10000000,"metadata":{"a":"b","c":"d"}}`, `{"amount_msat":-0}`, `{"amount_msat":1e3}`,
	`{"amount_msat":1.0}`, `{"amount_msat":9223372036854775808}`, `{"amount_msat":00}`, `{"amount_msat":+1}`, `{"amount_msat":0x1}`,
	`{"amount_msat":1,"metadata":{"a":"\u0000"}}`, "{\"amount_msat\":1,\"description\":\"\xff\"}", `{"description":"\ud800"}`,
	`{"description":"\ud800\udc00","external_id":"é"}`, `{"amount_msat":1,"metadata":null,"description":null,"expires_in":null}`,
	`{"amount_msat":1,"expires_in":60,"external_id":"x-1"}`, `{"a":[[[[[[[[[]]]]]]]]]}`, `{"a":[{"b":[{"c":[{"d":{}}]}]}]}`, "\ufeff{}",
	`{"metadata":{"a":{"b":1,"b":2}}}`, `{"amount_sats":9223372036854775}`, `{"amount_sats":9223372036854776}`, `{"AMOUNT_MSAT":1}`,
}

// FuzzBody: what parseObject lets pass is what encoding/json reads too, and
// nothing that two readers could read in two ways.
func FuzzBody(f *testing.F) {
	for _, body := range fuzzedBodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		object, err := parseObject(body)
		if err != nil {
			mustBeProblem(t, err, http.StatusBadRequest)

			return
		}
		require.True(t, utf8.Valid(body) && json.Valid(body))
		require.LessOrEqual(t, depthOf(body), maxDepth)
		var theirs map[string]any
		require.NoError(t, json.Unmarshal(body, &theirs))
		require.Len(t, object, len(theirs))
		for name, raw := range object {
			require.Contains(t, theirs, name)
			require.NotContains(t, name, "\x00")
			// The same field once more, whatever it is worth, is refused.
			again, err := json.Marshal(name)
			require.NoError(t, err)
			start := bytes.IndexByte(body, '{') + 1
			twice := string(body[:start]) + string(again) + ":" + string(raw) + "," + string(body[start:])
			_, err = parseObject([]byte(twice))
			mustBeProblem(t, err, http.StatusBadRequest)
		}
		for _, with := range []string{"x", "{}", ",", "\x00"} {
			_, err = parseObject(append(bytes.Clone(body), with...))
			mustBeProblem(t, err, http.StatusBadRequest)
		}
		spaced, err := parseObject([]byte(" \t\r\n" + string(body) + "\n "))
		require.NoError(t, err)
		require.Equal(t, object, spaced)
	})
}

// depthOf counts the brackets that are outside of texts.
func depthOf(body []byte) (deepest int) {
	depth, inText := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case inText:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}

	return deepest
}

// FuzzCharge: a charge that is accepted is what its JSON says by any other
// reader, to the last millisatoshi.
func FuzzCharge(f *testing.F) {
	for _, body := range fuzzedBodies {
		f.Add([]byte(body))
	}
	const limit = payments.Msat(10_000_000_000)
	f.Fuzz(func(t *testing.T, body []byte) {
		read, err := parseFields(body)
		if err != nil {
			mustBeProblem(t, err, http.StatusBadRequest)

			return
		}
		request := read.charge(limit)
		if err := read.result(); err != nil {
			mustBeProblem(t, err, http.StatusBadRequest, http.StatusUnprocessableEntity)

			return
		}
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		var theirs map[string]any
		require.NoError(t, decoder.Decode(&theirs))
		require.True(t, request.AmountMsat > 0 && request.AmountMsat <= limit)
		require.Zero(t, valueOf(t, theirs).Cmp(new(big.Rat).SetInt64(int64(request.AmountMsat))))
		mustBeText(t, theirs["description"], request.Description, func(text string) bool { return len(text) <= 639 })
		mustBeText(t, theirs["external_id"], request.ExternalID, func(text string) bool { return utf8.RuneCountInString(text) <= 255 })
		require.True(t, request.ExpiresInS >= 60 && request.ExpiresInS <= 604_800)
		if number, given := theirs["expires_in"].(json.Number); given {
			exact, ok := new(big.Rat).SetString(number.String())
			require.True(t, ok && exact.Cmp(new(big.Rat).SetInt64(int64(request.ExpiresInS))) == 0)
		}
		pairs, _ := theirs["metadata"].(map[string]any)
		require.Len(t, request.Metadata, len(pairs))
		require.LessOrEqual(t, len(pairs), 50)
		for key, value := range pairs {
			require.Equal(t, value, request.Metadata[key])
			require.True(t, key != "" && utf8.RuneCountInString(key) <= 40 && utf8.RuneCountInString(request.Metadata[key]) <= 500)
		}
		// A claim stores the request, and a workflow reads it from there.
		stored, err := json.Marshal(request)
		require.NoError(t, err)
		var again payments.ChargeRequest
		require.NoError(t, json.Unmarshal(stored, &again))
		require.Equal(t, request, again)
	})
}

// valueOf is the amount of a body in msat, exactly.
func valueOf(t *testing.T, body map[string]any) *big.Rat {
	t.Helper()
	number, unit := body["amount_msat"], int64(1)
	if number == nil {
		number, unit = body["amount_sats"], 1000
	}
	text := number.(json.Number).String()
	require.Less(t, len(text), 20)
	exact, ok := new(big.Rat).SetString(text)
	require.True(t, ok)

	return exact.Mul(exact, new(big.Rat).SetInt64(unit))
}

// mustBeText checks a text that may be absent.
func mustBeText(t *testing.T, theirs any, ours *string, fits func(string) bool) {
	t.Helper()
	if ours == nil {
		require.Nil(t, theirs)

		return
	}
	require.Equal(t, theirs, *ours)
	require.True(t, fits(*ours) && utf8.ValidString(*ours) && !strings.ContainsRune(*ours, 0))
}

// FuzzAmount: the number is an amount in its unit, exactly, or refused: with
// 400 what is no integer by JSON's grammar, with 422 what is out of range.
func FuzzAmount(f *testing.F) {
	for _, text := range []string{
		"0", "-0", "1", "-1", "1000", "1e3", "1.0", "1E0", "9007199254740993", "9223372036854775807", "9223372036854775808",
		"18446744073709551617", "21000000000000000", "2100000000000000000", "2100000000000000001", "01", "+1", "0x1", "1_000", `"1"`, "true", "null",
	} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, sats bool) {
		name, unit := "amount_msat", int64(1)
		if sats {
			name, unit = "amount_sats", 1000
		}
		read, err := parseFields([]byte(`{"` + name + `":` + text + `}`))
		if err != nil {
			mustBeProblem(t, err, http.StatusBadRequest)

			return
		}
		if len(read.raw) != 1 {
			t.Skip("more than one field")
		}
		amount := read.amount(payments.MaxMsat)
		err = read.result()
		number := string(read.raw[name])
		digits := strings.TrimPrefix(number, "-")
		if digits == "" || strings.Trim(digits, "0123456789") != "" {
			mustBeProblem(t, err, http.StatusBadRequest)
			require.Zero(t, amount)

			return
		}
		exact, ok := new(big.Int).SetString(number, 10)
		require.True(t, ok)
		exact.Mul(exact, big.NewInt(unit))
		if exact.Sign() <= 0 || exact.Cmp(big.NewInt(int64(payments.MaxMsat))) > 0 {
			mustBeProblem(t, err, http.StatusUnprocessableEntity)
			require.Zero(t, amount)

			return
		}
		require.NoError(t, err)
		require.Equal(t, exact.Int64(), int64(amount))
	})
}
