package gateway

import (
	"context"
	"errors"
	"fmt"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

// noCharge is the id of a charge that nobody has: the first of all.
const noCharge = "ch_00000000000000000000000000"

// CheckLNTPay is the Ready of a client: whether the API answers and knows the
// key. A key with charges:write alone may not read, which is an answer as well.
func CheckLNTPay(client *lntpay.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := client.Charges.Get(ctx, noCharge)
		if err == nil || errors.Is(err, lntpay.ErrNotFound) || errors.Is(err, lntpay.ErrForbidden) {
			return nil
		}

		return fmt.Errorf("gateway: LNTPay: %w", err)
	}
}
