package devnet

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// DefaultPortBase is the first port of a stack. Every listener has a fixed
// place above it, so two stacks need bases that lie PortCount apart.
const DefaultPortBase = 8080

// PortCount is how many ports a stack takes from its base.
const PortCount = 22

// Ports are the ports of one stack, all on 127.0.0.1.
type Ports struct {
	API, APIOperator, WorkerOperator int
	TemporalUI, Postgres             int
	Temporal                         TemporalPorts
	Btcd                             BtcdPorts
	Merchant, Payer                  LndPorts
}

// PortsFrom lays a stack's ports out from base.
func PortsFrom(base int) Ports {
	return Ports{
		API: base, APIOperator: base + 1, WorkerOperator: base + 2,
		TemporalUI: base + 3, Postgres: base + 4,
		Temporal: TemporalPorts{
			Frontend: base + 5, HTTP: base + 6, History: base + 7, Matching: base + 8, Worker: base + 9,
			Membership: base + 10, // four in a row
		},
		Btcd:     BtcdPorts{RPC: base + 14, Peers: base + 15},
		Merchant: LndPorts{RPC: base + 16, REST: base + 17, Peers: base + 18},
		Payer:    LndPorts{RPC: base + 19, REST: base + 20, Peers: base + 21},
	}
}

// uses names what each port is for. Postgres is left out when it is not ours.
func (p Ports) uses(ownPostgres bool) []portUse {
	t := p.Temporal
	uses := []portUse{
		{p.API, "the API"}, {p.APIOperator, "the API's operator address"},
		{p.WorkerOperator, "the worker's operator address"},
		{p.TemporalUI, "the Temporal UI"},
		{t.Frontend, "Temporal"}, {t.HTTP, "Temporal's HTTP API"},
		{t.History, "Temporal's history service"}, {t.Matching, "Temporal's matching service"},
		{t.Worker, "Temporal's worker service"},
		{t.Membership, "Temporal's membership"}, {t.Membership + 1, "Temporal's membership"},
		{t.Membership + 2, "Temporal's membership"}, {t.Membership + 3, "Temporal's membership"},
		{p.Btcd.RPC, "btcd's RPC"}, {p.Btcd.Peers, "btcd's peers"},
		{p.Merchant.RPC, "lnd_merchant's gRPC"}, {p.Merchant.REST, "lnd_merchant's REST"},
		{p.Merchant.Peers, "lnd_merchant's peers"},
		{p.Payer.RPC, "lnd_payer's gRPC"}, {p.Payer.REST, "lnd_payer's REST"}, {p.Payer.Peers, "lnd_payer's peers"},
	}
	if ownPostgres {
		uses = append(uses, portUse{p.Postgres, "Postgres"})
	}

	return uses
}

// portUse is a port and what it is for.
type portUse struct {
	port int
	what string
}

// checkPorts refuses ports that something else listens on, all at once.
func checkPorts(uses []portUse) error {
	var busy []error
	for _, use := range uses {
		listener, err := net.Listen("tcp", address(use.port))
		if err == nil {
			_ = listener.Close()

			continue
		}
		by := portHolder(use.port)
		if by == "" {
			by = "another process"
		}
		busy = append(busy, fmt.Errorf("port %d (for %s) is taken by %s", use.port, use.what, by))
	}
	if len(busy) == 0 {
		return nil
	}

	return fmt.Errorf("%w\nstop what holds it, or choose other ports with --port-base (it takes %d from there)",
		errors.Join(busy...), PortCount)
}

// address is a port on loopback.
func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
