package gateway_test

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/gateway"
)

// settings are the names of a struct's settings, and of the structs in it.
func settings(of reflect.Value, prefix string, into map[string]string) {
	for field, value := range of.Fields() {
		name := prefix + field.Tag.Get("yaml")
		if value.Kind() == reflect.Struct {
			settings(value, name+".", into)
		} else {
			into[name] = fmt.Sprint(value.Interface())
		}
	}
}

// docs/gateway.md has a row for every setting, with its default, and none for
// anything else; its examples are good.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/gateway.md")
	require.NoError(t, err)
	page := string(text)
	_, tables, found := strings.Cut(page, "## Settings")
	require.True(t, found)
	tables, _, found = strings.Cut(tables, "## What the upstream sees")
	require.True(t, found)
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\| ([^|]*) \\|").FindAllStringSubmatch(tables, -1) {
		for _, name := range regexp.MustCompile("`([a-z_0-9.]+)`").FindAllStringSubmatch(row[1], -1) {
			documented[name[1]] = strings.Trim(row[2], "`")
		}
	}
	want := map[string]string{}
	settings(reflect.ValueOf(gateway.Defaults()), "", want)
	settings(reflect.ValueOf(gateway.Service{}), "", want)
	for name, value := range want {
		require.Contains(t, documented, name)
		if strings.HasPrefix(name, "limits.") || strings.HasSuffix(name, "listen") || name == "log_level" {
			require.Equal(t, value, documented[name], name)
		}
	}
	for name := range documented {
		require.Contains(t, want, name)
	}
	_, examples, _ := strings.Cut(page, "## Examples")
	blocks := regexp.MustCompile(`(?m)(^    .*\n)+`).FindAllString(examples, -1)
	require.Len(t, blocks, 3)
	for _, block := range blocks {
		_, err := gateway.Parse([]byte(block))
		require.NoError(t, err, block)
	}
}
