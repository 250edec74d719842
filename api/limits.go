package api

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/lntpay/lntpay/api/ratelimit"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
)

const (
	// ownLimitsTTL is how long a workspace's limits hold that an operator has
	// changed meanwhile, and ownLimitsCached of how many they are remembered.
	ownLimitsTTL    = 5 * time.Second
	ownLimitsCached = 10_000
	// ownLimitsTimeout bounds the question for them.
	ownLimitsTimeout = time.Second
)

// Words for what refused a request, in metrics and headers.
const (
	limitedByKey            = "key"
	limitedByWorkspace      = "workspace"
	limitedByWithdrawals    = "withdrawals"
	limitedByAddress        = "address"
	limitedByKeyWaits       = "key_waits"
	limitedByWorkspaceWaits = "workspace_waits"
	limitedByOpenCharges    = "open_charges"
)

// limits are those of an environment, as this process sees them.
type limits struct {
	defaults config.Limits
	queries  *db.Queries
	own      *lru.Cache[string, ownLimits]
	rates    *ratelimit.Limiter
	waits    *waits
	open     *openCharges
}

// ownLimits are a workspace's, its own ones in place of the defaults.
type ownLimits struct {
	values    map[string]int64
	goodUntil time.Time
}

func newLimits(defaults config.Limits, queries *db.Queries) *limits {
	own, err := lru.New[string, ownLimits](ownLimitsCached)
	if err != nil {
		panic(err) // Only for a size that is not positive.
	}

	return &limits{
		defaults: defaults, queries: queries, own: own, rates: ratelimit.New(queries), waits: newWaits(),
		open: newOpenCharges(queries),
	}
}

// overrides are a workspace's own limits. While Postgres is away they are the
// last known ones.
func (l *limits) overrides(ctx context.Context, workspaceID string) map[string]int64 {
	found, _ := l.own.Get(workspaceID)
	if time.Now().Before(found.goodUntil) {
		return found.values
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownLimitsTimeout)
	defer cancel()
	if values, err := store.Overrides(ctx, l.queries, workspaceID); err == nil {
		found.values = values
	}
	found.goodUntil = time.Now().Add(ownLimitsTTL)
	l.own.Add(workspaceID, found)

	return found.values
}

// of are the limits that hold for a workspace.
func (l *limits) of(ctx context.Context, workspaceID string) config.Limits {
	return l.defaults.With(l.overrides(ctx, workspaceID))
}

// maxAmount is the largest amount of one withdrawal of a workspace; the hold
// judges, this is for a quote.
func (c *call) maxAmount(ctx context.Context) payments.Msat {
	overrides := c.env.limits.overrides(ctx, c.key.workspaceID)
	if own, ok := overrides[store.LimitMaxAmountMsat]; ok {
		return payments.Msat(own)
	}

	return c.env.Payouts.MaxAmountMsat
}

// rated is one of the rates that a request counts against.
type rated struct {
	by, bucket string
	ratelimit.Rate
}

// rates are those of a request to the route; a rate of 0 is none.
func (c *call) rates(r route) []rated {
	own := c.env.limits.of(c.Request.Context(), c.key.workspaceID)
	all := []rated{
		{limitedByKey, "key/" + c.key.id, ratelimit.Rate{PerSecond: own.KeyPerSecond, Burst: own.KeyBurst}},
		{limitedByWorkspace, "workspace/" + c.key.workspaceID, ratelimit.Rate{
			PerSecond: own.WorkspacePerSecond, Burst: own.WorkspaceBurst,
		}},
	}
	if r.method == http.MethodPost && strings.HasPrefix(r.path, "/v1/withdrawals") {
		all = append(all, rated{limitedByWithdrawals, "withdrawals/" + c.key.workspaceID, ratelimit.Rate{
			PerSecond: own.WithdrawalsPerSecond, Burst: own.WithdrawalsBurst,
		}})
	}
	limited := all[:0]
	for _, one := range all {
		if one.PerSecond > 0 {
			limited = append(limited, one)
		}
	}

	return limited
}

// limitRate takes a token of each rate that the request counts against, or
// refuses it. It comes before anything is written, so a refusal has no effect
// and is remembered nowhere.
func (s *Server) limitRate(c *call, r route) error {
	rates := c.rates(r)
	policies, states := make([]string, 0, len(rates)), make([]string, 0, len(rates))
	for i, one := range rates {
		taken := c.env.limits.rates.Take(c.Request.Context(), one.bucket, one.Rate)
		if taken.Err != nil {
			s.log.WarnContext(c.Request.Context(), "rates are not limited, Postgres does not answer",
				"request_id", requestID(c.Context), "error", taken.Err)
		}
		state := fmt.Sprintf("%q;r=%d", one.by, taken.Remaining)
		if !taken.Allowed {
			state += ";t=" + wholeSeconds(taken.RetryAfter)
		}
		policies = append(policies, fmt.Sprintf("%q;q=%d;w=%d", one.by, one.Size(), one.Window()))
		states = append(states, state)
		c.Header("RateLimit-Policy", strings.Join(policies, ", "))
		c.Header("RateLimit", strings.Join(states, ", "))
		if taken.Allowed {
			continue
		}
		for _, unused := range rates[:i] {
			c.env.limits.rates.Return(unused.bucket)
		}
		c.Header("Retry-After", wholeSeconds(taken.RetryAfter))

		return s.rateLimited(one.by, fmt.Sprintf("The limit on %s is %d a second, %d at once.",
			rateWords[one.by], one.PerSecond, one.Size()))
	}

	return nil
}

var rateWords = map[string]string{
	limitedByKey: "requests of this API key", limitedByWorkspace: "requests of this workspace",
	limitedByWithdrawals: "withdrawals and quotes of this workspace",
}

// rateLimited is a 429, counted.
func (s *Server) rateLimited(by, detail string) error {
	s.metrics.limited.WithLabelValues(by).Inc()

	return payments.NewProblem(payments.CodeRateLimited, detail)
}

// wholeSeconds rounds up: a client that comes a moment too early is refused again.
func wholeSeconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}
