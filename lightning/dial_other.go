//go:build !linux

package lightning

import (
	"syscall"
	"time"
)

// setUserTimeout does nothing: the option is Linux's own. Keepalive and the
// watchdog remain.
func setUserTimeout(syscall.RawConn, time.Duration) error { return nil }
