package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// The API knows no node: whether there is a payer node at all is for the worker
// to say, in the answer that it freezes.

// paySandboxCharge is POST /v1/sandbox/charges/{id}/pay. The payer node pays
// after the answer; the charge shows it.
func (s *Server) paySandboxCharge(c *call) error {
	key, body, err := c.readPost(readBody)
	if err != nil {
		return err
	}
	amount, err := optionalTotal(body)
	if err != nil {
		return err
	}
	row, err := c.readCharge()
	if err != nil {
		return err
	}
	if amount != 0 && amount < payments.Msat(row.AmountMsat) {
		return payments.NewProblem(payments.CodeAmountOutOfRange, "An amount is out of range.", payments.FieldError{
			Field: "amount_msat", Message: fmt.Sprintf("must be at least the charge's amount, %d msat", row.AmountMsat),
		})
	}

	return s.driveSandbox(c, post{key: key, body: body, resourceID: payments.NewID(payments.PrefixSandboxPayment)},
		payments.SandboxRequest{Operation: payments.SandboxPay, ChargeID: row.ID, AmountMsat: amount})
}

// optionalTotal reads the amount of a body that may be empty; 0 when there is
// none.
func optionalTotal(body []byte) (payments.Msat, error) {
	if len(body) == 0 {
		return 0, nil
	}
	f, err := parseFields(body)
	if err != nil {
		return 0, err
	}
	amount, _ := f.optionalAmount("amount", 1)

	return amount, f.result()
}

// createSandboxInvoice is POST /v1/sandbox/invoices.
func (s *Server) createSandboxInvoice(c *call) error {
	key, body, err := c.readPost(readBody)
	if err != nil {
		return err
	}
	f, err := parseFields(body)
	if err != nil {
		return err
	}
	request := payments.SandboxRequest{
		Operation: payments.SandboxCreateInvoice, AmountMsat: f.amount(payments.MaxSandboxInvoice), Behaviour: f.behaviour(),
	}
	if err := f.result(); err != nil {
		return err
	}

	return s.driveSandbox(c, post{key: key, body: body, resourceID: payments.NewID(payments.PrefixSandboxInvoice)}, request)
}

// behaviour reads what is to become of an invoice's payment.
func (f *fields) behaviour() payments.SandboxBehaviour {
	const name, longest = "behaviour", 20
	before := len(f.errors)
	behaviour := payments.SandboxBehaviour(f.required(name, longest))
	if len(f.errors) == before && !slices.Contains(payments.SandboxBehaviours(), behaviour) {
		var names []string
		for _, known := range payments.SandboxBehaviours() {
			names = append(names, string(known))
		}
		f.fail(name, "must be one of %s", strings.Join(names, ", "))
	}

	return behaviour
}

// releaseSandboxInvoice is POST /v1/sandbox/invoices/{id}/release.
func (s *Server) releaseSandboxInvoice(c *call) error {
	return s.endSandboxInvoice(c, payments.SandboxRelease)
}

// cancelSandboxInvoice is POST /v1/sandbox/invoices/{id}/cancel.
func (s *Server) cancelSandboxInvoice(c *call) error {
	return s.endSandboxInvoice(c, payments.SandboxCancel)
}

// endSandboxInvoice ends what an invoice holds. What does not exist is not
// claimed.
func (s *Server) endSandboxInvoice(c *call, operation payments.SandboxOperation) error {
	key, body, err := c.readPost(readNoFields)
	if err != nil {
		return err
	}
	id, err := c.pathID(payments.PrefixSandboxInvoice)
	if err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	row, err := c.env.Store.ReadSandboxInvoice(ctx, db.ReadSandboxInvoiceParams{ID: id, WorkspaceID: c.key.workspaceID})
	if err != nil {
		return fmt.Errorf("read sandbox invoice: %w", err)
	}

	return s.driveSandbox(c, post{key: key, body: body, resourceID: payments.NewID(prefixCommand)},
		payments.SandboxRequest{Operation: operation, InvoiceID: row.ID})
}

// driveSandbox has the worker decide.
func (s *Server) driveSandbox(c *call, p post, request payments.SandboxRequest) error {
	p.request = request

	return s.drive(c, p, func(ctx context.Context, claimed claim) error {
		return c.env.Sandbox.DecideSandbox(ctx, workflows.SandboxRef{
			ClaimID: claimed.resourceID, WorkspaceID: c.key.workspaceID, Operation: request.Operation,
		}, claimed.startBy)
	})
}
