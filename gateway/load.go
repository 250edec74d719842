package gateway

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

// The variables that go before the file. The first two are the SDK's.
const (
	EnvConfig  = "LNTPAY_GATEWAY_CONFIG"
	EnvL402Key = "LNTPAY_L402_KEY"
)

// maxFileBytes bounds the file of settings and those that it names.
const maxFileBytes = 1 << 20

// Load reads the file of settings over the defaults and checks it. The error
// names whatever is unknown, missing or contradictory, all at once.
func Load(path string) (*Config, error) {
	if path == "" {
		path = os.Getenv(EnvConfig)
	}
	if path == "" {
		return nil, errors.New("gateway: no settings: --config or " + EnvConfig + " names the file")
	}
	text, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	cfg, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("gateway: %s: %w", path, err)
	}

	return cfg, nil
}

// Parse is Load of what is in the file.
func Parse(text []byte) (*Config, error) {
	cfg := Defaults()
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	if err := wholeNumbers(&document); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&cfg); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	for i := range cfg.Services {
		cfg.Services[i].setDefaults()
	}

	return &cfg, cfg.check()
}

// wholeNumbers refuses fractions, which the decoder would cut off: half a sat
// would be free.
func wholeNumbers(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!float" {
		return fmt.Errorf("line %d: %s is not a whole number (if it is a text, quote it)", node.Line, node.Value)
	}
	for _, child := range node.Content {
		if err := wholeNumbers(child); err != nil {
			return err
		}
	}

	return nil
}

func (s *Service) setDefaults() {
	if s.Auth == "" {
		s.Auth = authOn
	}
	if s.Resource == "" {
		s.Resource = resourcePath
	}
}

// LoadSecrets reads the keys, from the environment or the files that the
// settings name. Errors name the file or variable, never what is in it.
func (c *Config) LoadSecrets() (*Secrets, error) {
	var errs []error
	s := &Secrets{BaseURL: os.Getenv(lntpay.EnvBaseURL)}
	if s.BaseURL == "" {
		s.BaseURL = c.LNTPay.BaseURL
	}
	if s.BaseURL == "" {
		errs = append(errs, errors.New("lntpay.base_url or "+lntpay.EnvBaseURL+" is required"))
	}
	apiKey, err := secret(lntpay.EnvAPIKey, "lntpay.api_key_file", c.LNTPay.APIKeyFile)
	errs, s.APIKey = append(errs, err), apiKey
	key, err := secret(EnvL402Key, "l402.key_file", c.L402.KeyFile)
	if err == nil {
		s.Key, err = l402.ParseKey(key)
		err = named("l402.key_file or "+EnvL402Key, err)
	}
	errs = append(errs, err)
	for _, file := range c.L402.OldKeyFiles {
		old, err := secretFile("l402.old_key_files", file)
		if err == nil {
			var key l402.Key
			key, err = l402.ParseKey(old)
			err = named("l402.old_key_files: "+file, err)
			s.OldKeys = append(s.OldKeys, key)
		}
		errs = append(errs, err)
	}

	return s, errors.Join(errs...)
}

func named(name string, err error) error {
	if err == nil {
		return nil
	}

	return fmt.Errorf("%s: %w", name, err)
}

// secret is the variable's value, or what is in the file.
func secret(variable, setting, file string) (string, error) {
	if value := os.Getenv(variable); value != "" {
		return value, nil
	}
	if file == "" {
		return "", fmt.Errorf("%s or %s is required", setting, variable)
	}

	return secretFile(setting, file)
}

// forbiddenMode is what others than owner and group may do with a secret's
// file: nothing; and the group may not write it.
const forbiddenMode fs.FileMode = 0o027

func secretFile(setting, file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", setting, err)
	}
	if info.Mode().Perm()&forbiddenMode != 0 {
		return "", fmt.Errorf("%s: %s is open to others (mode %04o): chmod 600 or 640", setting, file, info.Mode().Perm())
	}
	text, err := readFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", setting, err)
	}
	value := strings.TrimSpace(string(text))
	if value == "" {
		return "", fmt.Errorf("%s: %s is empty", setting, file)
	}

	return value, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, maxFileBytes)
	}

	return os.ReadFile(path)
}

// CheckFiles reads the certificates that the settings name, which nothing else
// does before a start.
func (c *Config) CheckFiles() error {
	var errs []error
	if c.TLSCertFile != "" {
		if _, err := tls.LoadX509KeyPair(c.TLSCertFile, c.TLSKeyFile); err != nil {
			errs = append(errs, fmt.Errorf("tls_cert_file: %w", err))
		}
	}
	for _, s := range c.Services {
		if s.TLSCAFile != "" {
			if _, err := authorities(s.TLSCAFile); err != nil {
				errs = append(errs, fmt.Errorf("services (%s): %w", s.Name, err))
			}
		}
	}

	return errors.Join(errs...)
}
