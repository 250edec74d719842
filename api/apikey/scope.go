package apikey

import "slices"

// Scope is a permission of a key.
type Scope string

// The scopes of the public contract.
const (
	ChargesRead      Scope = "charges:read"
	ChargesWrite     Scope = "charges:write"
	WithdrawalsRead  Scope = "withdrawals:read"
	WithdrawalsWrite Scope = "withdrawals:write"
	LedgerRead       Scope = "ledger:read"
	WebhooksRead     Scope = "webhooks:read"
	WebhooksWrite    Scope = "webhooks:write"
	KeysRead         Scope = "keys:read"
	KeysWrite        Scope = "keys:write"
)

// Scopes are all that exist.
func Scopes() []Scope {
	return []Scope{
		ChargesRead, ChargesWrite, WithdrawalsRead, WithdrawalsWrite, LedgerRead,
		WebhooksRead, WebhooksWrite, KeysRead, KeysWrite,
	}
}

// Valid reports whether s exists.
func (s Scope) Valid() bool { return slices.Contains(Scopes(), s) }
