package api

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var openAPIYAML []byte

// OpenAPI is the description of the API, as YAML.
func OpenAPI() []byte { return openAPIYAML }

// openAPIJSON is the same as JSON, made once at start.
func openAPIJSON() ([]byte, error) {
	var document map[string]any
	if err := yaml.Unmarshal(openAPIYAML, &document); err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: %w", err)
	}
	text, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: %w", err)
	}

	return text, nil
}
