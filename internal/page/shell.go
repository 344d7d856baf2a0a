package page

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
)

//go:embed style.css
var style string

// Style returns the style sheet of every page of ours, to be set inside one
// <style> element. It fetches nothing, follows the light or dark preference of
// the system, and styles bare elements plus the classes wide (on main), button
// and quiet (on links and buttons), error and note.
func Style() template.CSS { return template.CSS(style) }

// StyleSource returns the CSP source expression that allows Style inline:
// 'sha256-…' with its quotes (CSP Level 3 §2.3.1).
func StyleSource() string {
	sum := sha256.Sum256([]byte(style))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Head is what the template "top" of Shell is given.
type Head struct {
	// Title is the text of <title>.
	Title string
	// Lang is the language tag of the page (BCP 47); empty means en.
	Lang string
	// Dir is the direction of its text: ltr, rtl; empty means ltr.
	Dir string
	// Wide widens the one column, for pages that hold tables.
	Wide bool
}

const shell = `{{define "top"}}<!doctype html>
<html lang="{{or .Lang "en"}}" dir="{{or .Dir "ltr"}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{.Title}}</title>
<style>{{style}}</style>
</head>
<body>
<main{{if .Wide}} class="wide"{{end}}>
{{end}}{{define "bottom"}}</main>
</body>
</html>
{{end}}`

// Shell returns a new template set that holds "top" (given a Head) and
// "bottom": what stands before and after the contents of <main> on every page.
// Callers parse their own pages onto it; each brings its one <h1>.
func Shell() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{"style": Style}).Parse(shell))
}

// SecurityHeaders sets the headers that every page of ours carries: a Content
// Security Policy that allows Style, scripts and images of our own origin and
// nothing else, no framing, no sniffing, no caching. formAction lists further
// origins that a form of this page may end at: browsers apply form-action to
// the redirect that answers a POST too, so a sign-in page names the origin of
// the redirect URI of its request.
func SecurityHeaders(h http.Header, formAction ...string) {
	setHeaders(h, "script-src 'self'; img-src 'self'; form-action "+
		strings.Join(append([]string{"'self'"}, formAction...), " "))
}

// setHeaders sets the security headers; policy is added to the directives that
// all pages share.
func setHeaders(h http.Header, policy string) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src "+StyleSource()+"; "+policy+
		"; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	// same-origin and not no-referrer: with the latter browsers send
	// "Origin: null" with the POSTs of our own forms.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cache-Control", "no-store")
}
