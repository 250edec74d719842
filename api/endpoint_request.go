package api

import (
	"slices"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/webhooks"
)

const (
	maxURLChars = 2048
	// everyEvent subscribes to all types, those of the future included.
	everyEvent = "*"
	// defaultOverlapS and maxOverlapS are for how long a rotated secret may still
	// sign: a day, and a week.
	defaultOverlapS = 86_400
	maxOverlapS     = 604_800
)

// endpointRequest is a validated POST /v1/webhooks/endpoints.
type endpointRequest struct {
	URL         string   `json:"url"`
	Events      []string `json:"events"`
	Description *string  `json:"description"`
}

func (c *call) parseEndpoint(body []byte) (endpointRequest, error) {
	f, err := parseFields(body)
	if err != nil {
		return endpointRequest{}, err
	}
	request := endpointRequest{
		URL: f.required("url", maxURLChars), Events: f.events("events"), Description: f.description(),
	}
	if err := f.result(); err != nil {
		return endpointRequest{}, err
	}

	return request, c.allowURL(request.URL)
}

// parseEndpointChange reads a PATCH. Only the description can be null.
func (c *call) parseEndpointChange(body []byte) (db.UpdateWebhookEndpointParams, error) {
	f, err := parseFields(body)
	if err != nil {
		return db.UpdateWebhookEndpointParams{}, err
	}
	var change db.UpdateWebhookEndpointParams
	if _, given := f.raw["url"]; given {
		url := f.required("url", maxURLChars)
		change.Url = &url
	}
	if _, given := f.raw["events"]; given {
		change.Events = f.events("events")
	}
	if _, given := f.raw["status"]; given {
		status := f.required("status", maxURLChars)
		if status != "" && status != "enabled" && status != "disabled" {
			f.fail("status", "must be enabled or disabled")
		}
		change.Status = &status
	}
	_, change.SetDescription = f.raw["description"]
	change.Description = f.description()
	if err := f.result(); err != nil || change.Url == nil {
		return change, err
	}

	return change, c.allowURL(*change.Url)
}

// parseRotation returns for how many seconds the old secret still signs. The
// body may be empty.
func parseRotation(body []byte) (overlapS int32, err error) {
	if len(body) == 0 {
		return defaultOverlapS, nil
	}
	f, err := parseFields(body)
	if err != nil {
		return 0, err
	}
	overlapS = f.seconds("overlap_seconds", 0, maxOverlapS, defaultOverlapS)

	return overlapS, f.result()
}

// events are types that exist, or "*".
func (f *fields) events(name string) []string {
	types := f.texts(name, len(payments.EventTypes())+1)
	for _, text := range types {
		if text != everyEvent && !slices.Contains(payments.EventTypes(), payments.EventType(text)) {
			f.fail(name, "has an unknown event type")
		}
	}

	return types
}

// allowURL passes on why a URL is refused: those texts are made for the
// developer who chose it, and nothing is resolved for them.
func (c *call) allowURL(rawURL string) error {
	if err := webhooks.CheckURL(rawURL, c.env.WebhookPolicy); err != nil {
		return payments.NewProblem(payments.CodeURLNotAllowed, "The URL of the endpoint was refused.",
			payments.FieldError{Field: "url", Message: err.Error()})
	}

	return nil
}
