package load

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/lntpay/lntpay/webhooks"
)

// receiver is a merchant's webhook endpoint.
type receiver struct {
	url string

	mu     sync.Mutex
	secret string
	// first is when an event arrived for the first time, by its id.
	first  map[string]time.Time
	all    int
	forged int
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{first: map[string]time.Time{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL

	return r
}

// ServeHTTP takes an event, if its signature over the raw body is right.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || request.Header.Get(webhooks.HeaderSignature) != OwnSignature(r.secret, body) {
		r.forged++
		w.WriteHeader(http.StatusBadRequest)

		return
	}
	r.all++
	id := request.Header.Get(webhooks.HeaderStandardID)
	if _, again := r.first[id]; !again {
		r.first[id] = time.Now()
	}
}

// OwnSignature is x-lntpay-signature, computed as the contract says.
func OwnSignature(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body)

	return hex.EncodeToString(mac.Sum(nil))
}

// arrived tells when each event came first, how many came in all and how many
// had a wrong signature.
func (r *receiver) arrived() (first map[string]time.Time, all, forged int) {
	r.mu.Lock()
	defer r.mu.Unlock()

	return maps.Clone(r.first), r.all, r.forged
}
