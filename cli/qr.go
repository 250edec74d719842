package cli

import (
	"io"
	"strings"

	"rsc.io/qr"
)

// quietZone is the light border, in modules, that ISO/IEC 18004 asks for.
const quietZone = 4

// encodeQR makes the code of an invoice. Upper case, which bech32 allows, fits
// the alphanumeric mode, and the code is smaller by a third.
//
// The encoder is rsc.io/qr, which has no dependencies. mdp/qrterminal draws what
// the same encoder makes, and brings two more modules for some lines of drawing.
//
// An invoice of over 4296 characters has none.
func encodeQR(bolt11 string) (code *qr.Code, ok bool) {
	code, err := qr.Encode(strings.ToUpper(bolt11), qr.L)

	return code, err == nil
}

// drawQR draws a code in half blocks: a character is two modules, one above the
// other. Light modules are drawn and dark ones left out, for white on black;
// colours makes sure of that on any terminal.
func drawQR(w io.Writer, code *qr.Code, colours bool) error {
	var out strings.Builder
	light := func(x, y int) bool { return !code.Black(x, y) }
	for y := -quietZone; y < code.Size+quietZone; y += 2 {
		if colours {
			out.WriteString("\x1b[40;97m")
		}
		for x := -quietZone; x < code.Size+quietZone; x++ {
			switch {
			case light(x, y) && light(x, y+1):
				out.WriteRune('█')
			case light(x, y):
				out.WriteRune('▀')
			case light(x, y+1):
				out.WriteRune('▄')
			default:
				out.WriteRune(' ')
			}
		}
		if colours {
			out.WriteString("\x1b[0m")
		}
		out.WriteByte('\n')
	}
	_, err := io.WriteString(w, out.String())

	return err
}

// qr prints the code of an invoice if it is wanted and fits.
func (s *session) qr(bolt11 string, always, never bool) error {
	if s.asJSON || never || (!s.terminal && !always) {
		return nil
	}
	code, ok := encodeQR(bolt11)
	if !ok {
		s.sayf("no QR code: the invoice is too long for one")

		return nil
	}
	if columns := code.Size + 2*quietZone; s.terminal && !always && s.columns < columns {
		s.sayf("no QR code: it needs %d columns (--qr prints it all the same)", columns)

		return nil
	}

	return drawQR(s.out, code, s.terminal)
}
