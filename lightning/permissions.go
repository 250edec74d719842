package lightning

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/lightningnetwork/lnd/lnrpc"
	"google.golang.org/protobuf/proto"
	"gopkg.in/macaroon.v2"
)

// uriEntity is lnd's entity for permission to make one call
// (macaroons/service.go, PermissionEntityCustomURI).
const uriEntity = "uri"

// operations are what lnd asks for a call from a macaroon that is not made of
// URIs, such as its own invoice.macaroon (rpcserver.go, MainRPCServerPermissions;
// the subservers' macPermissions). A test holds them against a real lnd.
var operations = map[string]string{
	"/lnrpc.Lightning/AddInvoice":          "invoices:write",
	"/lnrpc.Lightning/LookupInvoice":       "invoices:read",
	"/lnrpc.Lightning/ListInvoices":        "invoices:read",
	"/lnrpc.Lightning/SubscribeInvoices":   "invoices:read",
	"/lnrpc.Lightning/ListChannels":        "offchain:read",
	"/lnrpc.Lightning/PendingChannels":     "offchain:read",
	"/lnrpc.Lightning/ChannelBalance":      "offchain:read",
	"/lnrpc.Lightning/WalletBalance":       "onchain:read",
	"/lnrpc.Lightning/ListPayments":        "offchain:read",
	"/lnrpc.Lightning/QueryRoutes":         "info:read",
	"/lnrpc.Lightning/GetInfo":             "info:read",
	"/lnrpc.Lightning/DecodePayReq":        "offchain:read",
	"/verrpc.Versioner/GetVersion":         "info:read",
	"/invoicesrpc.Invoices/CancelInvoice":  "invoices:write",
	"/invoicesrpc.Invoices/AddHoldInvoice": "invoices:write",
	"/invoicesrpc.Invoices/SettleInvoice":  "invoices:write",
	"/routerrpc.Router/SendPaymentV2":      "offchain:write",
	"/routerrpc.Router/TrackPaymentV2":     "offchain:read",
	"/routerrpc.Router/TrackPayments":      "offchain:read",
}

// Allowance is what a macaroon allows against what is needed.
type Allowance struct {
	// Missing are URIs that are needed and not allowed.
	Missing []string
	// Beyond are what is allowed and not needed: URIs, and lnd's broad
	// permissions, such as "onchain:write".
	Beyond []string
}

// errNotLnds means that a file holds no macaroon, or none that lnd made.
var errNotLnds = errors.New("not a macaroon of lnd's")

// ReadAllowance reads what a macaroon says of itself (its id lists the
// operations that it was baked for) and compares. It does not ask the node: the
// macaroon may have expired or been revoked all the same. No error quotes the
// file's content.
func ReadAllowance(file string, needed []string) (Allowance, error) {
	allowed, err := readOperations(file)
	if err != nil {
		return Allowance{}, err
	}
	var a Allowance
	for _, uri := range needed {
		broad, known := operations[uri]
		if !slices.Contains(allowed, uriEntity+":"+uri) && (!known || !slices.Contains(allowed, broad)) {
			a.Missing = append(a.Missing, uri)
		}
	}
	for _, operation := range allowed {
		uri, isURI := strings.CutPrefix(operation, uriEntity+":")
		if !isURI || !slices.Contains(needed, uri) {
			a.Beyond = append(a.Beyond, uri)
		}
	}

	return a, nil
}

// readOperations are a macaroon's, as entity:action.
func readOperations(file string) ([]string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var read macaroon.Macaroon
	// Neither library's errors are told: they may quote what they read.
	if read.UnmarshalBinary(raw) != nil || len(read.Id()) < 2 {
		return nil, fmt.Errorf("%s: %w", file, errNotLnds)
	}
	// The first byte is the version of the bakery's id (bakery/oven.go).
	var id lnrpc.MacaroonId
	if proto.Unmarshal(read.Id()[1:], &id) != nil || len(id.Ops) == 0 {
		return nil, fmt.Errorf("%s: %w", file, errNotLnds)
	}
	var all []string
	for _, op := range id.Ops {
		for _, action := range op.Actions {
			all = append(all, op.Entity+":"+action)
		}
	}

	return all, nil
}
