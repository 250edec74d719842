package api

import (
	"encoding/base64"
	"time"

	"github.com/lntpay/lntpay/payments"
)

// page is which part of a list is asked for: limit rows below before.
type page struct {
	limit  int
	before string
}

// idAhead is how far the clock of an api, by which ids are made, may be ahead of
// Postgres'. An id may be much older than its row, where a late repeat of a POST
// has made that, but not newer.
const idAhead = time.Hour

// madeBefore leaves out the ids that are newer than the rows that are asked for:
// without a look at the id, a list would be read from its end to where they
// begin.
func (p page) madeBefore(prefix string, createdBefore time.Time) page {
	if createdBefore.Before(farAway) {
		at := createdBefore.Add(idAhead)
		if at.Before(longAgo) {
			at = longAgo
		}
		p.before = min(p.before, payments.FirstID(prefix, at))
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
