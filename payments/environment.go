package payments

// Environment is one of the two worlds that never meet. Each has a database, a
// Temporal namespace and a node of its own.
type Environment string

// The two environments.
const (
	Sandbox    Environment = "sandbox"
	Production Environment = "production"
)

// Valid reports whether e is one of the two environments.
func (e Environment) Valid() bool { return e == Sandbox || e == Production }
