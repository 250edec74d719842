package api

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/lntpay/lntpay/store/db"
)

const (
	// keyCacheSize bounds the keys that are remembered.
	keyCacheSize = 10_000
	// keyCacheTTL is how long a key revoked by another process may still work.
	keyCacheTTL = 30 * time.Second
)

// identity is who is calling.
type identity struct {
	id          string
	workspaceID string
	scopes      []string
	// expiresAt is the key's own end, by Postgres' clock.
	expiresAt *time.Time
	// goodUntil is the end of the cached entry, by this process' clock.
	goodUntil time.Time
}

// keyCache remembers keys by the hash of their secret. Unknown keys are not
// remembered: there are too many of them.
type keyCache struct {
	queries *db.Queries
	entries *lru.Cache[[sha256.Size]byte, identity]
	mu      sync.Mutex
	// generation counts purges: what was read before one is not kept after it.
	generation uint64
}

func newKeyCache(queries *db.Queries) *keyCache {
	entries, err := lru.New[[sha256.Size]byte, identity](keyCacheSize)
	if err != nil {
		panic(err) // Only for a size that is not positive.
	}

	return &keyCache{queries: queries, entries: entries}
}

// known reports whether the key was good when it was last asked for.
func (k *keyCache) known(hash [sha256.Size]byte) bool { return k.entries.Contains(hash) }

// find returns pgx.ErrNoRows for a key that is unknown, revoked or expired.
func (k *keyCache) find(ctx context.Context, hash [sha256.Size]byte) (identity, error) {
	if entry, hit := k.entries.Get(hash); hit && time.Now().Before(entry.goodUntil) {
		return entry, nil
	}
	k.mu.Lock()
	generation := k.generation
	k.mu.Unlock()
	asked := time.Now()
	row, err := k.queries.AuthenticateAPIKey(ctx, hash[:])
	if err != nil {
		return identity{}, err
	}
	entry := identity{
		id: row.ID, workspaceID: row.WorkspaceID, scopes: row.Scopes,
		expiresAt: row.ExpiresAt, goodUntil: asked.Add(keyCacheTTL),
	}
	// The rest of its life is measured by one clock and counted by the other.
	if row.ExpiresAt != nil && row.ExpiresAt.Sub(row.Now) < keyCacheTTL {
		entry.goodUntil = asked.Add(row.ExpiresAt.Sub(row.Now))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.generation == generation {
		k.entries.Add(hash, entry)
	}

	return entry, nil
}

// purge forgets every key: called when one was revoked, which is rare.
func (k *keyCache) purge() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.generation++
	k.entries.Purge()
}
