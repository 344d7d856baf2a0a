package ui

import (
	_ "embed"
	"net/http"
	"strconv"
)

// PathPasskeyScript is where the one script of the pages is, below the issuer's
// path.
const PathPasskeyScript = "/static/passkey.js"

//go:embed static/passkey.js
var passkeyScript []byte

// PasskeyScript answers GET /static/passkey.js.
func (p *Pages) PasskeyScript(w http.ResponseWriter, _ *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(passkeyScript)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	// Short: it belongs to the pages of the version that is running.
	h.Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(passkeyScript)
	return nil
}

// setDevice gives the browser the token of a remembered device.
func (p *Pages) setDevice(w http.ResponseWriter, token string) {
	p.set(w, p.device.Name, token, int(p.deps.DeviceLifetime.Seconds()))
}
