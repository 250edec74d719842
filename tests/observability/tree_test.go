package observability_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// mentions reports whether a span is about a payment.
func mentions(span tracetest.SpanStub, id string) bool {
	return slices.ContainsFunc([]string{"lntpay.charge_id", "lntpay.withdrawal_id"}, func(key string) bool {
		for _, attr := range span.Attributes {
			if string(attr.Key) == key && attr.Value.AsString() == id {
				return true
			}
		}

		return false
	})
}

// traces are the traces about a payment that begin with the span of a name,
// whole.
func traces(spans tracetest.SpanStubs, id, root string) [][]tracetest.SpanStub {
	about, byTrace := map[trace.TraceID]bool{}, map[trace.TraceID][]tracetest.SpanStub{}
	for _, span := range spans {
		of := span.SpanContext.TraceID()
		about[of] = about[of] || mentions(span, id)
		byTrace[of] = append(byTrace[of], span)
	}
	var found [][]tracetest.SpanStub
	for of, all := range byTrace {
		begins := slices.ContainsFunc(all, func(span tracetest.SpanStub) bool {
			return span.Name == root && !span.Parent.IsValid()
		})
		if about[of] && begins {
			found = append(found, all)
		}
	}

	return found
}

// tree writes a trace as text: each span below its parent, in the order of their
// beginnings, with its length and when it began after the trace did.
func tree(spans []tracetest.SpanStub) string {
	slices.SortFunc(spans, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	children := map[trace.SpanID][]tracetest.SpanStub{}
	for _, span := range spans {
		children[span.Parent.SpanID()] = append(children[span.Parent.SpanID()], span)
	}
	var out strings.Builder
	var write func(parent trace.SpanID, depth int)
	write = func(parent trace.SpanID, depth int) {
		for _, span := range children[parent] {
			name := strings.Repeat("  ", depth) + span.Name
			fmt.Fprintf(&out, "%-62s %9s  at %9s\n", name, ms(span.EndTime.Sub(span.StartTime)),
				ms(span.StartTime.Sub(spans[0].StartTime)))
			write(span.SpanContext.SpanID(), depth+1)
		}
	}
	write(trace.SpanID{}, 0)

	return out.String()
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// paths are the names in a tree from its root down, each way once: how often a
// step was taken is chance, that it was is not.
func paths(tree string) []string {
	var all, above []string
	for line := range strings.Lines(tree) {
		name := strings.TrimRight(line[:min(len(line), 62)], " \n")
		depth := (len(name) - len(strings.TrimLeft(name, " "))) / 2
		above = append(above[:min(depth, len(above))], strings.TrimSpace(name))
		path := strings.Join(above, " > ")
		// The watcher and the charge's run both ask for the credit: which of them,
		// and so which trace, gets the transaction, changes from run to run.
		if strings.Contains(path, " > settle batch") || strings.Contains(path, "RunActivity:SettleCharge > ") {
			continue
		}
		all = append(all, path)
	}
	slices.SortFunc(all, cmp.Compare[string])

	return slices.Compact(all)
}
