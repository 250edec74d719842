//go:build unix

package devnet

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// startAndWait starts a program and waits for it on a thread of its own. The
// parent-death signal comes when the thread that started a child ends, not
// only when the process does (prctl(2), golang/go#27505), so that thread has
// to live as long as the child.
func startAndWait(cmd *exec.Cmd) (<-chan error, error) {
	started, exit := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			exit <- cmd.Wait()
		}
	}()

	return exit, <-started
}

// killGroup ends a program and everything it started.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// credential is the user of a child; nil is ours.
func credential(user *User) *syscall.Credential {
	if user == nil {
		return nil
	}

	return &syscall.Credential{Uid: user.UID, Gid: user.GID}
}

// canEnter reports whether the permission bits let u enter a folder.
func (u *User) canEnter(info os.FileInfo) bool {
	mode, stat := info.Mode().Perm(), info.Sys()
	owner, ok := stat.(*syscall.Stat_t)
	switch {
	case ok && owner.Uid == u.UID:
		return mode&0o100 != 0
	case ok && owner.Gid == u.GID:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}
