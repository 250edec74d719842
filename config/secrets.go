package config

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/lntpay/lntpay/payments"
)

// readSecrets puts what is in the files of secrets where their settings are, as
// mounts of Docker and Kubernetes want it. No error quotes a file's content.
func (c *Config) readSecrets() error {
	var errs []error
	for name, env := range map[payments.Environment]*Environment{payments.Sandbox: &c.Sandbox, payments.Production: &c.Production} {
		for _, secret := range []struct {
			setting, file string
			value         *string
		}{
			{"database_url", env.DatabaseURLFile, &env.DatabaseURL},
			{"migrate_database_url", env.MigrateDatabaseURLFile, &env.MigrateDatabaseURL},
		} {
			if secret.file == "" {
				continue
			}
			path := string(name) + "." + secret.setting
			if *secret.value != "" {
				errs = append(errs, fmt.Errorf("%s and %s_file are both set: give one", path, path))

				continue
			}
			text, err := os.ReadFile(secret.file)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s_file: %w", path, err))

				continue
			}
			if *secret.value = strings.TrimRight(string(text), "\r\n"); *secret.value == "" {
				errs = append(errs, fmt.Errorf("%s_file: %s is empty", path, secret.file))
			}
		}
	}

	return errors.Join(errs...)
}
