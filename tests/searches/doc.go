// Package searches runs the saved searches of docs/temporal-ui.md on a real
// Temporal server, with the real workflows and activities that only play.
package searches
