// Package rules tests deploy/prometheus and deploy/grafana with Prometheus' own
// parser and engine, as a module of its own: Prometheus needs much that the
// product does not. It reads files of the repository and imports none of its
// packages.
package rules
