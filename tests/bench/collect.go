package main

import (
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// span is one of a trace; charge is the id that it names, if any.
type span struct {
	trace, id, parent string
	name, charge      string
	start, end        time.Time
}

// collector takes spans as OTLP over HTTP.
type collector struct {
	url  string
	stop func()

	mu    sync.Mutex
	spans []span
}

// mostSpans bounds what is kept; the rest is dropped.
const mostSpans = 1_000_000

// collect starts a collector on loopback.
func collect() (*collector, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &collector{url: "http://" + listener.Addr().String()}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: c}
	c.stop = func() { _ = server.Close() }
	go func() { _ = server.Serve(listener) }()

	return c, nil
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
	var batch collectorpb.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(body, &batch) != nil {
		w.WriteHeader(http.StatusBadRequest)

		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range batch.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, one := range scope.GetSpans() {
				if len(c.spans) < mostSpans {
					c.spans = append(c.spans, readSpan(one))
				}
			}
		}
	}
}

func readSpan(in *tracepb.Span) span {
	out := span{
		trace: hex.EncodeToString(in.GetTraceId()), id: hex.EncodeToString(in.GetSpanId()), parent: hex.EncodeToString(in.GetParentSpanId()),
		name: in.GetName(), start: time.Unix(0, int64(in.GetStartTimeUnixNano())), end: time.Unix(0, int64(in.GetEndTimeUnixNano())),
	}
	for _, attribute := range in.GetAttributes() {
		if attribute.GetKey() == "lntpay.charge_id" {
			out.charge = attribute.GetValue().GetStringValue()
		}
	}

	return out
}

// byTrace are the spans of each trace.
func (c *collector) byTrace() map[string][]span {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string][]span{}
	for _, one := range c.spans {
		all[one.trace] = append(all[one.trace], one)
	}

	return all
}

// byCharge are the spans of all traces in which a charge is named.
func (c *collector) byCharge() map[string][]span {
	all := map[string][]span{}
	for _, spans := range c.byTrace() {
		named := map[string]bool{}
		for _, one := range spans {
			if one.charge != "" && !named[one.charge] {
				named[one.charge] = true
				all[one.charge] = append(all[one.charge], spans...)
			}
		}
	}

	return all
}
