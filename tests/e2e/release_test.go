package e2e_test

import (
	"context"
	"os"

	"github.com/lntpay/lntpay/store/storetest"
	"github.com/lntpay/lntpay/tests/stack"
)

// envRecordRelease makes a run of all tests leave its database and statements
// as those of a release, for store.TestUpgrade: `make record-release`.
const envRecordRelease = "LNTPAY_RECORD_RELEASE"

func recordRelease(s *stack.Stack) error {
	if os.Getenv(envRecordRelease) == "" {
		return nil
	}
	_, err := storetest.Record(context.Background(), s.Config.Sandbox.DatabaseURL, "../../store/testdata/releases",
		"../../store/db", "../../ledger/ledgerdb")

	return err
}
