package payments

import "encoding/json"

// FreezeReason says in a word who froze or thawed payouts; the operator's own
// words stay with the operator.
type FreezeReason string

// The reasons.
const (
	// FreezeByOperator is somebody's decision.
	FreezeByOperator FreezeReason = "operator"
	// FreezeByReconciliation is a broken invariant.
	FreezeByReconciliation FreezeReason = "reconciliation"
)

// FreezeScope says how much is frozen.
type FreezeScope string

// The scopes.
const (
	ScopeWorkspace FreezeScope = "workspace"
	ScopeNode      FreezeScope = "node"
	ScopeAll       FreezeScope = "all"
)

// PayoutsState is what a freeze or a thaw of payouts tells a workspace. A thaw
// ends the freeze of its scope; payouts go on when none is left.
type PayoutsState struct {
	WorkspaceID string
	Scope       FreezeScope
	Frozen      bool
	Reason      FreezeReason
}

// MarshalJSON writes the public object.
func (p PayoutsState) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Object      string       `json:"object"`
		WorkspaceID string       `json:"workspace_id"`
		Scope       FreezeScope  `json:"scope"`
		Frozen      bool         `json:"frozen"`
		Reason      FreezeReason `json:"reason"`
	}{"payouts", p.WorkspaceID, p.Scope, p.Frozen, p.Reason})
}
