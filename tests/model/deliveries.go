package model

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/workflows"
)

// receiver answers deliveries as the seed that runs wants it.
type receiver struct{ current *world }

func (r *receiver) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	w := r.current
	w.received[req.Header.Get("webhook-id")]++
	if !w.healing && w.chance(3) {
		rw.WriteHeader(http.StatusServiceUnavailable)
	}
}

// attempt makes an attempt at a delivery and follows its schedule, unless
// somebody does so already.
func (w *world) attempt(id string) {
	if w.delivering[id] {
		return
	}
	w.delivering[id] = true
	var result workflows.AttemptResult
	on := pick(w, w.workers)
	t := w.start("AttemptDelivery", on, func(ctx context.Context) (err error) {
		deliveries := &activities.Deliveries{
			Store: w.db.store, Sender: w.sender, Sealer: w.sealer, Starter: nudger{},
			Jitter: func() float64 { return 0.5 }, Log: quiet(),
		}
		result, err = deliveries.AttemptDelivery(ctx, workflows.DeliveryInput{DeliveryID: id})

		return err
	}, func(err error) {
		delete(w.delivering, id)
		switch {
		case errors.Is(err, errDead), err == nil && result.Done:
		case err != nil:
			w.at(10*time.Second, func() { w.attempt(id) })
		default:
			w.at(max(result.NextIn, time.Second), func() { w.attempt(id) })
		}
	})
	t.timeout = 25 * time.Second
}
