package store

import (
	"encoding/json"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// Withdrawal turns a row into the domain's withdrawal.
func (s *Store) Withdrawal(row db.Withdrawal) payments.Withdrawal {
	withdrawal := payments.Withdrawal{
		ID: row.ID, WorkspaceID: row.WorkspaceID, Environment: s.Environment,
		Kind: payments.WithdrawalKind(row.Kind), Status: payments.WithdrawalStatus(row.Status),
		UnderReview: row.ReviewReason != nil,
		AmountMsat:  payments.Msat(row.AmountMsat), MaxFeeMsat: payments.Msat(row.MaxFeeMsat),
		FeeMsat: payments.Msat(row.FeeMsat), PaymentHash: row.PaymentHash, Destination: row.Destination,
		Preimage: row.Preimage, Bolt11: row.Bolt11, Description: row.Description, ExternalID: row.ExternalID,
		CreatedAt: row.CreatedAt, CompletedAt: row.CompletedAt,
	}
	// The column only ever holds what json.Marshal wrote of such a map.
	_ = json.Unmarshal(row.Metadata, &withdrawal.Metadata)
	if row.FailureCode != nil {
		withdrawal.Failure = payments.FailureCode(*row.FailureCode)
	}
	if !withdrawal.Status.Closed() && row.SentAt != nil {
		withdrawal.InFlight = &payments.InFlight{
			Since: *row.SentAt, Sends: int(row.Sends), HTLCAttempts: int(row.HtlcAttempts),
			HTLCExpiryHeight: row.HtlcExpiryHeight, CheckedAt: row.CheckedAt,
		}
	}

	return withdrawal
}
