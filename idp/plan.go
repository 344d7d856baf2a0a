package idp

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gatehouse/internal/conf"
)

// ErrMoved means that the pool was changed after a plan was made: what would be
// done is not what was shown.
var ErrMoved = errors.New("the pool has changed meanwhile; look at the changes again")

// Verb is what a change does.
type Verb string

// The verbs of changes.
const (
	Add    Verb = "add"
	Alter  Verb = "change"
	Remove Verb = "remove"
)

// Change is one step from what the store holds to what a file declares.
type Change struct {
	Verb Verb `json:"verb"`
	// What is group, resource server, scope, client or user.
	What string `json:"what"`
	Name string `json:"name"`
	// Fields are what is set or differs, in order; none for Remove.
	Fields []Field `json:"fields,omitempty"`
	// Pos is where in the file it stands, the zero Pos for Remove.
	Pos conf.Pos `json:"-"`

	// prepare, if any, does what takes long and writes nothing.
	prepare func(ctx context.Context) error
	apply   func(ctx context.Context) error
}

// Field is one field of a change, as text; secrets show "***".
type Field struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Note is a user that a file declares otherwise and that is left alone.
type Note struct {
	User string `json:"user"`
	// Deleted says that the user was deleted and is not made again.
	Deleted bool     `json:"deleted,omitempty"`
	Differs []string `json:"differs,omitempty"`
	Pos     conf.Pos `json:"-"`
}

// Reach says how far a plan goes. The zero value adds and changes, and leaves
// users that exist alone.
type Reach struct {
	// Prune removes groups, clients, resource servers and scopes that are not
	// declared.
	Prune bool
	// Users makes all users as they are declared, but for their passwords: it
	// changes them, makes those again that were deleted, and removes the rest.
	Users bool
	// Keep is declared elsewhere and never removed; nil for nothing.
	Keep *Bootstrap
}

// Plan is what must be done so that the store holds what a file declares.
type Plan struct {
	Changes []Change `json:"changes"`
	Notes   []Note   `json:"notes"`
	want    *Bootstrap
	reach   Reach
}

// fingerprint is all that people are shown of a plan.
func (p *Plan) fingerprint() string {
	var b strings.Builder
	for _, c := range p.Changes {
		fmt.Fprintf(&b, "%s %q %q %q\n", c.Verb, c.What, c.Name, c.Fields)
	}
	return b.String()
}

// Plan compares the store with what want declares and changes nothing. The
// gateway's own client is never part of it.
func (d Domain) Plan(ctx context.Context, want *Bootstrap, reach Reach) (*Plan, error) {
	p := &planner{Domain: d, plan: &Plan{want: want, reach: reach}}
	// In this order: scopes may name groups, clients scopes, users groups.
	steps := []func(context.Context) error{p.groups, p.servers, p.clients, p.users}
	if reach.Users {
		steps = append(steps, p.pruneUsers)
	}
	if reach.Prune {
		// The reverse order, so that nothing is removed that is still named.
		steps = append(steps, p.pruneClients, p.pruneServers, p.pruneGroups)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return p.plan, nil
}

// Apply does what the plan says, all in one transaction: a reader sees all of it
// or nothing, and so does a running server. ErrMoved, and what the pool and the
// clients say against a change, with its place.
func (d Domain) Apply(ctx context.Context, plan *Plan) error {
	if len(plan.Changes) == 0 {
		return nil
	}
	for _, c := range plan.Changes {
		if c.prepare == nil {
			continue
		}
		if err := c.prepare(ctx); err != nil {
			return at(c.Pos, err)
		}
	}
	return d.journal.InTx(ctx, func(ctx context.Context) error {
		now, err := d.Plan(ctx, plan.want, plan.reach)
		if err != nil {
			return err
		}
		if now.fingerprint() != plan.fingerprint() {
			return ErrMoved
		}
		for _, c := range plan.Changes {
			if err := c.apply(ctx); err != nil {
				return at(c.Pos, err)
			}
		}
		return nil
	})
}

// at adds to an error where in the file its cause stands.
func at(pos conf.Pos, err error) error {
	if err == nil || pos == (conf.Pos{}) {
		return err
	}
	return fmt.Errorf("%s: %w", pos, err)
}

// planner collects changes.
type planner struct {
	Domain
	plan *Plan
}

func (p *planner) add(c Change) { p.plan.Changes = append(p.plan.Changes, c) }

// stands reports whether one of the declarations, that of the file or one that is
// to be kept, says so.
func (p *planner) stands(says func(*Bootstrap) bool) bool {
	return says(p.plan.want) || p.plan.reach.Keep != nil && says(p.plan.reach.Keep)
}

// differing returns those of fields whose values differ.
func differing(fields ...Field) []Field {
	var out []Field
	for _, f := range fields {
		if f.From != f.To {
			out = append(out, f)
		}
	}
	return out
}
