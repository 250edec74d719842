package workflows

import "sync"

// Answers tells the POSTs that wait in this process that a run of this process
// has answered their claim. Whoever is told reads the claim: nothing is lost
// when a word goes unheard, or comes for a claim that nobody waits for.
type Answers struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

// await gives a channel that is closed once the claim is answered here; stop
// ends the wait.
func (a *Answers) await(claimID string) (answered <-chan struct{}, stop func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting = map[string]chan struct{}{}
	}
	mine := make(chan struct{})
	a.waiting[claimID] = mine

	return mine, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.waiting[claimID] == mine {
			delete(a.waiting, claimID)
		}
	}
}

// Tell says that the claim has its answer. A nil Answers, where API and worker
// are processes of their own, has nobody to tell.
func (a *Answers) Tell(claimID string) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if waiting, ok := a.waiting[claimID]; ok {
		close(waiting)
		delete(a.waiting, claimID)
	}
}
