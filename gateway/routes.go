package gateway

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// PrintRoutes writes a table of what costs how much, in the order in which
// requests are held against it.
func (c *Config) PrintRoutes(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERVICE\tHOST\tMETHOD\tPATH\tPRICE\tTOKEN\tUPSTREAM")
	for _, s := range c.Services {
		host, path := anyOr(s.Host), anyOr(s.Path)
		row := func(method, path, price, token string) {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, host, method, path, price, token, s.Upstream)
		}
		for _, free := range s.Free {
			row("any", free, "free", "-")
		}
		for _, price := range s.Prices {
			row(anyOr(price.Method), anyOr(price.Path), price.text(), s.tokenText())
		}
		switch {
		case s.Auth == authOff:
			row("any", path, "free", "-")
		case s.PriceSats != nil || s.PriceMsat != nil:
			row("any", path, Price{PriceSats: s.PriceSats, PriceMsat: s.PriceMsat}.text(), s.tokenText())
		default:
			row("any", path, "not sold (404)", "-")
		}
	}

	return table.Flush()
}

func anyOr(text string) string {
	if text == "" {
		return "any"
	}

	return text
}

func (p Price) text() string {
	if p.PriceSats != nil {
		return fmt.Sprintf("%d sat", *p.PriceSats)
	}

	return fmt.Sprintf("%d msat", *p.PriceMsat)
}

func (s *Service) tokenText() string {
	words := []string{"for the " + s.Resource}
	if s.Once {
		words = append(words, "once")
	}
	if s.LifetimeS > 0 {
		words = append(words, fmt.Sprintf("%d s", s.LifetimeS))
	}
	if s.Freebies > 0 {
		words = append(words, fmt.Sprintf("%d free a day", s.Freebies))
	}

	return strings.Join(words, ", ")
}
