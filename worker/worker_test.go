package worker

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/mocks"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/workflows"
)

// named is a node that is only asked for its name.
type named struct{ lightning.Node }

func (named) Name() string { return "merchant" }

// A worker that the SDK has stopped must not go on as if it served.
func TestFatalErrorEndsTheWorker(t *testing.T) {
	temporal := &mocks.Client{}
	temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).
		Return(nil, errors.New("away")).Maybe()
	w := &Worker{
		Node: named{}, starter: &workflows.Starter{Client: temporal}, fatal: make(chan error, 1),
		log: slog.New(slog.DiscardHandler),
	}
	refused := errors.New("namespace not found")
	for range 2 { // Both workers of the process may give up.
		w.options().OnFatalError(refused)
	}

	require.ErrorIs(t, w.keepSingletons(t.Context()), refused)
}
