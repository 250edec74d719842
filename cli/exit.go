package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

// The exit codes of this package's commands; 0 is done.
const (
	ExitOther        = 1
	ExitUsage        = 2
	ExitRefused      = 3
	ExitUnauthorized = 4
	ExitNotFound     = 5
	ExitUnknown      = 6
	ExitEnded        = 7
	// ExitInterrupted is what shells say of a program that Ctrl-C ended.
	ExitInterrupted = 130
)

// exitCodes is `lntpay help exit-codes`.
const exitCodes = `charges, withdrawals, balance, events and webhooks end with

  0    done
  1    something else went wrong, here or in the API (500)
  2    wrong usage: nothing was sent
  3    the API refused (4xx); code and detail are on stderr
  4    not authorised: the key is unknown, or lacks a scope (401, 403)
  5    there is no such object (404)
  6    no answer (network, timeout, 503). The outcome of a write is unknown: repeat the
       command with the --idempotency-key that stderr names, and it happens once
  7    the charge that was watched expired or was canceled; the withdrawal failed
  130  Ctrl-C or SIGTERM

With --json, stderr has the error as a JSON object: code, detail, exit_code, and what there is of status,
request_id, errors and idempotency_key.`

// exitCodesTopic is a page of the help, no command.
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodes}
}

// ExitError ends the process with a code of its own.
type ExitError struct {
	Code int
	Err  error

	asJSON bool
}

func (e *ExitError) Error() string { return e.Err.Error() }

func (e *ExitError) Unwrap() error { return e.Err }

// ExitCode is the process's.
func (e *ExitError) ExitCode() int { return e.Code }

// usageError is a command that makes no sense: nothing has been sent. Whoever
// ends the command fills in which one it is.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return fmt.Sprintf("%v (see `%s --help`)", e.err, e.command) }

func (e *usageError) Unwrap() error { return e.err }

// endedError is a charge or a withdrawal that was watched and ended badly.
type endedError struct{ text string }

func (e *endedError) Error() string { return e.text }

// exit gives the error of a command its code.
func (c *common) exit(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}

	if wrong, ok := errors.AsType[*usageError](err); ok {
		wrong.command = cmd.CommandPath()
	}

	return &ExitError{Code: exitCode(cmd.Context(), err), Err: err, asJSON: c.asJSON}
}

// exitCode judges an error; ctx ends with Ctrl-C.
func exitCode(ctx context.Context, err error) int {
	_, wrong := errors.AsType[*usageError](err)
	_, ended := errors.AsType[*endedError](err)
	_, unknown := errors.AsType[*lntpay.UnknownOutcomeError](err)
	problem, answered := errors.AsType[*lntpay.Error](err)
	switch {
	case wrong:
		return ExitUsage
	case ended:
		return ExitEnded
	case ctx.Err() != nil || errors.Is(err, context.Canceled):
		return ExitInterrupted
	case unknown:
		return ExitUnknown
	case answered:
		return exitCodeOf(problem.Status)
	case isSilence(err):
		return ExitUnknown
	}

	return ExitOther
}

// exitCodeOf judges the status of an answer.
func exitCodeOf(status int) int {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return ExitUnauthorized
	case status == http.StatusNotFound:
		return ExitNotFound
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		return ExitRefused
	case status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout:
		return ExitUnknown
	}

	return ExitOther
}

// localError is a failure of this machine: nobody else is silent.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }

func (e *localError) Unwrap() error { return e.err }

// output is where a command prints. What cannot be printed is a localError: the
// system's error would pass for one of the network, as every syscall.Errno is a
// net.Error.
type output struct{ io.Writer }

func (o output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		err = &localError{err}
	}

	return n, err
}

// isSilence tells whether no answer came, or not all of it.
func isSilence(err error) bool {
	if _, local := errors.AsType[*localError](err); local {
		return false
	}
	// A *url.Error, which http.Client returns, is a net.Error too.
	_, network := errors.AsType[net.Error](err)

	return network || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF)
}

// names are the exit codes in words, for errors that the API gave no code.
var names = map[int]string{
	ExitOther: "internal", ExitUsage: "wrong_usage", ExitRefused: "refused", ExitUnauthorized: "unauthorized",
	ExitNotFound: "not_found", ExitUnknown: "no_answer", ExitEnded: "ended_badly", ExitInterrupted: "interrupted",
}

// failure is an error as JSON.
type failure struct {
	Code           string              `json:"code"`
	Detail         string              `json:"detail"`
	ExitCode       int                 `json:"exit_code"`
	Status         int                 `json:"status,omitempty"`
	RequestID      string              `json:"request_id,omitempty"`
	Errors         []lntpay.FieldError `json:"errors,omitempty"`
	IdempotencyKey string              `json:"idempotency_key,omitempty"`
}

// Report writes the error that a command ended with, of this package or not, as
// the user asked for it.
func Report(w io.Writer, err error) {
	exit, ours := errors.AsType[*ExitError](err)
	_, unknown := errors.AsType[*lntpay.UnknownOutcomeError](err)
	text := strings.TrimPrefix(err.Error(), "lntpay: ")
	if ours && exit.asJSON {
		if err := json.NewEncoder(w).Encode(failureOf(exit, text)); err == nil {
			return
		}
	}
	if ours && exit.Code == ExitInterrupted && errors.Is(err, context.Canceled) && !unknown {
		// Whoever pressed Ctrl-C knows.
		return
	}
	fmt.Fprintln(w, "lntpay:", clean(text))
}

func failureOf(exit *ExitError, text string) failure {
	f := failure{Code: names[exit.Code], Detail: text, ExitCode: exit.Code}
	if problem, ok := errors.AsType[*lntpay.Error](exit.Err); ok {
		f.Status, f.RequestID, f.Errors = problem.Status, problem.RequestID, problem.Fields
		f.Detail = problem.Detail
		if problem.Code != "" {
			f.Code = string(problem.Code)
		}
	}
	if unknown, ok := errors.AsType[*lntpay.UnknownOutcomeError](exit.Err); ok {
		f.Code, f.IdempotencyKey = "unknown_outcome", unknown.IdempotencyKey
	}

	return f
}
