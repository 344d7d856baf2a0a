package whatif

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gatehouse/policy"
	"gatehouse/proxy"
	"gatehouse/session"
)

// Matrix tells who can what: a row for each kind of request that routes tell
// apart, a column for each kind of asker that rules tell apart.
//
// A cell is allow, "sign in", "step up", or the status of the refusal. It ends
// in "?" if it is not the same for everybody in that column: "ip?" where the
// address decides, "time? claims?" where both can. What a column leaves open
// are address, time, claims it does not state, e-mail address, bodies, path
// variables, and the answers of operators' rules. "-" is a row that no sample
// request reaches, because earlier routes take them all.
type Matrix struct {
	Columns []Column `json:"columns"`
	Rows    []Row    `json:"rows"`
}

// Column is one kind of asker.
type Column struct {
	// Name is how the column is headed: visitor, signed in, a group's name,
	// user:dana, token:orders.read, client:reporter, or a persona's name.
	Name string `json:"name"`
	// As describes the persona.
	As string `json:"as"`

	persona *Persona
}

// Row is one kind of request.
type Row struct {
	// Route is the route, At where it stands, as "file:line"; "" for what no
	// route takes.
	Route string `json:"route"`
	At    string `json:"at"`
	// Methods are the methods that are alike, joined by commas; "" for all, and
	// "others" for those no other row names.
	Methods string `json:"methods"`
	// Path is the pattern, with the host in front where that is not the first
	// public URL's.
	Path string `json:"path"`
	// Websocket says that the row is about opening a web socket.
	Websocket bool `json:"websocket"`
	// Sample is the request that stood for the row; "" if there is none.
	Sample string `json:"sample"`
	// Cells are what each column gets.
	Cells []string `json:"cells"`
}

// Label is methods and path in one.
func (r Row) Label() string {
	switch {
	case r.Websocket:
		return "WS " + r.Path
	case r.Methods == "":
		return r.Path
	}
	return r.Methods + " " + r.Path
}

// Matrix asks for every row in the name of every column, personas last.
func (s *Suite) Matrix(ctx context.Context, personas Personas) (*Matrix, error) {
	m := &Matrix{Columns: s.columns(personas)}
	for i := range s.Config.Routes {
		for _, sample := range s.samples(i) {
			row := sample.row
			for _, col := range m.Columns {
				cell := "-"
				if row.Sample != "" {
					var err error
					if cell, err = s.cell(ctx, i, sample.request, col.persona); err != nil {
						return nil, err
					}
				}
				row.Cells = append(row.Cells, cell)
			}
			m.Rows = append(m.Rows, row)
		}
	}
	if row, ok := s.elsewhere(len(m.Columns)); ok {
		m.Rows = append(m.Rows, row)
	}
	return m, nil
}

// columns are those that the rules tell apart, in the order in which the file
// names them.
func (s *Suite) columns(personas Personas) []Column {
	word := func(w string) *Persona { return &Persona{Word: w} }
	list := []Column{
		{Visitor, "nobody is signed in", word(Visitor)},
		{"signed in", "a person in no group", word(SignedIn)},
	}
	add := func(name string, keys []string, p Persona) {
		p.given = keys
		p.text = p.describe()
		list = append(list, Column{name, p.text, &p})
	}
	named := s.named()
	for _, g := range named.groups {
		add(g, []string{"groups"}, Persona{Groups: []string{g}})
	}
	for _, u := range named.users {
		add("user:"+u, []string{"user", "subject"}, Persona{User: u, Subject: u})
	}
	for _, sc := range named.scopes {
		add("token:"+sc, []string{"scopes"}, Persona{Scopes: []string{sc}})
	}
	for _, c := range named.clients {
		add("client:"+c, []string{"client"}, Persona{Client: c})
	}
	for _, x := range personas {
		list = append(list, Column{x.Name, x.Persona.String(), &x.Persona})
	}
	return list
}

// named is what rules name, each once, in the order of the file.
type named struct{ groups, users, scopes, clients []string }

func (s *Suite) named() *named {
	n := &named{}
	for _, rt := range s.Config.Routes {
		if rt.Allow.When != nil {
			n.add(*rt.Allow.When)
		}
	}
	return n
}

