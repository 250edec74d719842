package model

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// client is one idempotent POST: it repeats until it has an answer, or gives up.
type client struct {
	w         *world
	prefix    string
	workspace string
	key       string
	request   any
	// run serves the POST once its claim is there.
	run func(resourceID string, startBy time.Time)
	// fresh is the id that a first claim chooses, id the one that was claimed.
	fresh, id string
	answered  bool
	gaveUp    bool
	trying    *task
}

func (w *world) post(c *client) *client {
	c.w, c.key = w, w.newID("key")
	c.fresh = w.newID(c.prefix)
	w.clients = append(w.clients, c)
	c.try()

	return c
}

// try is one HTTP attempt: the claim as the API writes it, then the update.
func (c *client) try() {
	body, err := json.Marshal(c.request)
	c.w.lost("render a request", err)
	hash := sha256.Sum256(body)
	var id string
	var startBy time.Time
	var answered bool
	c.trying = c.w.start("POST "+c.prefix, c.w.workers[0], func(ctx context.Context) error {
		claimed, err := c.w.db.store.InsertClaim(ctx, db.InsertClaimParams{
			ResourceID: c.fresh, WorkspaceID: c.workspace, Path: "/" + c.prefix, Key: &c.key,
			BodySha256: hash[:], Request: body, RequestID: "req_" + c.fresh, Unhurried: true,
		})
		startBy = claimed.StartBy
		if id = c.fresh; !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		row, err := c.w.db.store.FindClaim(ctx, db.FindClaimParams{WorkspaceID: c.workspace, Path: "/" + c.prefix, Key: c.key})
		id, startBy, answered = row.ResourceID, row.StartBy, row.AnswerStatus != nil

		return err
	}, func(err error) {
		c.trying = nil
		if err != nil {
			return
		}
		if c.id, c.answered = id, answered; !answered {
			c.run(id, startBy)
		}
	})
}

// newCharge orders a charge.
func (w *world) newCharge() {
	request := payments.ChargeRequest{
		AmountMsat: payments.Msat(1+w.draw(50)) * 1000, ExpiresInS: int32(30 + w.draw(4)*400),
	}
	w.post(&client{
		prefix: payments.PrefixCharge, workspace: pick(w, w.workspaces), request: request,
		run: func(id string, startBy time.Time) {
			w.ensureRun(id, false).serve(activityOpen(workflows.OpenCharge{ChargeID: id, StartBy: startBy}), startBy)
		},
	})
}

// cancel asks for the end of a charge.
func (w *world) cancel(chargeID, workspace string) {
	w.post(&client{
		prefix: "cnl", workspace: workspace, request: map[string]string{"charge_id": chargeID},
		run: func(id string, startBy time.Time) {
			in := workflows.CancelCharge{ChargeID: chargeID, ClaimID: id, StartBy: startBy}
			w.ensureRun(chargeID, false).serve(activityCancel(in), startBy)
		},
	})
}

// withdraw asks for a payment.
func (w *world) withdraw(workspace string, request payments.WithdrawalRequest) {
	w.post(&client{
		prefix: payments.PrefixWithdrawal, workspace: workspace, request: request,
		run: func(id string, startBy time.Time) {
			w.ensureRun(id, false).serve(activityHold(workflows.HoldWithdrawal{WithdrawalID: id, StartBy: startBy}), startBy)
		},
	})
}

// outside is an invoice of somebody else.
type outside struct {
	request payments.WithdrawalRequest
	hash    lightning.Hash
}

// newOutside makes one, with what becomes of its payments.
func (w *world) newOutside() *outside {
	maxFee := payments.Msat(w.draw(4)) * 1000
	outcomes := []lightningtest.Outcome{}
	for range 1 + w.draw(3) {
		outcomes = append(outcomes, w.outcome(maxFee))
	}
	amount, expiry := payments.Msat(1+w.draw(30))*1000, time.Duration(20+w.draw(5)*600)*time.Second
	preimage := w.preimage()
	bolt11, _ := w.node.OutsideInvoice(amount, expiry, lightningtest.WithPreimage(preimage), lightningtest.ThatWill(outcomes...))
	o := &outside{hash: preimage.Hash()}
	o.request = payments.WithdrawalRequest{
		Bolt11: bolt11, AmountMsat: amount, MaxFeeMsat: maxFee, PaymentHash: hex.EncodeToString(o.hash[:]),
		Destination: lightningtest.OutsidePubkey(), ExpiresAt: w.now.Truncate(time.Second).Add(expiry),
	}
	w.outsides = append(w.outsides, o)

	return o
}

// outcome draws what becomes of one payment.
func (w *world) outcome(maxFee payments.Msat) lightningtest.Outcome {
	fee := payments.Msat(w.draw(int(maxFee) + 1))
	switch w.draw(9) {
	case 0, 1, 2:
		return lightningtest.Succeed(fee)
	case 3:
		return lightningtest.Fail(lightning.ReasonTimeout)
	case 4:
		return lightningtest.Fail(lightning.ReasonNoRoute)
	case 5, 6:
		return lightningtest.Hold(fee)
	case 7:
		return lightningtest.Unrecorded(fee)
	}

	return lightningtest.Stick()
}

// dueIn is the time left to the expiry of an invoice, by the model's clock.
func (w *world) dueIn(paymentHash string) time.Duration {
	raw, err := hex.DecodeString(paymentHash)
	w.lost("read a payment hash", err)
	invoice, err := w.node.LookupInvoice(context.Background(), lightning.Hash(raw))
	if err != nil {
		return 0
	}

	return invoice.ExpiresAt.Sub(w.now)
}
