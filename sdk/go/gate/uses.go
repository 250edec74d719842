package gate

import (
	"container/heap"
	"context"
	"errors"
	"math"
	"sync"
	"time"
)

// Uses remembers which tokens were used. Several processes that take the same
// tokens need one that they share.
type Uses interface {
	// Take notes the use of a token. Of all calls with an id exactly one is told
	// that it is the first, until the use is given back. It may be forgotten after
	// until, when no gate takes the token any longer; never if that is zero.
	Take(ctx context.Context, id string, until time.Time) (first bool, err error)
	// GiveBack forgets a use whose request came to nothing.
	GiveBack(ctx context.Context, id string) error
}

// errFull means that no more uses can be remembered.
var errFull = errors.New("gate: the memory of used tokens is full")

// memory is Uses of one process.
type memory struct {
	limit int

	mu   sync.Mutex
	byID map[string]*use
	// ends has the same uses, the one that ends first in front.
	ends byEnd
}

// use is one use of a token. Its end is in Unix seconds.
type use struct {
	id    string
	end   int64
	index int
}

// NewMemory is Uses of one process, for at most limit tokens at a time;
// [DefaultMaxUses] if that is not positive. Beyond it there is an error, which
// the gate answers 503: nothing is forgotten early. It forgets when the process
// ends.
func NewMemory(limit int) Uses {
	if limit <= 0 {
		limit = DefaultMaxUses
	}

	return &memory{limit: limit, byID: map[string]*use{}}
}

// Take notes a use.
func (m *memory) Take(_ context.Context, id string, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().Unix()
	for len(m.ends) > 0 && m.ends[0].end < now {
		m.forget(m.ends[0])
	}
	if m.byID[id] != nil {
		return false, nil
	}
	if len(m.ends) >= m.limit {
		return false, errFull
	}
	taken := &use{id: id, end: math.MaxInt64}
	if !until.IsZero() {
		taken.end = until.Unix()
	}
	m.byID[id] = taken
	heap.Push(&m.ends, taken)

	return true, nil
}

// GiveBack forgets a use.
func (m *memory) GiveBack(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if taken := m.byID[id]; taken != nil {
		m.forget(taken)
	}

	return nil
}

func (m *memory) forget(taken *use) {
	heap.Remove(&m.ends, taken.index)
	delete(m.byID, taken.id)
}

// byEnd is a heap.Interface.
type byEnd []*use

func (b *byEnd) Len() int { return len(*b) }

func (b *byEnd) Less(i, j int) bool { return (*b)[i].end < (*b)[j].end }

func (b *byEnd) Swap(i, j int) {
	uses := *b
	uses[i], uses[j] = uses[j], uses[i]
	uses[i].index, uses[j].index = i, j
}

func (b *byEnd) Push(x any) {
	if added, ok := x.(*use); ok {
		added.index = len(*b)
		*b = append(*b, added)
	}
}

func (b *byEnd) Pop() any {
	last := len(*b) - 1
	removed := (*b)[last]
	(*b)[last] = nil
	*b = (*b)[:last]

	return removed
}
