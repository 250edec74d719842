// Package apikey is the form of an API key, its scopes and how one is made. It
// is shared by the HTTP API and by `lntpay key create`; who may make which key
// is decided by its callers.
package apikey
