// Package worker assembles one environment's activities and workflows into
// Temporal workers, starts them and stops them gracefully. It holds no logic
// of payments.
package worker
