package api

import (
	"slices"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

const (
	maxURLChars = 2048
	// everyEvent subscribes to all types, those of the future included.
	everyEvent = "*"
)

// endpointRequest is a validated POST /v1/webhooks/endpoints.
type endpointRequest struct {
	URL         string   `json:"url"`
	Events      []string `json:"events"`
	Description *string  `json:"description"`
}

func (s *Server) parseEndpoint(body []byte) (endpointRequest, error) {
	f, err := parseFields(body)
	if err != nil {
		return endpointRequest{}, err
	}
	request := endpointRequest{
		URL: f.required("url", maxURLChars), Events: f.events("events"), Description: f.description("description"),
	}
	if err := f.result(); err != nil {
		return endpointRequest{}, err
	}

	return request, s.allowURL(request.URL)
}

// parseEndpointChange reads a PATCH. Only the description can be null.
func (s *Server) parseEndpointChange(body []byte) (db.UpdateWebhookEndpointParams, error) {
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
	change.Description = f.description("description")
	if err := f.result(); err != nil || change.Url == nil {
		return change, err
	}

	return change, s.allowURL(*change.Url)
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

// allowURL says no more than no: what an address resolves to inside is not a
// client's business.
func (s *Server) allowURL(rawURL string) error {
	if err := s.checkURL(rawURL); err != nil {
		return payments.NewProblem(payments.CodeURLNotAllowed,
			"Give the absolute URL of a public host; private addresses are refused.",
			payments.FieldError{Field: "url", Message: "is not allowed"})
	}

	return nil
}
