package lntpay

import (
	"bytes"
	"context"
	"encoding/json"
)

// rawKey is where a context has its function of [WithRawJSON].
type rawKey struct{}

// WithRawJSON has calls with this context tell fn the JSON of each object that
// they return or yield, as the API sent it and right before they do; Wait tells
// what it saw at each look. It is for who passes objects on or stores them: the
// JSON has what a later version of the API adds, which the structs do not.
//
// fn is called by the goroutine of the call and may keep what it is given.
func WithRawJSON(ctx context.Context, fn func(json.RawMessage)) context.Context {
	return context.WithValue(ctx, rawKey{}, fn)
}

// tell tells the context's function, if it has one.
func tell(ctx context.Context, raw json.RawMessage) {
	if fn, _ := ctx.Value(rawKey{}).(func(json.RawMessage)); fn != nil {
		fn(raw)
	}
}

// item is an object with its JSON.
type item[T any] struct {
	object T
	raw    json.RawMessage
}

// UnmarshalJSON keeps the text; the decoder's belongs to the decoder.
func (i *item[T]) UnmarshalJSON(text []byte) error {
	i.raw = bytes.Clone(text)

	return json.Unmarshal(text, &i.object)
}
