package docs_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/store"
)

// Each kind of finding has its section in the runbook, and no other has one.
func TestEveryFindingHasItsSection(t *testing.T) {
	t.Parallel()
	var sections []string
	for line := range strings.SplitSeq(read(t, "docs/runbooks/invariant_broken.md"), "\n") {
		if kind, ok := strings.CutPrefix(line, "### "); ok {
			sections = append(sections, kind)
		}
	}
	require.ElementsMatch(t, append(store.FindingKinds(), activities.FindingKinds()...), sections)
}
