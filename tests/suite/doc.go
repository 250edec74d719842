// Package suite is the end-to-end tests that a running product must pass
// wherever it runs. They know it as its clients, its operators and the rest of
// the Lightning network do: by its API, its database, its Temporal namespace and
// the nodes. A [Stack] says where those are; tests/e2e gives one in the test's
// process, tests/compose one in containers.
//
// Tests that reach into the worker, end it or end Temporal are in tests/e2e.
//
// The name of a test is its case's: go test ./tests/e2e -run '/TestPaidCharge$'.
package suite
