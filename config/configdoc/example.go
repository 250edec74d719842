package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/lntpay/lntpay/config"
)

const exampleHead = `# Every setting, with its default. A line "#name: value" is a setting that keeps
# its default, or has none: take the # away to change it. The rest is what an
# installation has to say. A variable wins over this file: sandbox.node.address
# is LNTPAY_SANDBOX_NODE_ADDRESS. docs/configuration.md has all of it in tables.
#
# Written by ` + "`make generate`" + ` from the comments in config/config.go.
`

// given are the values that an installation has to choose, below the
// environment's name. A setting without a default that is not here stands in
// the file as a comment.
var given = map[string]string{ //nolint:gosec // PASSWORD stands for one.
	"database_url":             "postgres://lntpay:PASSWORD@127.0.0.1:5432/lntpay_%s",
	"migrate_database_url":     "postgres://lntpay_owner:PASSWORD@127.0.0.1:5432/lntpay_%s",
	"secrets_key_file":         "/etc/lntpay/%s/secrets.key",
	"preimage_key_file":        "/etc/lntpay/%s/preimage.key",
	"temporal.address":         "127.0.0.1:7233",
	"temporal.namespace":       "lntpay-%s",
	"node.name":                "%s-1",
	"node.tls_cert_file":       "/etc/lntpay/%s/tls.cert",
	"node.macaroon_file":       "/etc/lntpay/%s/receive.macaroon",
	"node.spend_macaroon_file": "/etc/lntpay/%s/spend.macaroon",
}

// differs are those values that differ by more than the environment's name.
var differs = map[string]string{
	"sandbox.node.network": "signet", "production.node.network": "mainnet",
	"sandbox.node.address": "127.0.0.1:10010", "production.node.address": "127.0.0.1:10009",
	"sandbox.node.pubkey": strings.Repeat("02", 33), "production.node.pubkey": strings.Repeat("03", 33),
}

// exampleYAML writes the whole file. Production's settings have no comments:
// they are sandbox's.
func exampleYAML(texts comments) (string, error) {
	var b strings.Builder
	b.WriteString(exampleHead)
	if err := writeSection(&b, reflect.ValueOf(config.Defaults()), "", texts); err != nil {
		return "", err
	}

	return b.String(), nil
}

// writeSection writes the fields of a struct, settings first.
func writeSection(b *strings.Builder, of reflect.Value, path string, texts comments) error {
	indent := strings.Repeat("  ", strings.Count(path, "."))
	for field, value := range of.Fields() {
		name := field.Tag.Get("koanf")
		if value.Kind() != reflect.Struct {
			if err := writeSetting(b, of.Type().Name(), field, value, path+name, indent, texts); err != nil {
				return err
			}
		}
	}
	for field, value := range of.Fields() {
		if value.Kind() != reflect.Struct {
			continue
		}
		name := field.Tag.Get("koanf")
		b.WriteString("\n")
		if err := comment(b, of.Type().Name(), field.Name, path, indent, texts); err != nil {
			return err
		}
		fmt.Fprintf(b, "%s%s:\n", indent, name)
		if err := writeSection(b, value, path+name+".", texts); err != nil {
			return err
		}
	}

	return nil
}

func writeSetting(
	b *strings.Builder, typeName string, field reflect.StructField, value reflect.Value, path, indent string, texts comments,
) error {
	if err := comment(b, typeName, field.Name, path, indent, texts); err != nil {
		return err
	}
	line, isGiven := fmt.Sprintf("%s: %s", field.Tag.Get("koanf"), scalar(value)), false
	if text, ok := givenValue(path); ok {
		line, isGiven = fmt.Sprintf("%s: %q", field.Tag.Get("koanf"), text), true
	}
	mark := "#"
	if isGiven {
		mark = ""
	}
	fmt.Fprintf(b, "%s%s%s\n", indent, mark, line)

	return nil
}

func givenValue(path string) (string, bool) {
	if text, ok := differs[path]; ok {
		return text, true
	}
	env, rest, _ := strings.Cut(path, ".")
	text, ok := given[rest]

	return strings.ReplaceAll(text, "%s", env), ok
}

// scalar writes a default as YAML reads it.
func scalar(value reflect.Value) string {
	switch value.Kind() {
	case reflect.String:
		return fmt.Sprintf("%q", value.String())
	case reflect.Slice:
		if value.Len() == 0 {
			return "[]"
		}
		list, _ := json.Marshal(value.Interface()) //nolint:errchkjson // Texts always become JSON, which YAML reads.

		return string(list)
	default:
		return fmt.Sprint(value.Interface())
	}
}

// comment writes a field's text, broken into lines.
func comment(b *strings.Builder, typeName, field, path, indent string, texts comments) error {
	if strings.HasPrefix(path, "production.") {
		return nil
	}
	text, err := texts.of(typeName, field)
	if err != nil {
		return err
	}
	line := indent + "#"
	for word := range strings.FieldsSeq(strings.ReplaceAll(text, "`", "")) {
		if len(line)+len(word) > 100 {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")

	return nil
}
