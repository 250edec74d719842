// Package gateway is `lntpay gateway`: a reverse proxy that puts prices on HTTP
// services. It is a client of the LNTPay API and nothing more: it makes charges
// through the Go SDK, judges tokens with sdk/go/gate, and holds no state that
// must outlive it.
//
// A request goes through these files:
//
//   - path.go refuses paths that two servers may read in two ways,
//   - service.go finds the service, and what the path is there (price, free, unsold),
//   - serve.go admits it or has it answered, and says what became of it,
//   - forward.go hands it to the upstream, headers.go says with which headers.
//
// config.go has the settings, load.go and check.go read and check them.
package gateway
