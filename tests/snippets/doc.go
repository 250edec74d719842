// Package snippets runs the documentation: every command of a page, in its
// order, against a running development stack, and compares what comes out with
// what the page says.
//
// A fenced block is one of these:
//
//   - sh or console with lines that begin with "$ ": commands, each with the
//     output that it must have. A line that ends with a backslash goes on.
//   - sh without such lines: a script, which must end with 0.
//   - js, python or go: a program that is run from a file of its own.
//   - anything else, such as json and text: not run.
//
// Words after the language change that:
//
//   - terminal=2: in a second terminal. Its last command may run on; then the
//     output is waited for. A text block with it waits for more output.
//   - file=app.js: the block is written to this file and not run.
//   - quote=docs/x/app.js: the block is that file, or a part of it, word for
//     word; run it by a command.
//   - not-run: for what installs packages, the start of the stack, and what
//     another test runs.
//
// Output is compared as text. A line that begins with a space goes on the line
// before it, so that JSON can be wrapped. "…" stands for anything. Ids, keys,
// secrets, invoices, hashes and times need only be of the same kind; what the
// page shows for one of them is replaced by the real one in later commands, so
// a page reads as one run of it.
//
// A command may fail if the next one is "echo $?". Ports from 8080 are those
// of the stack; a page's own ports are in the table of pages_test.go.
package snippets
