// Package conformance holds a server to api/openapi.yaml: every answer must be
// one that the document describes, to the last field, and a request that was
// accepted must be one that it allows. Tests use Client for all their calls.
package conformance
