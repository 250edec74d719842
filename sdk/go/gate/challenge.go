package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

// mintTimeout is what a charge may take, with its retries. A client waits.
const mintTimeout = 5 * time.Second

// LNTPay's limits on a charge.
const (
	maxDescriptionBytes   = 639
	maxMetadataValueBytes = 500
)

// challenge answers with an invoice, and the token that paying it makes good.
func (g *Gate) challenge(w http.ResponseWriter, r *http.Request, asked l402.Request, reason l402.Reason) {
	charge, macaroon, err := g.mint(r, asked)
	if err != nil {
		g.fail(w, r, err)

		return
	}
	detail := "Pay the invoice, and repeat the request with macaroon and preimage."
	if reason != none {
		detail = fmt.Sprintf("The token is no longer good (%s). Pay the invoice for a new one.", reason)
	}
	l402.Challenge{Macaroon: macaroon, Invoice: charge.Bolt11}.SetHeader(w.Header())
	answer(w, r, &problem{
		Status: http.StatusPaymentRequired, Code: codePaymentRequired, Detail: detail, Reason: reason,
		AmountMsat: asked.AmountMsat, Invoice: charge.Bolt11, Macaroon: macaroon.String(), ExpiresAt: charge.ExpiresAt, ChargeID: charge.ID,
	})
}

// mint makes the charge of a request and its token.
func (g *Gate) mint(r *http.Request, asked l402.Request) (*lntpay.Charge, *l402.Macaroon, error) {
	select {
	case g.minting <- struct{}{}:
		defer func() { <-g.minting }()
	default:
		return nil, nil, &unavailableError{detail: "Too many invoices are being made."}
	}
	// A client that leaves does not stop LNTPay: if it freed the place, nothing
	// would bound how many charges are in the making.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), mintTimeout)
	defer cancel()
	charge, err := g.config.Charges.Create(ctx, g.chargeParams(r, asked))
	if err == nil && (charge == nil || charge.Bolt11 == "") {
		err = errors.New("gate: the charge has no invoice")
	}
	if err != nil {
		return nil, nil, &unavailableError{"No invoice can be made now.", fmt.Errorf("gate: make a charge: %w", err)}
	}
	macaroon, err := g.config.Key.Mint(charge.ID, charge.PaymentHash, g.caveats(asked)...)
	if err != nil {
		return nil, nil, fmt.Errorf("gate: mint a token: %w", err)
	}

	return charge, macaroon, nil
}

// caveats bind a token to what was asked for. It lives from now, when its invoice
// is there: from when the request came, it could end before the invoice.
func (g *Gate) caveats(asked l402.Request) []l402.Caveat {
	caveats := []l402.Caveat{
		l402.Services(asked.Service), l402.Resource(asked.Service, asked.Resource),
		l402.ValidUntil(asked.Service, time.Now().Add(g.config.Lifetime)), l402.Amount(asked.Service, asked.AmountMsat),
	}
	if len(g.config.Capabilities) > 0 {
		caveats = append(caveats, l402.Capabilities(asked.Service, g.config.Capabilities...))
	}

	return caveats
}

func (g *Gate) chargeParams(r *http.Request, asked l402.Request) lntpay.ChargeParams {
	metadata := map[string]string{}
	maps.Copy(metadata, g.config.Metadata(r))
	metadata["l402_service"], metadata["l402_resource"] = asked.Service, cut(asked.Resource, maxMetadataValueBytes)

	return lntpay.ChargeParams{
		AmountMsat: asked.AmountMsat, Description: cut(g.config.Description(r), maxDescriptionBytes),
		ExpiresIn: g.config.InvoiceExpiry, Metadata: metadata,
	}
}

// cut is as much of a text as fits, in whole characters.
func cut(text string, bytes int) string {
	if len(text) > bytes {
		text = text[:bytes]
	}

	return strings.ToValidUTF8(text, "")
}
