package ui

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gatehouse/internal/httpx"
	"gatehouse/internal/page"
)

//go:embed pages/*.html
var files embed.FS

// templates are parsed once and never changed.
var templates = template.Must(page.Shell().ParseFS(files, "pages/*.html"))

// common is what every page is given.
type common struct {
	Head page.Head
	Demo bool
}

func (p *Pages) common(title string) common {
	return common{Head: page.Head{Title: title}, Demo: p.deps.Demo}
}

// view is one page to be sent.
type view struct {
	status int
	name   string
	data   any
	// destination is the URI that a form of the page may end at; "" for none.
	destination string
}

// show writes v.
func (p *Pages) show(w http.ResponseWriter, v view) error {
	var body bytes.Buffer
	if err := templates.ExecuteTemplate(&body, v.name, v.data); err != nil {
		return fmt.Errorf("render page %s: %w", v.name, err)
	}
	h := w.Header()
	var foreign []string
	if source := formSource(v.destination); source != "" {
		foreign = append(foreign, source)
	}
	page.SecurityHeaders(h, foreign...)
	if p.deps.Shared {
		// A page of the same origin could otherwise keep a handle on a window
		// it opened here.
		h.Set("Cross-Origin-Opener-Policy", "noopener-allow-popups")
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(v.status)
	// The browser has gone if this fails; there is nobody left to tell.
	_, _ = w.Write(body.Bytes())
	return nil
}

// formSource returns the CSP source of the origin of a redirect URI. Chromium
// holds the redirect that answers a POST against form-action, so that without
// it a sign-in would stop without a word. For a scheme of a native program it
// is the scheme. Anything that cannot be written as one source is "".
func formSource(destination string) string {
	u, err := url.Parse(destination)
	if err != nil || u.Scheme == "" {
		return ""
	}
	source := u.Scheme + ":"
	if u.Scheme == "http" || u.Scheme == "https" {
		source += "//" + u.Host
	}
	if strings.ContainsAny(source, " ;,'\"\\\t\r\n") {
		return ""
	}
	return source
}

type errorPage struct {
	common
	Title, Text, Advice, Code, RequestID string
	Status                               int
}

// Error answers with an error page: a title for the status, e's public text,
// and what to do about it. It is a httpx.Render.
func (p *Pages) Error(w http.ResponseWriter, r *http.Request, e *httpx.Error) {
	title := "Something is wrong with this request"
	advice := "Go back to the application and try again."
	switch {
	case e.Status == http.StatusNotFound:
		title, advice = "There is no such page", ""
	case e.Status == http.StatusTooManyRequests:
		title, advice = "Too many tries", "Wait a little, then go back to the application and sign in again."
	case e.Status >= 500:
		title, advice = "This does not work right now", "Try again in a moment."
	}
	data := errorPage{
		common: p.common("Error: " + title), Title: title, Text: sentence(e.Public), Advice: advice,
		Code: e.Code, RequestID: httpx.RequestID(r.Context()), Status: e.Status,
	}
	if err := p.show(w, view{status: e.Status, name: "error", data: data}); err != nil {
		// Only a broken template gets here.
		http.Error(w, http.StatusText(e.Status), e.Status)
	}
}

// sentence begins text with a capital and ends it with a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}
