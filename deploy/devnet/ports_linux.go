package devnet

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// portHolder says which process listens on a TCP port, in words, or nothing
// when /proc does not tell us (another user's process).
func portHolder(port int) string {
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if inode, ok := listenerInode(line, port); ok {
				inodes["socket:["+inode+"]"] = true
			}
		}
	}
	if len(inodes) == 0 {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || !inodes[target] {
			continue
		}
		pid := strings.Split(link, "/")[2]
		name, _ := os.ReadFile("/proc/" + pid + "/comm")

		return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
	}

	return ""
}

// listenerInode reads one line of /proc/net/tcp (proc(5)): local address in
// the second field, state in the fourth (0A is LISTEN), inode in the tenth.
func listenerInode(line string, port int) (string, bool) {
	fields := strings.Fields(line)
	if len(fields) < 10 || fields[3] != "0A" {
		return "", false
	}
	_, hex, _ := strings.Cut(fields[1], ":")
	got, err := strconv.ParseUint(hex, 16, 16)

	return fields[9], err == nil && int(got) == port
}
