package gateway

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// encodedTwice finds what a server that decodes once more would read as
// something else, in the form %u002f of old ones as well.
var encodedTwice = regexp.MustCompile(`%([0-9A-Fa-f]{2}|[Uu][0-9A-Fa-f]{4})`)

// unclear says what in a path two servers may read in two ways, or nothing.
// Prices are by path, so a path that the upstream could take for another one is
// refused instead of cleaned: which of its readings was meant is not for us to
// say, and no client needs them. What passes has one reading, is judged decoded,
// and is forwarded encoded anew.
func unclear(u *url.URL) string {
	escaped, path := strings.ToLower(u.EscapedPath()), u.Path
	switch {
	case !strings.HasPrefix(path, "/"):
		return "no slash at its beginning"
	case strings.Contains(escaped, "%2f"):
		return "an encoded slash"
	case strings.Contains(path, `\`):
		return "a backslash, which some servers take for a slash"
	case strings.Contains(path, ";"):
		return "a semicolon, after which some servers cut a segment off"
	case strings.Contains(path, "//"):
		return "an empty segment"
	case !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl):
		return "bytes that are no text"
	case encodedTwice.MatchString(path):
		return "what is encoded twice"
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "a dot segment"
		}
	}

	return ""
}
