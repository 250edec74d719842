package payments

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.jetify.com/typeid"
)

// Prefixes of the public ids. An id is its prefix, an underscore and the
// 26-character Crockford base32 of a UUIDv7 (the TypeID format), so ids of one
// kind sort by the time they were made.
const (
	PrefixWorkspace  = "ws"
	PrefixKey        = "key"
	PrefixCharge     = "ch"
	PrefixWithdrawal = "wd"
	PrefixEndpoint   = "we"
	PrefixEvent      = "evt"
	PrefixDelivery   = "dlv"
	PrefixTransfer   = "txf"
	// The sandbox's: an invoice of the payer node, and a payment of a charge.
	PrefixSandboxInvoice = "sbi"
	PrefixSandboxPayment = "sbp"
)

// suffixChars is the length of what follows the underscore.
const suffixChars = 26

// NewID makes a fresh id with one of the prefixes above. It panics only when
// the system's source of randomness fails. The UUID is google/uuid's, which
// orders those of one millisecond too: typeid's own, of gofrs/uuid, begins its
// sequence of 12 bits anywhere, and falls back to zero in between.
func NewID(prefix string) string {
	fresh, err := uuid.NewV7()
	if err != nil {
		panic(fmt.Sprintf("payments: new %s id: %v", prefix, err))
	}
	id, err := typeid.FromUUIDBytesWithPrefix(prefix, fresh[:])
	if err != nil {
		panic(fmt.Sprintf("payments: new %s id: %v", prefix, err))
	}

	return id.String()
}

// FirstID is below every id of the prefix that was made at that moment or later,
// and above those before it: ids sort by the clock, in whole milliseconds, of
// who made them.
func FirstID(prefix string, at time.Time) string {
	var first [16]byte
	ms := uint64(at.UnixMilli()) << 16
	binary.BigEndian.PutUint64(first[:8], ms)
	id, err := typeid.FromUUIDBytesWithPrefix(prefix, first[:])
	if err != nil {
		panic(fmt.Sprintf("payments: first %s id: %v", prefix, err))
	}

	return id.String()
}

// ValidID reports whether id is a well-formed id with the given prefix.
func ValidID(prefix, id string) bool {
	// By its length too: a TypeID's prefix may have underscores of its own.
	if !strings.HasPrefix(id, prefix+"_") || len(id) != len(prefix)+1+suffixChars {
		return false
	}
	_, err := typeid.FromString(id)

	return err == nil
}
