package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

// Target is where an API is, and a key for it.
type Target struct {
	BaseURL string
	APIKey  string
}

// Find looks for the API of a development stack that runs here.
type Find func() (Target, error)

// maxKeyFile is more than a key and a line's end.
const maxKeyFile = 4 << 10

// target says which API is meant. Flags come before the environment. A stack
// that runs here is taken only where neither address nor key is given: the key
// of one API must not go to another by mistake.
func (c *common) target() (Target, error) {
	given := Target{BaseURL: c.baseURL, APIKey: os.Getenv(lntpay.EnvAPIKey)}
	if given.BaseURL == "" {
		given.BaseURL = os.Getenv(lntpay.EnvBaseURL)
	}
	if c.keyFile != "" {
		key, err := readKey(c.keyFile)
		if err != nil {
			return given, err
		}
		given.APIKey = key
	}
	switch {
	case given.BaseURL != "" && given.APIKey != "":
		return given, nil
	case given.BaseURL != "":
		return given, fmt.Errorf("no API key: set %s or --api-key-file", lntpay.EnvAPIKey)
	case given.APIKey != "":
		return given, fmt.Errorf("no address of the API: set --base-url or %s", lntpay.EnvBaseURL)
	}
	found, err := c.find()
	if err != nil {
		return given, fmt.Errorf("no API is named: set %s and %s, or run this where `lntpay dev` runs (%w)",
			lntpay.EnvBaseURL, lntpay.EnvAPIKey, err)
	}

	return found, nil
}

func readKey(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("--api-key-file: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return "", fmt.Errorf("--api-key-file: %w", err)
	}
	key := bytes.TrimSpace(text)
	if len(key) == 0 {
		return "", errors.New("--api-key-file: " + path + " is empty")
	}

	return string(key), nil
}
