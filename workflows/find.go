package workflows

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
)

// FoundCharge is what Temporal remembers of a charge, which the database may
// not know any more.
type FoundCharge struct {
	ID          string
	WorkspaceID string
}

// findAtOnce bounds the hashes of one query: Temporal bounds its length.
const findAtOnce = 50

// FindCharges asks Temporal which charges had these payment hashes. It finds
// those whose workflow is within the retention of the namespace, and only helps
// an operator to decide: whoever reaches Temporal can make it say anything.
func (s *Starter) FindCharges(ctx context.Context, hashes [][]byte) (map[string]FoundCharge, error) {
	found := map[string]FoundCharge{}
	for len(hashes) > 0 {
		n := min(findAtOnce, len(hashes))
		quoted := make([]string, n)
		for i, hash := range hashes[:n] {
			quoted[i] = "'" + hex.EncodeToString(hash) + "'"
		}
		hashes = hashes[n:]
		answer, err := s.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: fmt.Sprintf("WorkflowType = '%s' AND %s IN (%s)", NameCharge, AttrPaymentHash.GetName(), strings.Join(quoted, ", ")),
		})
		if err != nil {
			return found, fmt.Errorf("ask Temporal for charges: %w", err)
		}
		for _, one := range answer.GetExecutions() {
			fields := one.GetSearchAttributes().GetIndexedFields()
			var hash, workspace string
			if err := converter.GetDefaultDataConverter().FromPayload(fields[AttrPaymentHash.GetName()], &hash); err != nil {
				continue
			}
			if err := converter.GetDefaultDataConverter().FromPayload(fields[AttrWorkspaceID.GetName()], &workspace); err != nil {
				continue
			}
			found[hash] = FoundCharge{
				ID: strings.TrimPrefix(one.GetExecution().GetWorkflowId(), chargeIDPrefix), WorkspaceID: workspace,
			}
		}
	}

	return found, nil
}
