package telemetry

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

// redacted stands where something looked like a secret.
const redacted = "[redacted]"

// secretShapes is what can be told by its look: API keys, webhook secrets, what
// follows an authorization scheme, the password of a DSN, macaroons of lnd
// (version 2, location "lnd", in hex or base64). A preimage looks like its hash:
// only its type (lightning.Preimage) and its name can hide it.
var secretShapes = regexp.MustCompile(`lnt_(?:sandbox|production)_[0-9A-Za-z_-]+` +
	`|whsec_[0-9A-Za-z+/=_-]+` +
	`|(?i:bearer|basic|l402|lsat) +[^\s",]+` +
	`|://[^\s/:@]*:[^\s/@]+@` +
	`|\b(?i:password)=[^\s"]+` +
	`|(?i:0201036c6e64)[0-9A-Fa-f]+` +
	`|AgEDbG5k[0-9A-Za-z+/=_-]+`)

// secretMarks are in whatever secretShapes can match: most texts have none, and
// looking for these costs a tenth.
var secretMarks = []string{"lnt_", "whsec_", "bearer ", "basic ", "l402 ", "lsat ", "://", "password=", "0201036c6e64", "agedbg5k"}

// secretNames end the names of attributes whose values are never shown.
var secretNames = []string{"secret", "password", "macaroon", "preimage", "authorization", "dsn", "database_url", "private_key"}

// Redact blanks what looks like a secret in a text.
func Redact(text string) string {
	lower := strings.ToLower(text)
	for _, mark := range secretMarks {
		if strings.Contains(lower, mark) {
			return secretShapes.ReplaceAllString(text, redacted)
		}
	}

	return text
}

// isSecretName reports whether a value is a secret by the name of its attribute.
func isSecretName(name string) bool {
	name = strings.ToLower(name)
	for _, secret := range secretNames {
		if strings.HasSuffix(name, secret) {
			return true
		}
	}

	return false
}

// redactAttr is slog's ReplaceAttr.
func redactAttr(_ []string, attr slog.Attr) slog.Attr {
	if isSecretName(attr.Key) {
		return slog.String(attr.Key, redacted)
	}
	switch attr.Value.Kind() {
	case slog.KindString:
		attr.Value = slog.StringValue(Redact(attr.Value.String()))
	case slog.KindAny:
		attr.Value = redactAny(attr.Value.Any())
	default: // Numbers and times tell nothing; slog has taken the others apart.
	}

	return attr
}

// redactAny writes what is neither text nor number as the JSON handler would,
// and blanks in that.
func redactAny(value any) slog.Value {
	switch value := value.(type) {
	case nil:
		return slog.AnyValue(nil)
	case error:
		return slog.StringValue(Redact(value.Error()))
	case *slog.Source, slog.Level:
		return slog.AnyValue(value)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return slog.StringValue(Redact(fmt.Sprint(value)))
	}
	if clean := Redact(string(text)); clean != string(text) {
		return slog.StringValue(clean)
	}

	return slog.AnyValue(json.RawMessage(text))
}
