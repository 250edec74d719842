package l402

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Caveat is a condition that a token is bound to, written "condition=value".
type Caveat struct{ Condition, Value string }

// bare is the condition of a caveat without "=". It stays what it is on the
// wire, means nothing to us, and is skipped like every unknown one.
const bare = ""

func (c Caveat) String() string {
	if c.Condition == bare {
		return c.Value
	}

	return c.Condition + "=" + c.Value
}

func parseCaveat(text string) Caveat {
	condition, value, found := strings.Cut(text, "=")
	if !found || condition == "" {
		return Caveat{bare, text}
	}

	return Caveat{condition, value}
}

// ParseCaveat reads "condition=value".
func ParseCaveat(text string) (caveat Caveat, ok bool) {
	caveat = parseCaveat(text)

	return caveat, caveat.Condition != bare
}

// Conditions that mean something to us. Those with a leading underscore follow
// the name of the service (macaroon-spec.md, "Standard Caveat Types"); resource
// and amount are LNTPay's own.
const (
	condServices     = "services"
	condPreimage     = "preimage"
	condValidUntil   = "_valid_until"
	condCapabilities = "_capabilities"
	condResource     = "_resource"
	condAmount       = "_amount_msat"
)

// Services limits a token to services, at their base tier.
func Services(names ...string) Caveat {
	tiers := make([]string, len(names))
	for i, name := range names {
		tiers[i] = name + ":0"
	}

	return Caveat{condServices, strings.Join(tiers, ",")}
}

// ValidUntil ends a token. It is rounded down to whole seconds.
func ValidUntil(service string, end time.Time) Caveat {
	return Caveat{service + condValidUntil, strconv.FormatInt(end.Unix(), 10)}
}

// Capabilities limits a token to some of what a service can do.
func Capabilities(service string, names ...string) Caveat {
	return Caveat{service + condCapabilities, strings.Join(names, ",")}
}

// Resource limits a token to one resource, whatever the service calls so.
func Resource(service, resource string) Caveat { return Caveat{service + condResource, resource} }

// Amount says what a token has cost, in millisatoshi: it opens nothing that
// costs more.
func Amount(service string, msat int64) Caveat {
	return Caveat{service + condAmount, strconv.FormatInt(msat, 10)}
}

// list reads a comma-separated value. The tier of a service is dropped: none
// but the base tier has a meaning here.
func list(value string) []string {
	names := strings.Split(value, ",")
	for i, name := range names {
		name, _, _ = strings.Cut(name, ":")
		names[i] = strings.TrimSpace(name)
	}

	return names
}

func subset(narrow, wide string) bool {
	allowed := list(wide)

	return !slices.ContainsFunc(list(narrow), func(name string) bool { return !slices.Contains(allowed, name) })
}

// number is a value that is a whole number; a token with another is refused.
func number(value string) (int64, bool) {
	n, err := strconv.ParseInt(value, 10, 64)

	return n, err == nil && n >= 0
}

func noMore(narrow, wide string) bool {
	n, okN := number(narrow)
	w, okW := number(wide)

	return okN && okW && n <= w
}
