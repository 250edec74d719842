package snippets

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// mainTerminal is where a block without terminal= runs.
const mainTerminal = "1"

// block is a fenced block of a page.
type block struct {
	// line is that of the fence, from 1.
	line     int
	language string
	terminal string
	// file is where the block is written to; quote is the file that it is of.
	file, quote string
	notRun      bool
	text        string
}

// command is a command and the output that the page shows for it.
type command struct {
	line int
	text string
	want string
}

var (
	fence = regexp.MustCompile("^```(.*)$")
	// indentedCommand is a command that would not be run.
	indentedCommand = regexp.MustCompile(`^(?: {4}|\t)(?:\$ |(?:\.lntpay/bin/lntpay|curl|make|go|node|npm|python3|lntpay|apt-get|export|docker) )`)
)

// parse reads the blocks of a page.
func parse(page string) ([]block, error) {
	var blocks []block
	var open *block
	for i, line := range strings.Split(page, "\n") {
		info := fence.FindStringSubmatch(line)
		switch {
		case info != nil && open == nil:
			made, err := newBlock(info[1], i+1)
			if err != nil {
				return nil, err
			}
			open = &made
		case info != nil:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		case indentedCommand.MatchString(line):
			return nil, fmt.Errorf("line %d: a command in an indented block is not run: use a fence", i+1)
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the block has no end", open.line)
	}

	return blocks, nil
}

func newBlock(info string, line int) (block, error) {
	words := strings.Fields(info)
	b := block{line: line, terminal: mainTerminal}
	if len(words) == 0 {
		return b, nil
	}
	b.language = words[0]
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		switch {
		case name == "terminal" && value != "":
			b.terminal = value
		case name == "file" && value != "":
			b.file = value
		case name == "quote" && value != "":
			b.quote = value
		case word == "not-run":
			b.notRun = true
		default:
			return b, fmt.Errorf("line %d: %q is not a word for a block", line, word)
		}
	}

	return b, nil
}

// isShell reports whether a block holds commands or a script.
func (b block) isShell() bool { return b.language == "sh" || b.language == "console" }

// commands splits a block. One without "$ " is a script and nil.
func (b block) commands() ([]command, error) {
	var all []command
	goesOn := false
	for i, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
		text, begins := strings.CutPrefix(line, "$ ")
		switch {
		case goesOn:
			all[len(all)-1].text += "\n" + line
		case begins:
			all = append(all, command{line: b.line + 1 + i, text: text})
		case len(all) > 0:
			all[len(all)-1].want += line + "\n"
		case strings.TrimSpace(line) != "" && strings.Contains(b.text, "\n$ "):
			return nil, fmt.Errorf("line %d: output before the first command", b.line+1+i)
		}
		goesOn = len(all) > 0 && (begins || goesOn) && strings.HasSuffix(line, `\`)
	}
	for i := range all {
		all[i].want = strings.TrimRight(all[i].want, "\n ")
	}
	if goesOn {
		return nil, errors.New("a command ends with a backslash")
	}

	return all, nil
}
