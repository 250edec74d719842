package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"time"

	"github.com/lntpay/lntpay/ledger/ledgerdb"
)

// The chain makes what is in the books unchangeable behind anybody's back. The
// transfers of a workspace are sealed in blocks, each with the hash of the one
// before; blocks and the rows of the audit trail are sealed in heads, each with
// the hash of the head before. Who knows one head's hash, kept elsewhere, can
// tell that nothing up to it was altered, removed, inserted or reordered.
//
// What is hashed is below, in two types: a number is 8 bytes, big endian, two's
// complement; a text is its length in bytes as a number, and its UTF-8 bytes. A
// time is a number, microseconds since 1970. Hashes are 32 bytes, as they are.
// docs/audit.md says the same to others, docs/audit/recompute.py does it: change
// all three or none, and only under another version.
const (
	blockDomain = "lntpay/ledger-block/v1"
	headDomain  = "lntpay/ledger-head/v1"
)

// hasher writes numbers and texts into a SHA-256.
type hasher struct {
	sum hash.Hash
	// buffer saves a call for each of the many small things.
	buffer []byte
}

const hasherBuffer = 8 << 10

func newHasher(domain string, previous []byte) *hasher {
	h := &hasher{sum: sha256.New(), buffer: make([]byte, 0, 2*hasherBuffer)}
	h.text(domain)
	h.raw(previous)

	return h
}

func (h *hasher) raw(b []byte) {
	h.buffer = append(h.buffer, b...)
	if len(h.buffer) >= hasherBuffer {
		h.sum.Write(h.buffer)
		h.buffer = h.buffer[:0]
	}
}

func (h *hasher) number(n int64) {
	h.raw(binary.BigEndian.AppendUint64(make([]byte, 0, 8), uint64(n)))
}

func (h *hasher) text(s string) {
	h.number(int64(len(s)))
	h.raw([]byte(s))
}

func (h *hasher) time(t time.Time) { h.number(t.UnixMicro()) }

func (h *hasher) end() []byte {
	h.sum.Write(h.buffer)

	return h.sum.Sum(nil)
}

// noHash is before the first block of a workspace, and before the first head.
func noHash() []byte { return make([]byte, sha256.Size) }

// hashBlock begins the hash of a block; its transfers follow, in order.
func hashBlock(b ledgerdb.LedgerBlock) *hasher {
	h := newHasher(blockDomain, b.Previous)
	h.text(b.WorkspaceID)
	h.number(b.Number)
	h.number(b.FirstSequence)
	h.number(b.LastSequence)
	h.time(b.SealedAt)

	return h
}

// transfer adds all columns of a transfer.
func (h *hasher) transfer(t *ledgerdb.Transfer) {
	h.text(t.WorkspaceID)
	h.number(t.Sequence)
	h.text(t.ID)
	h.text(t.Kind)
	h.text(t.Ref)
	h.number(int64(t.DebitAccount))
	h.number(int64(t.CreditAccount))
	h.number(t.AmountMsat)
	h.number(t.AvailableAfterMsat)
	h.number(t.LockedAfterMsat)
	h.time(t.CreatedAt)
}

// hashHead begins the hash of a head. Its blocks follow, by workspace and
// number, then its rows of the audit trail, by id.
func hashHead(head ledgerdb.LedgerHead) *hasher {
	h := newHasher(headDomain, head.Previous)
	h.number(head.Number)
	h.number(head.Blocks)
	h.number(head.Actions)
	h.time(head.SealedAt)

	return h
}

func (h *hasher) block(workspaceID string, number int64, hash []byte) {
	h.text(workspaceID)
	h.number(number)
	h.raw(hash)
}

// action is a row of the audit trail, all columns; detail is the text that
// Postgres gives for the jsonb.
type action struct {
	ID                            int64
	Actor, Action, Target, Reason string
	Detail                        string
	CreatedAt                     time.Time
}

func (h *hasher) action(a action) {
	h.number(a.ID)
	h.text(a.Actor)
	h.text(a.Action)
	h.text(a.Target)
	h.text(a.Reason)
	h.text(a.Detail)
	h.time(a.CreatedAt)
}
