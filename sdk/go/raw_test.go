package lntpay

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// told collects what a context's function is told.
func told(t *testing.T) (context.Context, *[]string) {
	t.Helper()
	all := &[]string{}

	return WithRawJSON(t.Context(), func(raw json.RawMessage) { *all = append(*all, string(raw)) }), all
}

func TestRawJSONOfAnObject(t *testing.T) {
	t.Parallel()
	text := charge("ch_1", "")
	c, _ := play(t, answer(http.StatusCreated, text), refusal(http.StatusNotFound, ErrNotFound),
		answer(http.StatusOK, text), answer(http.StatusOK, charge("ch_1", ChargePaid)))
	ctx, got := told(t)
	_, err := c.Charges.Create(ctx, ChargeParams{AmountMsat: 21 * Sat})
	noError(t, err)
	equal(t, []string{text}, *got)
	_, err = c.Charges.Get(ctx, "ch_1")
	errorIs(t, err, ErrNotFound)
	equal(t, 1, len(*got))
	_, err = c.Charges.Wait(ctx, "ch_1")
	noError(t, err)
	equal(t, []string{text, text, charge("ch_1", ChargePaid)}, *got)
	noError(t, c.WebhookEndpoints.Delete(ctx, "we_1"))
	equal(t, 3, len(*got))
}

func TestRawJSONOfAList(t *testing.T) {
	t.Parallel()
	c, _ := play(t, pages(5))
	ctx, got := told(t)
	for one, err := range c.Charges.List(ctx, ChargeFilter{PageSize: 2}) {
		noError(t, err)
		equal(t, charge(one.ID, ""), (*got)[len(*got)-1])
	}
	equal(t, 5, len(*got))
}

// Each event that is yielded is told of once, whether the stream, a repeat of
// it or a list brought it, and no other.
func TestRawJSONOfAStream(t *testing.T) {
	t.Parallel()
	for before, want := range map[int]int{0: 2, 3: 4} {
		c, f := newFeed(t, before)
		f.cut = func(int) int { return 900 }
		f.before = func(int, http.ResponseWriter, *http.Request) bool {
			f.add()
			f.add()

			return false
		}
		ctx, got := told(t)
		count := 0
		for event, err := range c.Events.Stream(ctx, StreamParams{}) {
			noError(t, err)
			count++
			equal(t, count, len(*got))
			equal(t, true, strings.Contains((*got)[count-1], `"`+event.ID+`"`))
			if count == want {
				break
			}
		}
	}
}