func (n *named) add(c policy.Condition) {
	for _, x := range []struct {
		list  *[]string
		names []string
	}{{&n.groups, c.Groups}, {&n.users, c.Users}, {&n.scopes, c.Scopes}, {&n.clients, c.Clients}} {
		for _, name := range x.names {
			if !variable(name) && !slices.Contains(*x.list, name) {
				*x.list = append(*x.list, name)
			}
		}
	}
	for _, below := range slices.Concat(c.AnyOf, c.AllOf) {
		n.add(below)
	}
	if c.Not != nil {
		n.add(*c.Not)
	}
}

// variable tells whether value stands for a path variable.
func variable(value string) bool {
	return strings.HasPrefix(value, "{") && strings.HasSuffix(value, "}")
}

// cell is what p gets for rq, which route takes.
func (s *Suite) cell(ctx context.Context, route int, rq *Request, p *Persona) (string, error) {
	rt := s.Config.Routes[route]
	id := p.Identity(s.World, s.Now)
	a, err := s.pose(ctx, rq, id, proxy.Asking{Time: s.Now})
	if err != nil {
		return "", err
	}
	root := a.account.Root
	if root == nil || a.Verdict.Identity == nil {
		return plainCell(a), nil
	}
	tree := treeOf(root, s.leavesOpen(a.Query.Variables, p, id))
	met, other := tree.outcomes()
	switch {
	case rt.Require != nil && !(id.Person && id.Listed):
		return plainCell(a), nil // a machine cannot meet require, whatever it may
	case met && other:
		return strings.Join(tree.hangsOn(nil), "? ") + bodyToo(rt) + "?", nil
	case met && bodies(rt):
		return "body?", nil
	}
	return plainCell(a), nil
}

// bodyToo adds the body to what a cell hangs on.
func bodyToo(rt *proxy.Route) string {
	if bodies(rt) {
		return "? body"
	}
	return ""
}

func plainCell(a answered) string {
	switch a.decision {
	case DecideAllow:
		return "allow"
	case DecideSignIn:
		return "sign in"
	case DecideStepUp:
		return "step up"
	}
	return strconv.Itoa(a.Verdict.Status)
}

// leavesOpen tells which conditions p leaves open.
func (s *Suite) leavesOpen(vars []policy.Variable, p *Persona, id *session.Identity) open {
	return func(leaf *policy.Finding) (key, kind string) {
		kind = kindOf(leaf)
		opened := false
		switch kind {
		case "ip", "time", "opa":
			opened = true
		case "claims":
			if opened = leaf.Result == policy.Unknown; !opened && namesVariable(leaf, vars) {
				kind, opened = "path", true
			}
		case "email_domains":
			kind, opened = "email", id.Person && id.Listed && p.Email == ""
		case "groups", "users":
			kind, opened = "path", id.Person && id.Listed && namesVariable(leaf, vars)
		}
		if !opened {
			return "", ""
		}
		return leaf.Text, kind
	}
}

// namesVariable tells whether a value of the leaf is a variable of the path.
func namesVariable(leaf *policy.Finding, vars []policy.Variable) bool {
	return slices.ContainsFunc(vars, func(v policy.Variable) bool {
		return strings.Contains(leaf.Text, `"{`+v.Name+`}"`)
	})
}

// elsewhere is the row of what no route takes; not ok if there is no such
// request for the first public URL.
func (s *Suite) elsewhere(columns int) (row Row, ok bool) {
	for _, path := range []string{"/no-route-takes-this", "/no-route-takes-this/x", "/"} {
		rq := &Request{Method: "GET", URL: path, IP: sampleIP}
		a, err := s.pose(context.Background(), rq, nil, proxy.Asking{Time: s.Now})
		if err == nil && a.Verdict.Route < 0 && a.decision == DecideDeny {
			cell := strconv.Itoa(a.Verdict.Status)
			return Row{Path: "anything else", Sample: rq.String(), Cells: slices.Repeat([]string{cell}, columns)}, true
		}
	}
	return row, false
}

// sampleIP is nobody's address (RFC 5737).
var sampleIP = netip.AddrFrom4([4]byte{192, 0, 2, 1})
