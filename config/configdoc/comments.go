package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
)

// comments are the texts of fields, by type and field: "Node.Address".
type comments map[string]string

// of gives a field's text; every field has one.
func (c comments) of(typeName, field string) (string, error) {
	text := c[typeName+"."+field]
	if text == "" {
		return "", fmt.Errorf("%s.%s has no comment in package config", typeName, field)
	}

	return text, nil
}

// readComments reads those of all structs of a package.
func readComments(dir string) (comments, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	all := comments{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if structure, ok := spec.Type.(*ast.StructType); ok {
				all.add(spec.Name.Name, structure)
			}

			return false
		})
	}

	return all, nil
}

func (c comments) add(typeName string, structure *ast.StructType) {
	for _, field := range structure.Fields.List {
		for _, name := range field.Names {
			if text := strings.TrimSpace(field.Doc.Text()); text != "" {
				c[typeName+"."+name.Name] = meaning(name.Name, text)
			}
		}
	}
}

// meaning is a comment as one line without the field's name, which Go wants
// in front: "Level is debug or info." is "debug or info".
func meaning(field, text string) string {
	text = strings.Join(strings.Fields(text), " ")
	text = strings.TrimPrefix(text, field+" ")
	for _, verb := range []string{"is ", "are "} {
		text = strings.TrimPrefix(text, verb)
	}

	return strings.TrimSuffix(text, ".")
}
