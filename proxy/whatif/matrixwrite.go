package whatif

import (
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"strings"
	"text/tabwriter"
)

// Write prints the matrix for people.
func (m *Matrix) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	names := make([]string, len(m.Columns))
	for i, c := range m.Columns {
		names[i] = c.Name
	}
	fmt.Fprintf(t, "\t%s\n", strings.Join(names, "\t"))
	for _, r := range m.Rows {
		fmt.Fprintf(t, "%s\t%s\n", r.Label(), strings.Join(r.Cells, "\t"))
	}
	return t.Flush()
}

// WriteCSV writes the matrix as RFC 4180 has it, with a header line: route, at,
// methods, path, websocket, then the columns.
func (m *Matrix) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	head := []string{"route", "at", "methods", "path", "websocket"}
	for _, c := range m.Columns {
		head = append(head, c.Name)
	}
	lines := [][]string{head}
	for _, r := range m.Rows {
		lines = append(lines, append([]string{r.Route, r.At, r.Methods, r.Path, fmt.Sprint(r.Websocket)}, r.Cells...))
	}
	return out.WriteAll(lines)
}

// WriteHTML writes the matrix as one page that needs nothing else: a table with
// a caption and scopes, no script, for light and dark screens.
func (m *Matrix) WriteHTML(w io.Writer) error {
	return page.Execute(w, m)
}

// class is the colour of a cell.
func class(cell string) string {
	switch {
	case cell == "allow":
		return "yes"
	case cell == "sign in", cell == "step up":
		return "first"
	case strings.HasSuffix(cell, "?"):
		return "depends"
	}
	return "no"
}

var page = template.Must(template.New("matrix").Funcs(template.FuncMap{"class": class}).Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>Who can what</title>
<style>
:root { color-scheme: light dark; --line: #c4c4c4; --yes: #d8f3dc; --no: #fbdcdc; --first: #dbe7fb; --depends: #fdf0c4; }
@media (prefers-color-scheme: dark) {
  :root { --line: #555; --yes: #17402a; --no: #4d1f22; --first: #1d3358; --depends: #4a3d10; }
}
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
caption { text-align: start; font-size: 1.4rem; font-weight: 600; padding-bottom: .5rem; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: start; white-space: nowrap; }
tbody th { font: .9rem ui-monospace, monospace; }
td small, th small { display: block; font-weight: 400; }
.yes { background: var(--yes); } .no { background: var(--no); }
.first { background: var(--first); } .depends { background: var(--depends); }
</style>
</head>
<body>
<main>
<div class="wide" role="region" aria-labelledby="what" tabindex="0">
<table>
<caption id="what">Who can what</caption>
<thead>
<tr><th scope="col">Request</th><th scope="col">Route</th>{{range .Columns}}<th scope="col">{{.Name}}<small>{{.As}}</small></th>{{end}}</tr>
</thead>
<tbody>
{{range .Rows}}<tr><th scope="row">{{.Label}}</th><td>{{.Route}}<small>{{.At}}</small></td>{{range .Cells}}<td class="{{class .}}">{{.}}</td>{{end}}</tr>
{{end}}</tbody>
</table>
</div>
<p>A number is the status of a refusal. A word with a question mark names what decides and is not known of everybody in
that column: address (ip), time, claims, e-mail address, body, path, or a rule of an operator (opa). A dash is a
request that an earlier route takes.</p>
</main>
</body>
</html>
`))
