package activities

import "time"

// SetClocks replaces the clocks by which a sender knows how old its licence is:
// the one that is never set, and the wall clock. nil are the machine's.
func (a *Withdrawals) SetClocks(read func() (running time.Duration, wall time.Time)) {
	if read == nil {
		a.now = nil

		return
	}
	a.now = func() moment {
		running, wall := read()

		return moment{running: running, wall: wall}
	}
}
