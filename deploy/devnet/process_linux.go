package devnet

import "syscall"

// attributes puts a child into a process group of its own, so that Ctrl-C
// reaches only us and we stop the children in order, and has the kernel signal
// it when we die, so that nothing survives a kill -9 of the supervisor.
func attributes(user *User, orphaned syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: orphaned, Credential: credential(user)}
}
