package api

import (
	"context"
	"net/http"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// prefixCommand begins the ids of the claims of commands, such as a cancel; they
// name no object.
const prefixCommand = "cnl"

// createCharge is POST /v1/charges.
func (s *Server) createCharge(c *call) error {
	key, body, err := c.readPost(readBody)
	if err != nil {
		return err
	}
	f, err := parseFields(body)
	if err != nil {
		return err
	}
	request := f.charge(s.config.MaxChargeMsat)
	if err := f.result(); err != nil {
		return err
	}
	if err := s.roomForCharge(c, key); err != nil {
		return err
	}
	p := post{key: key, body: body, resourceID: payments.NewID(payments.PrefixCharge), request: request}

	return s.drive(c, p, c.openCharge(request))
}

// openCharge has the charge of a claim opened.
func (c *call) openCharge(request payments.ChargeRequest) func(context.Context, claim) error {
	return func(ctx context.Context, claimed claim) error {
		return c.env.Charges.OpenCharge(ctx, workflows.ChargeRef{
			ID: claimed.resourceID, WorkspaceID: c.key.workspaceID, AmountMsat: request.AmountMsat,
		}, claimed.startBy)
	}
}

// charge reads the fields of a new charge.
func (f *fields) charge(maxMsat payments.Msat) payments.ChargeRequest {
	return payments.ChargeRequest{
		AmountMsat:  f.amount(maxMsat),
		Description: f.description(),
		ExpiresInS: f.seconds("expires_in",
			payments.MinExpiresInSeconds, payments.MaxExpiresInSeconds, payments.DefaultExpiresInSeconds),
		Metadata:   f.metadata("metadata"),
		ExternalID: f.textChars("external_id", payments.MaxExternalIDChars),
	}
}

// description is bounded in bytes: BOLT11 carries it as such.
func (f *fields) description() *string {
	const name = "description"
	text := f.text(name)
	if text != nil && len(*text) > payments.MaxDescriptionBytes {
		f.fail(name, "must be at most %d bytes long", payments.MaxDescriptionBytes)
	}

	return text
}

// cancelCharge is POST /v1/charges/{id}/cancel. What does not exist is not
// claimed.
func (s *Server) cancelCharge(c *call) error {
	key, body, err := c.readPost(readNoFields)
	if err != nil {
		return err
	}
	row, err := c.readCharge()
	if err != nil {
		return err
	}
	p := post{
		key: key, body: body, resourceID: payments.NewID(prefixCommand),
		request: map[string]string{"charge_id": row.ID},
	}

	return s.drive(c, p, func(ctx context.Context, claimed claim) error {
		return c.env.Charges.CancelCharge(ctx, workflows.ChargeRef{
			ID: row.ID, WorkspaceID: row.WorkspaceID, AmountMsat: payments.Msat(row.AmountMsat),
		}, claimed.resourceID, claimed.startBy)
	})
}

// readCharge reads the charge that the path names, if this key may see it.
func (c *call) readCharge() (db.Charge, error) {
	id := c.Param("id")
	if !payments.ValidID(payments.PrefixCharge, id) {
		return db.Charge{}, errNotFound
	}
	ctx, cancel := c.context()
	defer cancel()

	return c.env.Store.ReadCharge(ctx, db.ReadChargeParams{ID: id, WorkspaceID: c.key.workspaceID})
}

// getCharge is GET /v1/charges/{id}, at once or after a wait.
func (s *Server) getCharge(c *call) error {
	wait, err := readWait(c)
	if err != nil {
		return err
	}
	row, err := await(s, c, wait, c.readCharge, func(row db.Charge) bool {
		return row.Status != string(payments.ChargePending)
	})
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, c.env.Store.Charge(row))

	return nil
}
