package whatif

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"

	"gatehouse/policy"
)

// Write prints the answer for people.
func (a Answer) Write(w io.Writer) {
	fmt.Fprintf(w, "request   %s %s   host %s   as %s\n\n", a.Method, a.Path, a.Host, a.Who)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, s := range a.Steps {
		if s.Miss != "" {
			fmt.Fprintf(t, "  %s\tmiss on %s\t%s\n", s.Route, s.Miss, s.Rule)
		} else {
			fmt.Fprintf(t, "> %s\tmatches\t%s\n", s.Route, s.Rule)
		}
	}
	t.Flush()
	a.writeSeen(w)
	if a.Policy != nil && a.Policy.Root != nil {
		fmt.Fprintln(w)
		writeFinding(w, a.Policy.Root, "  ")
	}
	if a.Policy != nil && a.Policy.Require != nil {
		fmt.Fprintln(w, "  require")
		writeFinding(w, a.Policy.Require, "    ")
	}
	fmt.Fprintf(w, "\ndecision  %s", strings.ToUpper(strings.ReplaceAll(a.Decision, "_", " ")))
	if a.Status != 0 {
		fmt.Fprintf(w, " %d %s", a.Status, http.StatusText(a.Status))
	}
	fmt.Fprintf(w, "   reason %s", a.Reason)
	if a.Odd != "" {
		fmt.Fprintf(w, "   odd: %s", a.Odd)
	}
	if a.Rule != "" {
		fmt.Fprintf(w, "   rule %s", a.Rule)
	}
	fmt.Fprintln(w)
	if a.Policy != nil && a.Policy.Error != "" {
		fmt.Fprintf(w, "error     %s\n", a.Policy.Error)
	}
	a.writeChange(w)
	a.writeHeaders(w)
	a.writeOPA(w)
}

// writeSeen prints what else of the request the rules see.
func (a Answer) writeSeen(w io.Writer) {
	if a.Time == "" && a.Body == "" && a.Variables == nil {
		return
	}
	fmt.Fprintln(w)
	for _, name := range sortedKeys(a.Variables) {
		fmt.Fprintf(w, "  {%s} is %s\n", name, a.Variables[name])
	}
	if a.Time != "" {
		fmt.Fprintf(w, "  time %s\n", a.Time)
	}
	if a.Body != "" {
		fmt.Fprintf(w, "  body %s\n", a.Body)
	}
}

// writeOPA prints what OPA is given, and how it evaluates that.
func (a Answer) writeOPA(w io.Writer) {
	switch {
	case a.asked.Input && a.Input == nil, a.asked.Trace && a.Trace == "":
		fmt.Fprintln(w, "OPA is not asked")
		return
	case a.asked.Input:
		fmt.Fprintf(w, "input\n%s\n", a.Input)
	}
	if a.Trace != "" {
		fmt.Fprintf(w, "trace\n%s\n", strings.TrimRight(a.Trace, "\n"))
	}
}

func writeFinding(w io.Writer, f *policy.Finding, indent string) {
	fmt.Fprintf(w, "%s%-7s %s", indent, f.Result, f.Text)
	if f.Has != "" {
		fmt.Fprintf(w, "   has: %s", f.Has)
	}
	if f.Rule != "" {
		fmt.Fprintf(w, "   %s", f.Rule)
	}
	fmt.Fprintln(w)
	for _, c := range f.Children {
		writeFinding(w, c, indent+"  ")
	}
}

func (a Answer) writeChange(w io.Writer) {
	if a.Odd != "" && len(a.Steps) > 0 {
		fmt.Fprintf(w, "would be looked at if the route said odd: [%s]\n", strings.ReplaceAll(a.Odd, ",", ", "))
	}
	if a.Policy == nil || len(a.Policy.WouldChange) == 0 {
		return
	}
	would := "would be allowed if"
	if a.Decision == DecideAllow {
		would = "would be refused if"
	}
	for _, way := range a.Policy.WouldChange {
		fmt.Fprintf(w, "%s %s %s\n", would, a.asker, way)
	}
}

func (a Answer) writeHeaders(w io.Writer) {
	if len(a.Headers) == 0 {
		return
	}
	fmt.Fprintln(w, "upstream gets")
	for _, name := range sortedKeys(a.Headers) {
		fmt.Fprintf(w, "  %s: %s\n", name, a.Headers[name])
	}
}
