package compose

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
)

// shared is the project of a test binary.
var shared struct {
	once    sync.Once
	project *Project
	err     error
}

// Shared is the project that all tests of a package use; the first to ask brings
// it up, so that webhooks may go to this machine. It skips as Start does. The
// package's TestMain must call CloseShared.
func Shared(t testing.TB) *Project {
	t.Helper()
	skipWithoutDocker(t)
	shared.once.Do(func() {
		shared.project, shared.err = Open(context.Background(), Options{
			Env: map[string]string{
				"LNTPAY_WEBHOOKS_ALLOW_PRIVATE": "true",
				// Tests ask for many at once.
				"LNTPAY_SANDBOX_LIMITS_WITHDRAWALS_PER_SECOND": "0", "LNTPAY_SANDBOX_LIMITS_WORKSPACE_PER_SECOND": "0",
				"LNTPAY_SANDBOX_LIMITS_KEY_PER_SECOND": "0",
			},
		})
	})
	if shared.err != nil {
		t.Fatalf("compose: %v", shared.err)
	}

	return shared.project
}

// CloseShared removes the project of Shared. After a failure it shows the ends
// of the logs first, and with LNTPAY_COMPOSE_KEEP leaves it as it is.
func CloseShared(failed bool) error {
	p := shared.project
	if p == nil {
		return nil
	}
	if failed {
		fmt.Fprintf(os.Stderr, "the containers' logs:\n%s\n", p.Logs(context.Background()))
		if os.Getenv("LNTPAY_COMPOSE_KEEP") != "" {
			fmt.Fprintf(os.Stderr, "project %s goes on running: %s\n", p.Name, p.compose)

			return nil
		}
	}

	return p.Close()
}
