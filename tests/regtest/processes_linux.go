package regtest

import "syscall"

// attributes put a child into a group of its own and end it with the test
// process, also when that is killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
