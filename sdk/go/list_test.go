package lntpay

import (
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

func drain[T any](all iter.Seq2[*T, error]) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}

	return nil
}

// pages serves total charges; a cursor is the number of the first.
func pages(total int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.FormValue("cursor"))
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		to := min(total, from+limit)
		var data []string
		for i := from; i < to; i++ {
			data = append(data, charge(fmt.Sprint("ch_", i), ""))
		}
		next := "null"
		if to < total {
			next = fmt.Sprintf("%q", strconv.Itoa(to))
		}
		answer(http.StatusOK, fmt.Sprintf(`{"object":"list","data":[%s],"has_more":%t,"next_cursor":%s}`,
			strings.Join(data, ","), to < total, next))(w, r)
	}
}

func TestListTakesAllPages(t *testing.T) {
	t.Parallel()
	for total, requests := range map[int]int{0: 1, 1: 1, 100: 1, 101: 2, 250: 3} {
		c, server := play(t, pages(total))
		n := 0
		all := c.Charges.List(t.Context(), ChargeFilter{ExternalID: "x"})
		for got, err := range all {
			noError(t, err)
			equal(t, fmt.Sprint("ch_", n), got.ID)
			n++
		}
		equal(t, total, n)
		equal(t, requests, len(server.requests()))
		for _, one := range server.requests() {
			equal(t, true, strings.Contains(one.path, "external_id=x"))
		}
		// Again is from the beginning.
		for got, err := range all {
			noError(t, err)
			equal(t, "ch_0", got.ID)

			break
		}
	}
}

func TestListStopsWithTheCaller(t *testing.T) {
	t.Parallel()
	c, server := play(t, pages(250))
	for _, err := range c.Charges.List(t.Context(), ChargeFilter{PageSize: 10}) {
		noError(t, err)

		break
	}
	equal(t, 1, len(server.requests()))
}

func TestListEndsWithAnError(t *testing.T) {
	t.Parallel()
	c, _ := play(t, pages(250), refusal(http.StatusServiceUnavailable, ErrServiceUnavailable), pages(250),
		refusal(http.StatusUnauthorized, ErrUnauthorized))
	n := 0
	var last error
	for got, err := range c.Charges.List(t.Context(), ChargeFilter{}) {
		if err != nil {
			equal(t, (*Charge)(nil), got)
			last = err

			continue
		}
		n++
	}
	equal(t, 200, n)
	errorIs(t, last, ErrUnauthorized)
}
