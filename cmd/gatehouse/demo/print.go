package demo

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Summary is all that the screen of a running demo tells. The wiring fills it
// in once everything listens; it holds passwords, and is printed only to the
// terminal of whoever started the demo.
type Summary struct {
	// Version is the program's version, such as "1.0.0" or "devel"; "" leaves
	// it out.
	Version string
	// Address is the URL to open, without a path: "http://localhost:8080".
	Address string
	// Moved tells that the usual port was taken and Address has another one.
	Moved bool
	// Command is how this program was called: "gatehouse", or
	// "go run ./cmd/gatehouse". "" means "gatehouse".
	Command string
	// Upstream is the URL of the newcomer's own application, or "" for the
	// demo application.
	Upstream string
	// Users are the people who can sign in, in the order to show.
	Users []User
	// GivenPassword tells that the users' password was chosen by the caller
	// (GATEHOUSE_DEMO_PASSWORD): it is then not repeated on the screen.
	GivenPassword bool
	// Scope is the scope of the ready curl line; "" means "orders.read".
	Scope string
	// Routes are the rules, in the order in which they are asked.
	Routes []Route
	// Explain is a complete command that shows why a request is refused; ""
	// leaves the hint out.
	Explain string
	// Data is the directory of the database and keys.
	Data string
	// KeepsData tells that Data was named by the caller and stays; otherwise
	// it is temporary and removed at the end.
	KeepsData bool
	// Control is the path at which `demo token` finds this demo; "" leaves it
	// out.
	Control string
}

// User is one person of the demo.
type User struct {
	// Username and Email both work as a name to sign in with.
	Username, Email string
	// Password is shown as it is, unless Summary.GivenPassword.
	Password string
	// Groups are the groups of the user; empty is shown as "-".
	Groups []string
}

// Route is one line of the table of routes.
type Route struct {
	// Who may pass, in words: "anyone", "group admins", "scope orders.read".
	Who string
	// What the rule covers: "/admin/**", "GET /api/orders/**".
	What []string
}

// Print writes the screen of a running demo: the address first, then who can
// sign in, the line for a machine, the routes, what to try next, and where the
// data is. It returns the first error of w.
func Print(w io.Writer, s Summary) error {
	if s.Command == "" {
		s.Command = "gatehouse"
	}
	if s.Scope == "" {
		s.Scope = "orders.read"
	}
	var b strings.Builder
	b.WriteString("\n")
	printOpen(&b, s)
	printUsers(&b, s)
	fmt.Fprintf(&b, "  Machine     curl -H \"Authorization: Bearer $(%s demo token %s)\" %s/api/orders/7\n\n",
		s.Command, s.Scope, s.Address)
	printRoutes(&b, s.Routes)
	printNext(&b, s)
	printData(&b, s)
	_, err := io.WriteString(w, b.String())
	return err
}

func printOpen(b *strings.Builder, s Summary) {
	behind := "a demo application behind the gateway"
	if s.Upstream != "" {
		behind = s.Upstream + " behind the gateway"
	}
	fmt.Fprintf(b, "  Open        %s    %s\n", s.Address, behind)
	if s.Moved {
		b.WriteString("              (the usual port is taken by another program; this is the next free one)\n")
	}
	name := strings.TrimSpace("gatehouse " + s.Version)
	fmt.Fprintf(b, "              %s, demo mode: throw-away users and keys, not for production\n", name)
	if s.Upstream != "" {
		// Demo keeps pages and application on one origin, so a script of the
		// application reaches the sign-in page. Nobody should find out later.
		b.WriteString("              This application could read what you type into the sign-in page: the demo\n" +
			"              serves both from one address. Use throw-away passwords only.\n")
	}
	b.WriteString("\n")
}

func printUsers(b *strings.Builder, s Summary) {
	if len(s.Users) == 0 {
		return
	}
	t := tabwriter.NewWriter(b, 0, 0, 4, ' ', 0)
	for i, u := range s.Users {
		label := ""
		if i == 0 {
			label = "Sign in as"
		}
		password := u.Password
		if s.GivenPassword {
			password = "$GATEHOUSE_DEMO_PASSWORD"
		}
		groups := "-"
		if len(u.Groups) > 0 {
			groups = strings.Join(u.Groups, ", ")
		}
		fmt.Fprintf(t, "  %-12s%s\t%s\t%s\tgroups: %s\n", label, u.Username, u.Email, password, groups)
	}
	t.Flush()
	b.WriteString("\n")
}

func printRoutes(b *strings.Builder, routes []Route) {
	if len(routes) == 0 {
		return
	}
	t := tabwriter.NewWriter(b, 0, 0, 4, ' ', 0)
	for i, r := range routes {
		label := ""
		if i == 0 {
			label = "Routes"
		}
		fmt.Fprintf(t, "  %-12s%s\t%s\n", label, r.Who, strings.Join(r.What, "   "))
	}
	t.Flush()
	b.WriteString("\n")
}

func printNext(b *strings.Builder, s Summary) {
	hints := [][2]string{{s.Address + "/admin/", "alice may, bob gets 403"}}
	if s.Upstream == "" {
		hints = append(hints, [2]string{s.Address + "/headers", "what the application is told of you"})
	}
	hints = append(hints, [2]string{s.Address + "/_gatehouse/me", "who the gateway takes you for"})
	// The demo sends no mail, and nobody signs up without.
	hints = append(hints, [2]string{s.Address + "/_gatehouse/idp/demo/mail", "alice reads what would be sent to who signs up"})
	if s.Upstream == "" {
		hints = append(hints, [2]string{s.Command + " demo --upstream http://localhost:3000", "your own application instead"})
	}
	t := tabwriter.NewWriter(b, 0, 0, 4, ' ', 0)
	for i, hint := range hints {
		label := ""
		if i == 0 {
			label = "Try"
		}
		fmt.Fprintf(t, "  %-12s%s\t%s\n", label, hint[0], hint[1])
	}
	t.Flush()
	if s.Explain != "" {
		// Too long a line for a column; the shell ignores the end of it.
		fmt.Fprintf(b, "  %-12s%s    # why bob is refused\n", "", s.Explain)
	}
	b.WriteString("\n")
}

func printData(b *strings.Builder, s Summary) {
	if s.Data != "" {
		fate := "temporary, removed when you stop it with Ctrl-C"
		if s.KeepsData {
			fate = "kept: start again with the same --data to find it"
		}
		fmt.Fprintf(b, "  Data        %s    %s\n", s.Data, fate)
	}
	if s.Control != "" {
		fmt.Fprintf(b, "  Tokens      %s    for your user only: this is how `demo token` finds us\n", s.Control)
	}
	if s.Data != "" || s.Control != "" {
		b.WriteString("\n")
	}
}
