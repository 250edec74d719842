package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

var errAway = errors.New("rpc error: temporal at 10.0.0.7:7233 is away")

// scripted counts calls, and lets a test say how they go.
type scripted struct {
	mu    sync.Mutex
	calls int
	// script is what the next calls do; those after it do their work.
	script []step
}

// fakeCharges does to the rows what the charge's workflow does, without one.
type fakeCharges struct {
	scripted
	store *store.Store
	// refuse answers the next claims with a problem.
	refuse *payments.Problem
}

type step func(work func() error) error

// Steps of a script.
func failBefore(func() error) error { return errAway }
func failAfter(work func() error) error {
	if err := work(); err != nil {
		return err
	}

	return errAway
}
func panics(func() error) error { panic("secret text of a panic") }
func slowly(work func() error) error {
	time.Sleep(300 * time.Millisecond)

	return work()
}

func (f *scripted) plan(steps ...step) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = append(f.script, steps...)
}

func (f *scripted) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()

	return f.calls
}

func (f *scripted) do(work func() error) error {
	f.mu.Lock()
	f.calls++
	next := step(func(work func() error) error { return work() })
	if len(f.script) > 0 {
		next, f.script = f.script[0], f.script[1:]
	}
	f.mu.Unlock()

	return next(work)
}

// OpenCharge is the opening transaction without a node.
func (f *fakeCharges) OpenCharge(ctx context.Context, ref workflows.ChargeRef, startBy time.Time) error {
	return f.do(func() error {
		return f.store.InTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
			claim, err := q.LockClaim(ctx, db.LockClaimParams{ResourceID: ref.ID, StartBy: startBy})
			if err != nil || claim.AnswerStatus != nil {
				return err
			}
			if claim.TooLate {
				return workflows.ErrOutcomeUnknown
			}
			if f.refuse != nil {
				return freezeProblem(ctx, q, claim, f.refuse)
			}

			return f.open(ctx, q, ref.ID, startBy)
		})
	})
}

// preimageOf is what paying a charge of fakeCharges reveals.
func preimageOf(id string) [32]byte { return sha256.Sum256([]byte(id)) }

func (f *fakeCharges) open(ctx context.Context, q *db.Queries, id string, startBy time.Time) error {
	preimage := preimageOf(id)
	hash := sha256.Sum256(preimage[:])
	if _, err := q.JudgeOpening(ctx, db.JudgeOpeningParams{
		ID: id, StartBy: startBy, Node: "test", KeyID: "test", PaymentHash: hash[:],
	}); err != nil {
		return err
	}
	row, err := q.GetCharge(ctx, id)
	if err != nil {
		return err
	}
	bolt11, addIndex, created := "lnbcrt1"+id, int64(1), int32(http.StatusCreated)
	expiresAt := row.CreatedAt.Add(time.Duration(row.ExpiresInS) * time.Second)
	row.Status, row.Bolt11, row.ExpiresAt = "pending", &bolt11, &expiresAt
	body, err := json.Marshal(f.store.Charge(row))
	if err != nil {
		return err
	}
	_, err = q.FinishOpening(ctx, db.FinishOpeningParams{
		ID: id, Bolt11: &bolt11, AddIndex: &addIndex, ExpiresAt: expiresAt, CloseAt: expiresAt, Warnings: []string{},
		AnswerStatus: &created, Answer: body,
	})

	return err
}

// CancelCharge cancels a pending charge, and refuses others.
func (f *fakeCharges) CancelCharge(ctx context.Context, ref workflows.ChargeRef, claimID string, startBy time.Time) error {
	return f.do(func() error {
		_, ok, err := f.store.EndCharge(ctx, store.EndCharge{
			ID: ref.ID, Status: payments.ChargeCanceled, ClaimID: claimID,
		})
		if err != nil || ok {
			return err
		}

		return f.store.InTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
			claim, err := q.LockClaim(ctx, db.LockClaimParams{ResourceID: claimID, StartBy: startBy})
			if err != nil || claim.AnswerStatus != nil {
				return err
			}
			row, err := q.GetCharge(ctx, ref.ID)
			if err != nil {
				return err
			}
			if row.Status == string(payments.ChargeCanceled) {
				return freeze(ctx, q, claimID, http.StatusOK, f.store.Charge(row))
			}

			return freezeProblem(ctx, q, claim, payments.NewProblem(payments.CodeChargeNotCancelable, "It is "+row.Status+"."))
		})
	})
}

func freezeProblem(ctx context.Context, q *db.Queries, claim db.LockClaimRow, problem *payments.Problem) error {
	named := *problem
	named.RequestID = claim.RequestID

	return freeze(ctx, q, claim.ResourceID, int32(named.Status), named)
}

func freeze(ctx context.Context, q *db.Queries, claimID string, status int32, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}

	return store.Freeze(ctx, q, claimID, status, body)
}

// pay settles a charge as the node would.
func (f *fakeCharges) pay(t testing.TB, id string, amount payments.Msat) {
	t.Helper()
	preimage := preimageOf(id)
	hash := sha256.Sum256(preimage[:])
	_, err := f.store.WriteReceipts(t.Context(), "test", time.Time{}, []store.Settlement{{
		PaymentHash: hash, AmtPaidMsat: amount, SettleIndex: 1, AddIndex: 1, SettledAt: time.Now(),
	}})
	require.NoError(t, err)
	result, err := f.store.SettleCharges(t.Context(), []string{id})
	require.NoError(t, err)
	require.Len(t, result.Paid, 1)
}
