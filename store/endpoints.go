package store

import (
	"time"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// Endpoint is the public webhook_endpoint, as the API answers it and as the
// events about one carry it. Its secrets are not in it.
type Endpoint struct {
	ID          string               `json:"id"`
	Object      string               `json:"object"`
	Environment payments.Environment `json:"environment"`
	URL         string               `json:"url"`
	Events      []string             `json:"events"`
	Status      string               `json:"status"`
	Description *string              `json:"description"`
	CreatedAt   time.Time            `json:"created_at"`
}

// Endpoint turns a row into the public object.
func (s *Store) Endpoint(row db.WebhookEndpoint) Endpoint {
	return Endpoint{
		ID: row.ID, Object: "webhook_endpoint", Environment: s.Environment, URL: row.Url, Events: row.Events,
		Status: row.Status, Description: row.Description, CreatedAt: row.CreatedAt.UTC(),
	}
}
