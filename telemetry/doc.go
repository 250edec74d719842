// Package telemetry is how the processes are looked into: structured logs that
// carry the ids of what they are about, and OpenTelemetry traces. Neither ever
// holds a secret: who logs or traces names ids only, and what leaves the process
// passes a fence that blanks whatever looks like a secret all the same.
//
// Metrics are not here: each package registers its own.
package telemetry
