package main

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/lntpay/lntpay/config"
)

// marked is a table's place: what its marker names, and what is between that
// and the end's. A setting stands in the table whose name is the longest
// beginning of its path; `settings: *` takes the rest. Production's are
// sandbox's.
var marked = regexp.MustCompile(`(?s)<!-- settings: (\S+) -->\n(.*?)<!-- end of settings -->\n`)

// fillPage writes the tables of a page anew.
func fillPage(page string, texts comments) (string, error) {
	var names []string
	for _, found := range marked.FindAllStringSubmatch(page, -1) {
		names = append(names, found[1])
	}
	tables := map[string]string{}
	for _, setting := range config.Settings() {
		if strings.HasPrefix(setting.Path, "production.") {
			continue
		}
		row, err := tableRow(setting, texts)
		if err != nil {
			return "", err
		}
		name, ok := tableOf(setting.Path, names)
		if !ok {
			return "", fmt.Errorf("no marker takes %s", setting.Path)
		}
		tables[name] += row
	}

	return marked.ReplaceAllStringFunc(page, func(place string) string {
		name := marked.FindStringSubmatch(place)[1]

		return "<!-- settings: " + name + " -->\n| setting, variable | default | unit | meaning |\n|---|---|---|---|\n" +
			tables[name] + "<!-- end of settings -->\n"
	}), nil
}

// tableOf chooses a setting's table.
func tableOf(path string, names []string) (string, bool) {
	best, found := "", slices.Contains(names, "*")
	for _, name := range names {
		if strings.HasPrefix(path, name+".") && len(name) > len(best) {
			best, found = name, true
		}
	}
	if best == "" {
		best = "*"
	}

	return best, found
}

func tableRow(setting config.Setting, texts comments) (string, error) {
	text, err := texts.of(setting.Type, setting.Field)
	if err != nil {
		return "", err
	}
	preset := "none"
	if !unset(setting.Default) {
		preset = fmt.Sprintf("`%v`", setting.Default)
	}

	return fmt.Sprintf("| `%s`<br>`%s` | %s | %s | %s |\n", setting.Path, setting.Variable, preset,
		unit(setting), strings.ReplaceAll(text, "|", `\|`)), nil
}

// unset reports whether nothing is the default. A number's 0 is a value, and
// so is no.
func unset(value any) bool {
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.String, reflect.Slice:
		return v.Len() == 0
	default:
		return false
	}
}

// units are the ends of names.
var units = []struct{ suffix, unit string }{
	{"_msat", "msat"}, {"_sats", "sat"}, {"_ppm", "millionths"}, {"_blocks", "blocks"}, {"_bytes", "bytes"},
	{"_per_s", "per second"}, {"_per_second", "per second"}, {"_per_minute", "per minute"}, {"_per_hour", "per hour"},
	{"_ms", "ms"}, {"_s", "s"}, {"_seconds", "s"}, {"_minutes", "minutes"}, {"_hours", "hours"}, {"_days", "days"},
	{"_percent", "%"}, {"_url", "URL"}, {"_file", "path"}, {"_files", "paths"},
	{"_certs", "paths"}, {"listen", "host:port"}, {"address", "host:port"},
}

// unit reads it off the name, or says what kind of value it is.
func unit(setting config.Setting) string {
	for _, u := range units {
		if strings.HasSuffix(setting.Path, u.suffix) {
			return u.unit
		}
	}
	switch reflect.TypeOf(setting.Default).Kind() {
	case reflect.Bool:
		return "`true` or `false`"
	case reflect.String:
		return "text"
	case reflect.Slice:
		return "list"
	case reflect.Float32, reflect.Float64:
		return "number"
	default:
		return "count"
	}
}
