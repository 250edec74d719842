package lntpay

import (
	"context"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// pageSize is how many items a page has when a filter does not say: the most
// that the API gives.
const pageSize = 100

type page[T any] struct {
	Data       []*T    `json:"data"`
	HasMore    bool    `json:"has_more"`
	NextCursor *string `json:"next_cursor"`
}

// list is all pages of a list, each fetched when it is reached. An error is the
// last that it yields.
func list[T any](ctx context.Context, c *Client, path string, query url.Values, size int) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for cursor := ""; ; {
			asked := maps.Clone(query)
			asked.Set("limit", strconv.Itoa(first(size, pageSize)))
			if cursor != "" {
				asked.Set("cursor", cursor)
			}
			var got page[item[T]]
			if err := c.do(ctx, get(path, asked), &got); err != nil {
				yield(nil, err)

				return
			}
			for _, one := range got.Data {
				tell(ctx, one.raw)
				if !yield(&one.object, nil) {
					return
				}
			}
			if !got.HasMore || got.NextCursor == nil || *got.NextCursor == cursor {
				return
			}
			cursor = *got.NextCursor
		}
	}
}

// query leaves out what is empty.
func query(pairs ...string) url.Values {
	values := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			values.Set(pair[0], pair[1])
		}
	}

	return values
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}

	return t.UTC().Format(time.RFC3339Nano)
}
