package api

import (
	"encoding/base64"
	"time"

	"github.com/lntpay/lntpay/payments"
)

// page is which part of a list is asked for: limit rows below before, and above
// after.
type page struct {
	limit         int
	before, after string
}

const (
	// An id is made before its row, by the clock of the api: an hour for how far
	// that may be ahead of Postgres', and a day for a row that was made by a
	// late repeat of a POST, for as long as its Idempotency-Key is promised.
	idAhead  = time.Hour
	idBehind = 24 * time.Hour
)

// within narrows a page to the ids of rows that were made between two times, so
// that rows before and after need not be read to be left out.
func (p page) within(prefix string, createdAfter, createdBefore time.Time) page {
	if createdBefore.Before(farAway) {
		p.before = min(p.before, payments.FirstID(prefix, later(longAgo, createdBefore.Add(idAhead))))
	}
	if createdAfter.After(longAgo) {
		p.after = payments.FirstID(prefix, later(longAgo, createdAfter.Add(-idBehind)))
	}

	return p
}

// rows is how many to read: one more tells whether there are more.
func (p page) rows() int32 { return int32(p.limit) + 1 }

// list is the public shape of every list.
type list[T any] struct {
	Object     string  `json:"object"`
	Data       []T     `json:"data"`
	HasMore    bool    `json:"has_more"`
	NextCursor *string `json:"next_cursor"`
}

// listOf makes the list of the rows that were read for p. seen is the part of
// a row that the next page starts below.
func listOf[Row, T any](rows []Row, limit int, seen func(Row) string, object func(Row) T) list[T] {
	answer := list[T]{Object: "list", Data: make([]T, 0, min(len(rows), limit))}
	if len(rows) > limit {
		rows = rows[:limit]
		cursor := base64.RawURLEncoding.EncodeToString([]byte(seen(rows[limit-1])))
		answer.HasMore, answer.NextCursor = true, &cursor
	}
	for _, row := range rows {
		answer.Data = append(answer.Data, object(row))
	}

	return answer
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}

	return b
}
