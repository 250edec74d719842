package main

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// newRegistry has what every kind of process tells: the Go runtime, the process
// and the build.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "lntpay_build_info", Help: "1; its labels say what was built: version of the module, commit, version of Go.",
	}, []string{"version", "commit", "go"})
	ofVersion, ofCommit, ofGo := buildLabels(debug.ReadBuildInfo())
	build.WithLabelValues(ofVersion, ofCommit, ofGo).Set(1)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build)

	return registry
}

// Set by `-ldflags "-X main.version=… -X main.commit=…"` where the toolchain has
// no repository to read them from, as in an image.
var version, commit string

// buildLabels are version, commit and the version of Go, as the linker or the
// toolchain has written them into the binary; "unknown" where neither has.
func buildLabels(info *debug.BuildInfo, ok bool) (string, string, string) {
	builtVersion, builtCommit := "unknown", "unknown"
	if ok && info.Main.Version != "" {
		builtVersion = info.Main.Version
	}
	if ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				builtCommit = setting.Value
			}
		}
	}

	return cmp.Or(version, builtVersion), cmp.Or(commit, builtCommit), runtime.Version()
}
