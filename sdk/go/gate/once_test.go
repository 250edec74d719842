package gate_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/lntpay/lntpay/sdk/go/gate"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

func once(c *gate.Config) { c.Once = true }

func TestOnceOfManyAtATime(t *testing.T) {
	t.Parallel()
	b := open(t, once)
	credential := b.pay(t, b.get("/"))
	var admitted atomic.Int32
	b.next = func(http.ResponseWriter, *http.Request) { admitted.Add(1) }
	var all sync.WaitGroup
	var statuses [100]int
	for i := range statuses {
		all.Go(func() { statuses[i] = b.get("/", credential).StatusCode })
	}
	all.Wait()
	counts := map[int]int{}
	for _, status := range statuses {
		counts[status]++
	}
	equal(t, 1, admitted.Load())
	equal(t, 1, counts[http.StatusOK])
	// Of the others some found all places for new charges taken.
	equal(t, 99, counts[http.StatusPaymentRequired]+counts[http.StatusServiceUnavailable])
	refused(t, b.get("/", credential), http.StatusPaymentRequired, "payment_required", "used")
}

// panicking is a source that does worse than fail.
type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic(http.ErrAbortHandler) }

func TestWhatUsesATokenUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		next http.HandlerFunc
		used bool
	}{
		"200":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("paid")) }, true},
		"nothing": {func(http.ResponseWriter, *http.Request) {}, true},
		"404":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, true},
		"500":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, false},
		"503":     {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "away", http.StatusServiceUnavailable) }, false},
		"hints, then 502": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusBadGateway)
		}, false},
		"a source that fails, then 502": {func(w http.ResponseWriter, _ *http.Request) {
			if _, err := io.Copy(w, iotest.ErrReader(errTest)); err != nil {
				http.Error(w, "away", http.StatusBadGateway)
			}
		}, false},
		"a source that fails in its midst": {func(w http.ResponseWriter, _ *http.Request) {
			if _, err := io.Copy(w, io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errTest))); err != nil {
				http.Error(w, "away", http.StatusBadGateway)
			}
		}, true},
		"a source that panics in its midst": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.MultiReader(strings.NewReader("half"), panicking{}))
		}, true},
		"a panic": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false},
		"200, then a panic": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("much of it"))
			panic(http.ErrAbortHandler)
		}, true},
		"500, then a panic": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			panic(http.ErrAbortHandler)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, once)
			credential, ok := b.pay(t, b.get("/")), b.next
			b.next = test.next
			func() {
				defer func() {
					if thrown := recover(); thrown != nil && thrown != http.ErrAbortHandler {
						t.Error("another panic: ", thrown)
					}
				}()
				b.get("/", credential)
			}()
			b.next = ok
			answer := b.get("/", credential)
			if test.used {
				refused(t, answer, http.StatusPaymentRequired, "payment_required", "used")

				return
			}
			equal(t, http.StatusOK, answer.StatusCode)
			refused(t, b.get("/", credential), http.StatusPaymentRequired, "payment_required", "used")
		})
	}
}

// Whoever narrows a used token in time has the wider one still.
func TestANarrowedTokenIsRememberedAsLongAsItWasMintedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, once)
		wide := b.pay(t, b.get("/"))
		narrow := &l402.Credential{
			Macaroon: wide.Macaroon.Attenuate(l402.ValidUntil("lntpay", time.Now().Add(2*time.Minute))), Preimage: wide.Preimage,
		}
		equal(t, http.StatusOK, b.get("/", narrow).StatusCode)
		time.Sleep(30 * time.Minute)
		refused(t, b.get("/", wide), http.StatusPaymentRequired, "payment_required", "used")
		time.Sleep(30 * time.Minute)
		refused(t, b.get("/", wide), http.StatusPaymentRequired, "payment_required", "expired")
	})
}

func TestASecondTokenIsTakenIfTheFirstIsUsed(t *testing.T) {
	t.Parallel()
	b := open(t, once)
	first, second := b.pay(t, b.get("/")), b.pay(t, b.get("/"))
	for range 2 {
		equal(t, http.StatusOK, b.get("/", first, second).StatusCode)
	}
	refused(t, b.get("/", first, second), http.StatusPaymentRequired, "payment_required", "used")
}

func TestAFullMemoryAdmitsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, func(c *gate.Config) { c.Once, c.Uses = true, gate.NewMemory(2) })
		tokens := []*l402.Credential{b.pay(t, b.get("/")), b.pay(t, b.get("/")), b.pay(t, b.get("/"))}
		for _, token := range tokens[:2] {
			equal(t, http.StatusOK, b.get("/", token).StatusCode)
		}
		answer := b.get("/", tokens[2])
		refused(t, answer, http.StatusServiceUnavailable, "service_unavailable", "")
		equal(t, "1", answer.Header.Get("Retry-After"))
		refused(t, b.get("/", tokens[0]), http.StatusPaymentRequired, "payment_required", "used")
		time.Sleep(61*time.Minute + time.Second)
		equal(t, http.StatusOK, b.get("/", b.pay(t, b.get("/"))).StatusCode)
	})
}

// lost is a store of uses that does not answer.
type lost struct{ takes bool }

func (l lost) Take(ctx context.Context, _ string, until time.Time) (bool, error) {
	if l.takes && time.Until(until) > time.Hour {
		return true, nil
	}
	<-ctx.Done()

	return true, ctx.Err()
}

func (lost) GiveBack(ctx context.Context, _ string) error {
	<-ctx.Done()

	return ctx.Err()
}

func TestAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, func(c *gate.Config) { c.Once, c.Uses = true, lost{} })
		refused(t, b.get("/", b.pay(t, b.get("/"))), http.StatusServiceUnavailable, "service_unavailable", "")
		b = open(t, func(c *gate.Config) { c.Once, c.Uses = true, lost{takes: true} })
		b.next = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
		equal(t, http.StatusBadGateway, b.get("/", b.pay(t, b.get("/"))).StatusCode)
		if b.log.Len() == 0 {
			t.Fatal("nobody was told")
		}
	})
}

// left is a store whose client leaves while it is asked.
type left struct {
	gate.Uses

	leave context.CancelFunc
}

func (l left) Take(ctx context.Context, id string, until time.Time) (bool, error) {
	first, err := l.Uses.Take(ctx, id, until)
	l.leave()
	if ctx.Err() != nil {
		err = ctx.Err()
	}

	return first, err
}

func TestAClientThatLeavesWhileTheStoreIsAskedKeepsItsToken(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	b := open(t, func(c *gate.Config) { c.Once, c.Uses = true, left{gate.NewMemory(0), leave} })
	credential, ran := b.pay(t, b.get("/")), 0
	b.next = func(http.ResponseWriter, *http.Request) { ran++ }
	refused(t, b.do(request(http.MethodGet, "/", credential).WithContext(ctx)), http.StatusServiceUnavailable, "service_unavailable", "")
	equal(t, 0, ran)
	equal(t, http.StatusOK, b.get("/", credential).StatusCode)
	equal(t, 1, ran)
	equal(t, "", b.log.String())
}

func TestMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, uses := t.Context(), gate.NewMemory(0)
		take := func(id string, until time.Time) bool {
			first, err := uses.Take(ctx, id, until)
			noError(t, err)

			return first
		}
		end := time.Now().Add(time.Hour)
		for _, id := range []string{"c", "a", "b"} {
			equal(t, true, take(id, end.Add(time.Duration(id[0])*time.Second)))
			equal(t, false, take(id, end))
		}
		equal(t, true, take("for ever", time.Time{}))
		for range 3 {
			noError(t, uses.GiveBack(ctx, "a"))
		}
		equal(t, true, take("a", end))
		time.Sleep(time.Hour + time.Second)
		equal(t, true, take("a", end.Add(time.Hour)))
		equal(t, false, take("b", end))
		time.Sleep(300 * time.Hour)
		equal(t, true, take("b", end))
		equal(t, false, take("for ever", end))
	})
}
