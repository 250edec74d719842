package tools

import (
	"context"
	"fmt"
	"io"
)

// Print builds the named tools, or those of the development stack, and writes
// their paths to out, one a line in the order asked for. Progress goes to
// progress, so that a Makefile can take the output.
func Print(ctx context.Context, out, progress io.Writer, args []string) error {
	names := Stack()
	if len(args) > 0 {
		names = names[:0]
	}
	for _, arg := range args {
		if !Name(arg).Valid() {
			return fmt.Errorf("there is no tool %q; the tools are %v", arg, All())
		}
		names = append(names, Name(arg))
	}
	built, err := Build(ctx, func(line string) { _, _ = fmt.Fprintln(progress, line) }, names...)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := fmt.Fprintln(out, built[name]); err != nil {
			return fmt.Errorf("print the paths: %w", err)
		}
	}

	return nil
}
