// Package api is the public HTTP API: Gin routes, authentication, validation,
// idempotency, problems and the OpenAPI file. It is stateless and thin: writes
// are claims in Postgres that a workflow decides, reads go to Postgres. It has
// no connection to a node and holds no SQL text.
//
// A request goes: middleware (request id, recovery, metrics) → authenticate →
// scope → handler. Handlers return an error; answerError makes the problem of
// it, and nothing else writes one.
package api
