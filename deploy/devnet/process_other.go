//go:build unix && !linux

package devnet

import "syscall"

// attributes puts a child into a process group of its own. Only Linux can end
// children with their parent.
func attributes(user *User, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: credential(user)}
}
