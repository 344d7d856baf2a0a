package mfa

import (
	"fmt"
	"image/color"
	"strings"

	code "github.com/boombuler/barcode/qr"
)

// quiet is the empty border that readers need, in modules (ISO/IEC 18004 §9.1).
const quiet = 4

// qr returns text as a QR code in SVG. Colours are attributes of their own, as a
// content security policy without 'unsafe-inline' drops style attributes; they
// are fixed, as readers want dark on light whatever the page looks like.
func qr(text string) (string, error) {
	c, err := code.Encode(text, code.M, code.Auto)
	if err != nil {
		return "", fmt.Errorf("make QR code: %w", err)
	}
	box := c.Bounds()
	side := box.Dx() + 2*quiet
	var path strings.Builder
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			if color.GrayModel.Convert(c.At(x, y)).(color.Gray).Y < 0x80 {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x-box.Min.X+quiet, y-box.Min.Y+quiet)
			}
		}
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges" role="img" aria-label="QR code of the key">`+
		`<rect width="%d" height="%d" fill="#fff"/><path d="%s" fill="#000"/></svg>`, side, side, side, side, path.String()), nil
}
