package load

import (
	"os"
	"testing"
)

// EnvSoak is set to 1 by `make soak`: all faults, for as long as they take.
const EnvSoak = "LNTPAY_SOAK"

// Soak reports whether all faults are to be made, also the long ones.
func Soak() bool { return os.Getenv(EnvSoak) == "1" }

// SkipUnlessSoak leaves a test of minutes to `make soak`.
func SkipUnlessSoak(t *testing.T) {
	t.Helper()
	if !Soak() {
		t.Skip("takes minutes: " + EnvSoak + "=1 (make soak) runs it")
	}
}
