package snippets

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// kind is a kind of word that differs from run to run.
type kind struct {
	name string
	// word finds what a page shows, and the end of it may be cut off by "…".
	word string
	// same is what a run may have instead, given the page's.
	same func(word string) string
	// kept says that later commands mean the run's.
	kept bool
}

func always(pattern string) func(string) string { return func(string) string { return pattern } }

// kinds in the order in which they are tried at each place of a text.
func kinds() []kind {
	return []kind{
		{"time", `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z`, always(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z`), false},
		{"key", `lnt_(?:sandbox|production)_[0-9A-Za-z]{8,}…?`, func(word string) string {
			return strings.Join(strings.SplitN(word, "_", 3)[:2], "_") + `_[0-9A-Za-z]{49}`
		}, true},
		{"secret", `whsec_[A-Za-z0-9+/=]{8,}…?`, always(`whsec_[A-Za-z0-9+/=]{32,}`), true},
		{"id", `[a-z]+_[0-9a-z]{26}`, func(word string) string {
			prefix, _, _ := strings.Cut(word, "_")

			return prefix + `_[0-9a-z]{26}`
		}, true},
		{"invoice", `ln(?:bcrt|bc|tbs|tb)[0-9a-z]{8,}…?`, func(word string) string {
			// What is before the last 1 of bech32 is the network and the amount.
			return regexp.QuoteMeta(word[:strings.Index(word, "1p")+1]) + `[0-9a-z]+`
		}, true},
		{"hash", `[0-9a-f]{64}`, always(`[0-9a-f]{64}`), true},
		{"cut word", `[A-Za-z0-9+/_=-]{6,}…`, always(`[A-Za-z0-9+/_=-]+`), true},
		{"long word", `[A-Za-z0-9+/_-]{40,}={0,2}`, always(`[A-Za-z0-9+/_-]+={0,2}`), true},
		{"anything", `…`, always(`.*?`), false},
	}
}

// words finds the words of all kinds, the n-th as the n-th group.
var words = func() *regexp.Regexp {
	var all []string
	for _, k := range kinds() {
		all = append(all, "("+k.word+")")
	}

	return regexp.MustCompile(strings.Join(all, "|"))
}()

// part is a literal text of a page's output, or a word of a kind.
type part struct {
	text string
	kind *kind
}

// parts takes a page's output apart.
func parts(want string) (all []part) {
	known, at := kinds(), 0
	for _, found := range words.FindAllStringSubmatchIndex(want, -1) {
		for i := range known {
			if found[2*i+2] < 0 {
				continue
			}
			all = append(all, part{text: want[at:found[0]]}, part{want[found[0]:found[1]], &known[i]})
			at = found[1]
		}
	}

	return append(all, part{text: want[at:]})
}

// known are the words of a page and what they are in this run.
type known map[string]string

// meant replaces the page's words by the run's, the longest first.
func (k known) meant(text string) string {
	shown := make([]string, 0, len(k))
	for word := range k {
		shown = append(shown, word)
	}
	slices.SortFunc(shown, func(a, b string) int { return len(b) - len(a) })
	for _, word := range shown {
		text = strings.ReplaceAll(text, word, k[word])
	}

	return text
}

// unwrap joins lines that begin with a space to the line before.
func unwrap(text string) string {
	return regexp.MustCompile(`\n +`).ReplaceAllString(strings.TrimSpace(text), "")
}

// pattern is what an output must match, up to a number of parts.
func (k known) pattern(of []part) string {
	var pattern strings.Builder
	pattern.WriteString(`(?s)\A`)
	for _, p := range of {
		switch run, ok := k[p.text]; {
		case p.kind == nil:
			pattern.WriteString(regexp.QuoteMeta(p.text))
		case ok:
			pattern.WriteString("(" + regexp.QuoteMeta(run) + ")")
		default:
			pattern.WriteString("(" + p.kind.same(p.text) + ")")
		}
	}

	return pattern.String()
}

// compare holds an output against the page's, and learns what the page's words
// are in this run. With more, the output may go on after it. It returns where
// the page's ends in it.
func (k known) compare(want, got string, more bool) (end int, err error) {
	of := parts(unwrap(want))
	got = strings.TrimRight(got, " \n")
	pattern := k.pattern(of)
	if !more {
		pattern += `\z`
	}
	found := regexp.MustCompile(pattern).FindStringSubmatch(got)
	if found == nil {
		return 0, fmt.Errorf("%s\nthe page says:\n%s\nit is:\n%s", k.where(of, got), want, got)
	}
	end = len(found[0])
	group := 0
	for _, p := range of {
		if p.kind == nil {
			continue
		}
		group++
		if p.kind.kept {
			k[p.text] = found[group]
		}
	}

	return end, nil
}

// where says up to which part an output is as it should be.
func (k known) where(of []part, got string) string {
	if found := regexp.MustCompile(k.pattern(of)).FindString(got); found != "" {
		return fmt.Sprintf("after it comes %q", got[len(found):])
	}
	for n := len(of) - 1; n > 0; n-- {
		if regexp.MustCompile(k.pattern(of[:n])).MatchString(got) {
			what := "the text"
			if of[n].kind != nil {
				what = "the " + of[n].kind.name
			}

			return fmt.Sprintf("it differs in %s %q", what, of[n].text)
		}
	}

	return "it differs from the beginning"
}
