package l402

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// ErrNoCredential means that a request carries no L402 token at all.
var ErrNoCredential = errors.New("l402: no credential")

// maxCredentials is how many tokens of a request are looked at.
const maxCredentials = 4

// Credential is a token with the proof that it was paid.
type Credential struct {
	Macaroon *Macaroon
	Preimage Preimage
}

// String is what follows "Authorization: ".
func (c *Credential) String() string {
	return "L402 " + c.Macaroon.String() + ":" + hex.EncodeToString(c.Preimage[:])
}

// FromHeader reads the tokens of a request: from Authorization, under the
// scheme L402 or its former name LSAT, and from the headers of Aperture's gRPC
// clients, whose macaroon (in hex) has the preimage as a caveat. The error is
// [ErrNoCredential], or [Malformed] if none of them can be read.
func FromHeader(header http.Header) ([]*Credential, error) {
	var found []*Credential
	tried := false
	for _, value := range header.Values("Authorization") {
		scheme, token, _ := strings.Cut(strings.TrimSpace(value), " ")
		if !strings.EqualFold(scheme, "L402") && !strings.EqualFold(scheme, "LSAT") {
			continue
		}
		tried = true
		found = append(found, parseTokens(strings.TrimSpace(token))...)
	}
	for _, value := range slices.Concat(header.Values("Macaroon"), header.Values("Grpc-Metadata-Macaroon")) {
		tried = true
		if credential := parsePaidMacaroon(value); credential != nil {
			found = append(found, credential)
		}
	}
	switch {
	case !tried:
		return nil, ErrNoCredential
	case len(found) == 0:
		return nil, ErrMalformed
	case len(found) > maxCredentials:
		found = found[:maxCredentials]
	}

	return found, nil
}

// ParseAuthorization reads the value of an Authorization header.
func ParseAuthorization(value string) ([]*Credential, error) {
	return FromHeader(http.Header{"Authorization": {value}})
}

// parseTokens reads <macaroon>[,<macaroon>…]:<preimage>.
func parseTokens(text string) (found []*Credential) {
	macaroons, hexPreimage, _ := strings.Cut(text, ":")
	preimage, err := ParsePreimage(hexPreimage)
	if err != nil {
		return nil
	}
	for _, one := range strings.SplitN(macaroons, ",", maxCredentials+1) {
		if macaroon, err := ParseMacaroon(one); err == nil {
			found = append(found, &Credential{macaroon, preimage})
		}
	}

	return found
}

// parsePaidMacaroon reads a macaroon that carries its preimage.
func parsePaidMacaroon(text string) *Credential {
	if hex.DecodedLen(len(text)) > MaxMacaroonBytes {
		return nil
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil
	}
	macaroon, err := unmarshal(raw)
	if err != nil {
		return nil
	}
	for _, caveat := range macaroon.Caveats {
		if caveat.Condition != condPreimage {
			continue
		}
		if preimage, err := ParsePreimage(caveat.Value); err == nil {
			return &Credential{macaroon, preimage}
		}
	}

	return nil
}

// Challenge is what an answer 402 asks for.
type Challenge struct {
	Macaroon *Macaroon
	// Invoice is the bolt11 to pay.
	Invoice string
}

// String is the WWW-Authenticate header. It says the macaroon twice: token is
// the name in today's specification, macaroon the one that clients know.
func (c Challenge) String() string {
	token := c.Macaroon.String()

	return fmt.Sprintf(`L402 version="0", token="%s", macaroon="%s", invoice="%s"`, token, token, c.Invoice)
}

// SetHeader adds the challenge to an answer: as L402, and in the older form
// that Aperture's clients look for, which has no other parameters
// (aperture v0.3.8 l402/client_interceptor.go, authHeaderRegex).
func (c Challenge) SetHeader(header http.Header) {
	header.Add("WWW-Authenticate", c.String())
	header.Add("WWW-Authenticate", fmt.Sprintf(`LSAT macaroon="%s", invoice="%s"`, c.Macaroon, c.Invoice))
}

var parameter = regexp.MustCompile(`(?i)\b(token|macaroon|invoice)="([^"]*)"`)

// ParseChallenge finds the challenge in an answer's WWW-Authenticate headers.
func ParseChallenge(header http.Header) (Challenge, error) {
	for _, value := range header.Values("WWW-Authenticate") {
		scheme, parameters, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, "L402") && !strings.EqualFold(scheme, "LSAT") {
			continue
		}
		var challenge Challenge
		for _, match := range parameter.FindAllStringSubmatch(parameters, -1) {
			if strings.EqualFold(match[1], "invoice") {
				challenge.Invoice = match[2]
			} else if macaroon, err := ParseMacaroon(match[2]); err == nil {
				challenge.Macaroon = macaroon
			}
		}
		if challenge.Macaroon != nil && challenge.Invoice != "" {
			return challenge, nil
		}
	}

	return Challenge{}, errors.New("l402: the answer has no challenge")
}
