package api

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var openAPIYAML []byte

// OpenAPI is the description of the API, as YAML and without examples, which
// examples.json has.
func OpenAPI() []byte { return openAPIYAML }

// openAPIJSON is the same as JSON, with the recorded examples; made once at
// start.
func openAPIJSON() ([]byte, error) {
	var document object
	if err := yaml.Unmarshal(openAPIYAML, &document); err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: %w", err)
	}
	examples, err := Examples()
	if err == nil {
		err = withExamples(document, examples)
	}
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: %w", err)
	}

	return text, nil
}
