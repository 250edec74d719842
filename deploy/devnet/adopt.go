package devnet

import (
	"errors"
	"fmt"
	"os"

	"github.com/lntpay/lntpay/cli"
)

// Target is the API of the running stack, found from the working directory, for
// the commands of people who use the API.
func Target() (cli.Target, error) {
	running, err := FindRunning("")
	if err != nil {
		return cli.Target{}, err
	}

	return cli.Target{BaseURL: running.APIURL, APIKey: running.APIKeys.Sandbox}, nil
}

// AdoptEnvironment makes the configuration of the running stack, if the
// working directory has one, that of this process: any command run inside the
// repository finds the stack without flags. Without a stack it does nothing.
func AdoptEnvironment() error {
	running, err := FindRunning("")
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	env, err := running.Environ()
	if err != nil {
		return err
	}
	for name, value := range env {
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("adopt %s of the running stack: %w", name, err)
		}
	}

	return nil
}
