package devnet

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

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
	text, err := os.ReadFile(state{dir: running.stateDir}.path(envFile))
	if err != nil {
		return fmt.Errorf("read the configuration of the running stack: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("adopt %s of the running stack: %w", name, err)
		}
	}

	return nil
}
