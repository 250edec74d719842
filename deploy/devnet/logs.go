package devnet

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A log file is rotated when a stack starts and emptied when a process that is
// started again finds it too long; a program appends to it directly, so it
// goes on logging even when we are gone.
const (
	longestLog = 32 << 20
	tailBytes  = 2 << 10
)

// rotateLog keeps the log of the stack's run before as NAME.1.
func rotateLog(path string) error {
	if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("rotate a log: %w", err)
	}

	return nil
}

// openLog opens a log for appending.
func openLog(path string) (*os.File, error) {
	if path == "" {
		path = os.DevNull
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the log folder: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.Size() > longestLog {
		_ = os.Truncate(path, 0)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a log: %w", err)
	}

	return file, nil
}

// logTail is the end of a log, indented, for an error message.
func logTail(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err == nil && info.Size() > tailBytes {
		_, _ = file.Seek(-tailBytes, io.SeekEnd)
	}
	text, _ := io.ReadAll(io.LimitReader(file, tailBytes))
	lines := strings.TrimSpace(string(text))

	return "    " + strings.ReplaceAll(lines, "\n", "\n    ")
}
