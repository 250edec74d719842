package snippets

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Page is a page that is run.
type Page struct {
	// Path is from the repository's root.
	Path string
	// Ports are the page's own. Each is a free one in a run; the first is also in
	// PORT, for programs that choose 3001 or so without it.
	Ports []string
}

// run is a page that runs.
type run struct {
	root     string
	place    *place
	known    known
	open     map[string]*terminal
	programs int
}

// Run runs a page on a stack.
func (s *Stack) Run(page Page) (err error) {
	text, err := os.ReadFile(filepath.Join(s.root, page.Path))
	if err != nil {
		return err
	}
	blocks, err := parse(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", page.Path, err)
	}
	place, err := s.newPlace(page)
	if err != nil {
		return err
	}
	defer place.close()
	r := &run{root: s.root, place: place, known: known{}, open: map[string]*terminal{}}
	defer func() {
		for _, t := range r.open {
			t.close()
		}
	}()
	for _, b := range blocks {
		if err := r.block(b); err != nil {
			return fmt.Errorf("%s:%d: %w", page.Path, b.line, err)
		}
	}

	return nil
}

// block does what a block is for.
func (r *run) block(b block) error {
	switch {
	case b.quote != "":
		return r.quotes(b)
	case b.file != "":
		return r.write(b.file, b.text)
	case b.notRun:
		return nil
	case b.isShell():
		return r.shell(b)
	case b.language == "js", b.language == "python", b.language == "go":
		return r.program(b)
	case b.terminal != mainTerminal:
		return r.later(b)
	}

	return nil
}

// quotes compares a block with the file that it is of.
func (r *run) quotes(b block) error {
	file, err := os.ReadFile(filepath.Join(r.root, b.quote))
	if err != nil {
		return err
	}
	if !strings.Contains("\n"+string(file), "\n"+b.text) {
		return fmt.Errorf("the block is not a part of %s", b.quote)
	}

	return nil
}

// write makes a file that the reader makes.
func (r *run) write(name, text string) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("file=%s is not here", name)
	}
	path := filepath.Join(r.place.folder, name)
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("file=%s is a file of the repository", name)
	}

	return os.WriteFile(path, []byte(r.place.ports(r.known.meant(text))), 0o600)
}

// program runs a block in another language.
func (r *run) program(b block) error {
	r.programs++
	name := fmt.Sprintf("snippet-%d", r.programs)
	command := ""
	switch b.language {
	case "js":
		name, command = name+".js", "node "
	case "python":
		name, command = name+".py", "python3 "
	case "go":
		if err := os.Mkdir(filepath.Join(r.place.folder, name), 0o700); err != nil {
			return err
		}
		name, command = name+"/main.go", "go run ./"
	}
	if err := r.write(name, b.text); err != nil {
		return err
	}
	b.text = command + name + "\n"

	return r.script(b)
}

func (r *run) terminal(name string) (*terminal, error) {
	if t := r.open[name]; t != nil {
		return t, nil
	}
	t, err := openTerminal(r.place.folder, r.place.scripts, r.place.env)
	if err == nil {
		r.open[name] = t
	}

	return t, err
}

// shell runs a block's commands, or the block as a script.
func (r *run) shell(b block) error {
	commands, err := b.commands()
	if err != nil {
		return err
	}
	if len(commands) == 0 {
		return r.script(b)
	}
	for i, c := range commands {
		last := i == len(commands)-1
		mayFail := !last && strings.HasPrefix(commands[i+1].text, "echo $?")
		if last && b.terminal != mainTerminal {
			err = r.startCommand(b.terminal, c)
		} else {
			err = r.command(b.terminal, c, mayFail)
		}
		if err != nil {
			return fmt.Errorf("line %d: $ %s: %w", c.line, c.text, err)
		}
	}

	return nil
}

func (r *run) script(b block) error {
	t, err := r.terminal(b.terminal)
	if err != nil {
		return err
	}
	if err := t.start(r.place.ports(r.known.meant(b.text))); err != nil {
		return err
	}
	output, err := t.finish()
	if err == nil && t.status != 0 {
		err = fmt.Errorf("the script ended with %d: %s", t.status, output)
	}

	return err
}

// command runs a command to its end.
func (r *run) command(in string, c command, mayFail bool) error {
	t, err := r.terminal(in)
	if err != nil {
		return err
	}
	if err := t.start(r.place.ports(r.known.meant(c.text))); err != nil {
		return err
	}
	output, err := t.finish()
	if err != nil {
		return err
	}
	if t.status != 0 && !mayFail {
		return fmt.Errorf("it ended with %d: %s", t.status, output)
	}
	_, err = r.known.compare(r.place.ports(c.want), output, false)

	return err
}

// startCommand starts a command and waits for what it must say; it may run on.
func (r *run) startCommand(in string, c command) error {
	t, err := r.terminal(in)
	if err != nil {
		return err
	}
	if err := t.start(r.place.ports(r.known.meant(c.text))); err != nil {
		return err
	}
	if c.want == "" {
		return nil
	}

	return r.await(t, c.want, commandTimeout)
}

// later waits for more output of a terminal.
func (r *run) later(b block) error {
	t := r.open[b.terminal]
	if t == nil {
		return fmt.Errorf("nothing runs in terminal %s", b.terminal)
	}

	return r.await(t, b.text, waitTimeout)
}

// await waits until a terminal has said what the page says, and takes it.
func (r *run) await(t *terminal, want string, limit time.Duration) error {
	want = r.place.ports(want)
	var end int
	differs := errors.New("it says nothing")
	err := t.wait(limit, func(output string, ended bool) bool {
		trimmed := strings.TrimLeft(output, "\n")
		// A line that has not ended could be longer than the page's.
		if !ended && !strings.HasSuffix(trimmed, "\n") {
			return false
		}
		end, differs = r.known.compare(want, trimmed, true)
		end += len(output) - len(trimmed)

		return differs == nil
	})
	if err != nil {
		return errors.Join(differs, err)
	}
	t.take(end)

	return nil
}

var port = regexp.MustCompile(`\b(127\.0\.0\.1|localhost):(80[89]\d|810[01])\b`)
