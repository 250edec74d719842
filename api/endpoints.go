package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/webhooks"
)

// endpointObject is a webhook endpoint. Secret is only in the first answer to
// its creation or to a rotation.
type endpointObject struct {
	store.Endpoint

	Secret string `json:"secret,omitempty"`
}

// createEndpoint is POST /v1/webhooks/endpoints.
func (s *Server) createEndpoint(c *call) error {
	key, body, err := c.readPost(readBody)
	if err != nil {
		return err
	}
	request, err := c.parseEndpoint(body)
	if err != nil {
		return err
	}
	id := payments.NewID(payments.PrefixEndpoint)
	p := post{key: key, body: body, resourceID: id, request: request}

	return s.atOnce(c, p, func(ctx context.Context, q *db.Queries) (remember, send any, err error) {
		return c.insertEndpoint(ctx, q, id, request)
	})
}

func (c *call) insertEndpoint(
	ctx context.Context, q *db.Queries, id string, request endpointRequest,
) (remember, send any, err error) {
	secret := webhooks.NewSecret()
	row, err := q.InsertWebhookEndpoint(ctx, db.InsertWebhookEndpointParams{
		ID: id, WorkspaceID: c.key.workspaceID, Url: request.URL, Events: request.Events,
		Description: request.Description, SecretSealed: c.env.Sealer.Seal(id, secret),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("insert webhook endpoint: %w", err)
	}
	remember, send = c.shownOnce(row, secret)

	return remember, send, nil
}

// shownOnce are the object that is remembered for repeats, and the one with the
// secret.
func (c *call) shownOnce(row db.WebhookEndpoint, secret string) (remember, send endpointObject) {
	remember = c.endpointOf(row)
	send = remember
	send.Secret = secret

	return remember, send
}

func (c *call) endpointOf(row db.WebhookEndpoint) endpointObject {
	return endpointObject{Endpoint: c.env.Store.Endpoint(row)}
}

// sendEndpoint answers with a row, or the error of getting it.
func (c *call) sendEndpoint(row db.WebhookEndpoint, err error) error {
	if err != nil {
		return err
	}
	object := c.endpointOf(row)
	c.JSON(http.StatusOK, object)

	return nil
}

// getEndpoint is GET /v1/webhooks/endpoints/{id}.
func (s *Server) getEndpoint(c *call) error {
	id, err := c.pathID(payments.PrefixEndpoint)
	if err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()

	return c.sendEndpoint(c.env.Store.ReadWebhookEndpoint(ctx,
		db.ReadWebhookEndpointParams{ID: id, WorkspaceID: c.key.workspaceID}))
}

// listEndpoints is GET /v1/webhooks/endpoints.
func (s *Server) listEndpoints(c *call) error {
	q, err := readQuery(c)
	if err != nil {
		return err
	}
	page := q.page(payments.PrefixEndpoint)
	if err := q.result(); err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	rows, err := c.env.Store.ReadWebhookEndpointPage(ctx, db.ReadWebhookEndpointPageParams{
		WorkspaceID: c.key.workspaceID, BeforeID: page.before, MaxRows: page.rows(),
	})
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, listOf(rows, page.limit, func(row db.WebhookEndpoint) string { return row.ID }, c.endpointOf))

	return nil
}

// updateEndpoint is PATCH /v1/webhooks/endpoints/{id}: what is absent stays.
func (s *Server) updateEndpoint(c *call) error {
	id, err := c.pathID(payments.PrefixEndpoint)
	if err != nil {
		return err
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	change, err := c.parseEndpointChange(body)
	if err != nil {
		return err
	}
	change.ID, change.WorkspaceID = id, c.key.workspaceID
	ctx, cancel := c.context()
	defer cancel()

	return c.sendEndpoint(c.env.Store.UpdateWebhookEndpoint(ctx, change))
}

// deleteEndpoint is DELETE /v1/webhooks/endpoints/{id}.
func (s *Server) deleteEndpoint(c *call) error {
	id, err := c.pathID(payments.PrefixEndpoint)
	if err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	deleted, err := c.env.Store.DeleteWebhookEndpoint(ctx,
		db.DeleteWebhookEndpointParams{ID: id, WorkspaceID: c.key.workspaceID})
	if err != nil {
		return err
	}
	if deleted == 0 {
		return errNotFound
	}
	c.Status(http.StatusNoContent)

	return nil
}

// rotateSecret is POST /v1/webhooks/endpoints/{id}/rotate-secret.
func (s *Server) rotateSecret(c *call) error {
	key, body, err := c.readPost(readBody)
	if err != nil {
		return err
	}
	overlap, err := parseRotation(body)
	if err != nil {
		return err
	}
	id, err := c.pathID(payments.PrefixEndpoint)
	if err != nil {
		return err
	}
	p := post{
		key: key, body: body, resourceID: payments.NewID(prefixCommand), status: http.StatusOK,
		request: map[string]any{"endpoint_id": id, "overlap_s": overlap},
	}

	return s.atOnce(c, p, func(ctx context.Context, q *db.Queries) (remember, send any, err error) {
		secret := webhooks.NewSecret()
		row, err := q.RotateWebhookSecret(ctx, db.RotateWebhookSecretParams{
			ID: id, WorkspaceID: c.key.workspaceID, OverlapS: overlap, NewSecretSealed: c.env.Sealer.Seal(id, secret),
		})
		if err != nil {
			return nil, nil, err
		}
		remember, send = c.shownOnce(row, secret)

		return remember, send, nil
	})
}
