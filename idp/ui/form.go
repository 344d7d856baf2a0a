package ui

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"slices"

	"gatehouse/internal/httpx"
	"gatehouse/internal/opaque"
)

// tokenField is the form field that holds the form token.
const tokenField = "form_token"

// token returns the form token for one step of the browser that holds secret
// in a cookie. A token for one step is worth nothing for another, nor in
// another browser. No secret holds a line feed, so that no other pair of
// secret and step gives the same text.
func (p *Pages) token(secret, step string) string {
	return tokenBy(p.deps.FormKey, secret, step)
}

func tokenBy(key []byte, secret, step string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(secret + "\n" + step))
	return opaque.Encode(mac.Sum(nil))
}

// readForm reads a form of one of our pages after the browser has said that it
// comes from there. Its token is checked by checkToken, once the step is known.
func (p *Pages) readForm(w http.ResponseWriter, r *http.Request) (httpx.Form, error) {
	if err := httpx.CheckFormPost(r, p.origin); err != nil {
		return httpx.Form{}, err
	}
	return httpx.ReadForm(w, r, httpx.MaxForm)
}

// checkToken returns an *httpx.Error with 403 unless the form was made for the
// browser that holds secret and for this step.
func (p *Pages) checkToken(f httpx.Form, secret, step string) error {
	got := f.Get(tokenField)
	made := func(key []byte) bool { return hmac.Equal([]byte(got), []byte(tokenBy(key, secret, step))) }
	if secret == "" || got == "" || !made(p.deps.FormKey) && !slices.ContainsFunc(p.deps.HeldKeys(), made) {
		return &httpx.Error{
			Status: http.StatusForbidden, Code: "stale_form",
			Public: "this page is too old, or was opened in another browser",
		}
	}
	return nil
}
