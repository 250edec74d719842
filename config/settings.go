package config

import (
	"reflect"
	"strings"
)

// A Setting is one thing that can be set.
type Setting struct {
	// Path is its dotted path, such as sandbox.node.address.
	Path string
	// Variable is the environment variable that sets it.
	Variable string
	// Type and Field name what holds it, such as Node and Address.
	Type, Field string
	// Default is its value when nothing sets it.
	Default any
}

// Settings are all of them, in the order of Config's fields.
func Settings() []Setting { return settingsOf(reflect.ValueOf(Defaults()), "") }

func settingsOf(of reflect.Value, prefix string) []Setting {
	var all []Setting
	for field, value := range of.Fields() {
		path := prefix + field.Tag.Get("koanf")
		if value.Kind() == reflect.Struct {
			all = append(all, settingsOf(value, path+".")...)

			continue
		}
		all = append(all, Setting{
			Path: path, Variable: envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_")),
			Type: of.Type().Name(), Field: field.Name, Default: value.Interface(),
		})
	}

	return all
}
