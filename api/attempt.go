package api

import (
	"context"
	"fmt"
	"time"
)

const (
	// decideTimeout is how long an attempt may take, whatever the client does.
	decideTimeout = 10 * time.Second
	// answerTimeout reads what was decided at the last moment.
	answerTimeout = 2 * time.Second
)

// attempt has a claim decided. Its answer is there when the opening transaction
// has committed, which the watcher tells some milliseconds before Temporal has
// written what the workflow's task did and says that decide is over.
type attempt struct {
	env     *environment
	claimed claim
	told    <-chan struct{}
	forget  func()
	decided chan decision
}

// decision is how decide ended. A panic goes on where it is handled.
type decision struct {
	err      error
	panicked any
}

// attempt begins one; ctx does not end with the client. release is called when
// decide is over.
func (e *environment) attempt(ctx context.Context, claimed claim, decide func(context.Context, claim) error, release func()) attempt {
	a := attempt{env: e, claimed: claimed, forget: func() {}, decided: make(chan decision, 1)}
	if told, forget, ok := e.watcher.subscribe(claimed.resourceID); ok {
		a.told, a.forget = told, forget
	}
	go func() {
		defer release()
		deciding, cancel := context.WithTimeout(ctx, decideTimeout)
		defer cancel()
		ended := decision{}
		defer func() {
			if ended.panicked = recover(); ended.panicked != nil {
				// The answer may be out already, and nobody left to hear of it.
				e.watcher.log.ErrorContext(ctx, "deciding a claim panicked", "claim_id", claimed.resourceID)
			}
			a.decided <- ended
		}()
		ended.err = decide(deciding, claimed)
	}()

	return a
}

// answer waits for the answer that was frozen. A wake says only that reading is
// worth it.
func (a attempt) answer(ctx context.Context) (*answer, error) {
	defer a.forget()
	for {
		select {
		case <-a.told:
			if frozen, err := a.read(ctx); err == nil && frozen != nil {
				return frozen, nil
			}
		case ended := <-a.decided:
			if ended.panicked != nil {
				panic(ended.panicked)
			}
			// After an error too: only the result of the update may have been
			// lost, while the answer is frozen. One read spares the client a 503.
			frozen, err := a.read(ctx)
			switch {
			case frozen != nil:
				return frozen, nil
			case ended.err != nil:
				return nil, fmt.Errorf("%w: %w", errUnavailable, ended.err)
			case err != nil:
				return nil, fmt.Errorf("%w: read answer: %w", errUnavailable, err)
			}

			return nil, fmt.Errorf("%w: %w: decided without an answer", errUnavailable, errBug)
		}
	}
}

// read gives the answer of the claim, nil while there is none.
func (a attempt) read(ctx context.Context) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	row, err := a.env.Store.ReadAnswer(ctx, a.claimed.resourceID)
	if err != nil || row.AnswerStatus == nil {
		return nil, err
	}

	return &answer{status: int(*row.AnswerStatus), body: row.Answer}, nil
}
