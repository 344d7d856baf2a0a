package demo

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"sort"
	"strings"
)

// style is the whole style sheet of the page. It stands inside the page and is
// allowed by its hash, so that the page needs no second request.
const style = `
:root{color-scheme:light dark;--page:#fff;--text:#1b1f24;--line:#c4c9d1;--soft:#f2f4f7;--link:#0b57c2}
@media (prefers-color-scheme:dark){:root{--page:#14171b;--text:#e6e9ed;--line:#4a525e;--soft:#20252c;--link:#8ab8ff}}
body{background:var(--page);color:var(--text);font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,td,th{font-family:ui-monospace,monospace;font-size:.9rem;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}
th,td{border:1px solid var(--line);padding:.25rem .5rem;text-align:start;vertical-align:top}
th{background:var(--soft);font-weight:600;width:16rem}
a{color:var(--link)}
nav ul{padding:0;list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem}
`

// pageTemplate shows the request. Every value in it came from outside:
// html/template escapes it, and the policy below lets nothing of it run.
var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} – gatehouse demo</title>
<style>{{.Style}}</style>
</head>
<body>
<header>
<nav aria-label="Things to try">
<ul>
<li><a href="/">home</a></li>
<li><a href="/public/hello">public</a></li>
<li><a href="/admin/">admins only</a></li>
<li><a href="/headers">headers as JSON</a></li>
<li><a href="/api/orders/7">an order (scope orders.read)</a></li>
<li><a href="/events">events</a></li>
<li><a href="/_gatehouse/me">who am I?</a></li>
<li><a href="/_gatehouse/sign-out">sign out</a></li>
</ul>
</nav>
</header>
<main>
<h1>{{.Title}}</h1>
<p>This is the demo application. It believes every header it gets, as many
applications do; below is the request exactly as the gateway passed it on.</p>
<h2>Request</h2>
<table>
<tr><th scope="row">method</th><td id="method">{{.Seen.Method}}</td></tr>
<tr><th scope="row">host</th><td id="host">{{.Seen.Host}}</td></tr>
<tr><th scope="row">path</th><td id="path">{{.Seen.Path}}</td></tr>
<tr><th scope="row">query</th><td id="query">{{.Seen.Query}}</td></tr>
</table>
<h2>Headers</h2>
<table id="headers">
{{range .Headers}}<tr><th scope="row">{{.Name}}</th><td>{{.Value}}</td></tr>
{{end}}</table>
<h2>From the console of this page</h2>
<p>Web socket: <code>s = new WebSocket("/ws"); s.onmessage = e =&gt; console.log(e.data); s.onopen = () =&gt; s.send("hello")</code></p>
<p>Event stream: <code>new EventSource("/events").onmessage = e =&gt; console.log(e.data)</code></p>
</main>
</body>
</html>
`))

// pagePolicy lets the page load nothing but its own style sheet. The console
// may open sockets and streams to this very origin; no script of a page may,
// since none may run.
var pagePolicy = "default-src 'none'; style-src 'sha256-" + styleHash() +
	"'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func styleHash() string {
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// field is one header line of the page.
type field struct{ Name, Value string }

// pageData is what pageTemplate shows.
type pageData struct {
	Title   string
	Style   template.CSS
	Seen    Seen
	Headers []field
}

func page(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "same-origin")
	if r.Method == http.MethodHead {
		return
	}
	// An error here is a client that went away: there is nobody to tell.
	_ = pageTemplate.Execute(w, pageData{
		Title:   title(r.URL.Path),
		Style:   style,
		Seen:    see(r),
		Headers: fields(r.Header),
	})
}

// title names the part of the application that path belongs to.
func title(path string) string {
	switch {
	case path == "/public" || strings.HasPrefix(path, "/public/"):
		return "A public page"
	case path == "/admin" || strings.HasPrefix(path, "/admin/"):
		return "The administrators' page"
	default:
		return "Behind the gateway"
	}
}

// fields lists the header lines by name; lines of one name keep their order.
func fields(h http.Header) []field {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	sort.Strings(names)
	var out []field
	for _, name := range names {
		for _, value := range h[name] {
			out = append(out, field{name, value})
		}
	}
	return out
}
