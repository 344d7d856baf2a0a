package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/idp"
	"gatehouse/idp/account"
	"gatehouse/idp/client"
	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
	"gatehouse/idp/store"
	"gatehouse/internal/conf"
	"gatehouse/policy"
	"gatehouse/proxy/route"
	"gatehouse/proxy/whatif"
)

// Linted is what linting a plan found.
type Linted struct {
	// Warnings are sorted by position.
	Warnings []policy.Warning
	// Unread is why names were not compared with the user pool; nil if they were, or
	// if there is none yet.
	Unread error
}

// Lint looks for what the plan allows and nobody can have meant. Names are
// compared with the user pool where it can be read, beside a running server or
// without one, and with the configuration where not.
func (p *Plan) Lint(ctx context.Context) (Linted, error) {
	st, err := OpenStore(ctx, p)
	switch {
	case errors.Is(err, ErrNoProvider), errors.Is(err, store.ErrNoStore):
		return Linted{Warnings: p.lint(p.routes, p.names(time.Now()))}, nil
	case err != nil:
		return Linted{Warnings: p.lint(p.routes, p.names(time.Now())), Unread: err}, nil
	}
	n := p.names(time.Now())
	err = errors.Join(n.read(ctx, st), st.Close())
	if err != nil {
		return Linted{}, err
	}
	return Linted{Warnings: p.lint(p.routes, n)}, nil
}

// Excerpts returns the lines that warnings stand in, as `gatehouse check` shows
// them: with a caret, and with secrets hidden. path is the file of the plan; what
// cannot be shown is "".
func Excerpts(path string, warnings []policy.Warning) []string {
	shown := make([]string, len(warnings))
	file, err := conf.Load(path, new(Config))
	if err != nil {
		return shown // it has changed since
	}
	for _, w := range warnings {
		file.Report().Warnf(w.Pos, "%s", w.Text)
	}
	for _, p := range file.Problems().Warnings() {
		for i, w := range warnings {
			if w.Pos == p.Pos && w.Text == p.Message {
				shown[i] = p.Excerpt
			}
		}
	}
	return shown
}

// warnLint adds what the configuration alone shows to what `gatehouse check` warns
// of.
func warnLint(r *conf.Report, linted []policy.Warning) {
	for _, w := range linted {
		if w.Level == policy.LevelWarning {
			r.Warnf(w.Pos, "%s [%s]", w.Text, w.Code)
		}
	}
}

func (p *Plan) lint(table *route.Table, n *names) []policy.Warning {
	return whatif.Lint(&p.Config.Config, table, n.known())
}

// names are what rules may name, as far as a configuration and its user pool
// tell.
type names struct {
	config *Config
	now    time.Time

	groups  []string
	users   []string // as rules name them
	scopes  []client.Scope
	clients []client.Client
	// complete says that these are all: the pool was read, or holds no others.
	complete bool
}

// names returns what the configuration alone tells.
func (p *Plan) names(now time.Time) *names {
	n := &names{config: p.Config, now: now}
	if p.Config.IDP == nil {
		n.complete = true
		return n
	}
	b := &p.Config.IDP.Bootstrap
	n.complete = b.Prune
	for _, g := range b.Groups {
		n.groups = append(n.groups, g.Name)
	}
	for _, u := range b.Users {
		n.users = append(n.users, u.Username)
	}
	for _, s := range b.ResourceServers {
		for _, scope := range s.Scopes {
			n.scopes = append(n.scopes, client.Scope{Name: scope.Name, Server: s.ID, Groups: scope.Groups})
		}
	}
	for _, c := range b.Clients {
		n.clients = append(n.clients, client.Client{ID: c.ID, Scopes: c.Scopes, Grants: c.Grants, RedirectURIs: c.RedirectURIs})
	}
	return n
}

// read adds what the user pool holds.
func (n *names) read(ctx context.Context, st *Store) error {
	groups, err := st.Pool.ListGroups(ctx)
	if err != nil {
		return fmt.Errorf("list groups: %w", err)
	}
	scopes, err := st.Clients.Scopes(ctx)
	if err != nil {
		return fmt.Errorf("list scopes: %w", err)
	}
	clients, err := st.Clients.List(ctx)
	if err != nil {
		return fmt.Errorf("list clients: %w", err)
	}
	n.groups = append(n.groups, pool.Names(groups)...)
	for _, s := range scopes {
		// The file's own word stands: the pool follows it at the next start.
		if !slices.ContainsFunc(n.scopes, func(have client.Scope) bool { return have.Name == s.Name }) {
			n.scopes = append(n.scopes, s)
		}
	}
	for _, c := range clients {
		if !slices.ContainsFunc(n.clients, func(have client.Client) bool { return have.ID == c.ID }) {
			n.clients = append(n.clients, c)
		}
	}
	n.complete = true
	return n.readUsers(ctx, st)
}

// readUsers adds those whom rules name and the user pool knows, by username or
// subject; a deleted one's username nobody can take.
func (n *names) readUsers(ctx context.Context, st *Store) error {
	for _, rule := range n.config.Rules() {
		if rule.Allow.When == nil {
			continue
		}
		for _, name := range usersIn(rule.Allow.When) {
			known, err := knows(ctx, st.Pool, name)
			if err != nil {
				return fmt.Errorf("look for user %q: %w", name, err)
			}
			if known {
				n.users = append(n.users, name)
			}
		}
	}
	return nil
}

// usersIn returns the users that c names.
func usersIn(c *policy.Condition) []string {
	all := slices.Clone(c.Users)
	for _, part := range slices.Concat(c.AnyOf, c.AllOf) {
		all = append(all, usersIn(&part)...)
	}
	return all
}

func knows(ctx context.Context, people *pool.Pool, name string) (bool, error) {
	for _, look := range []func(context.Context, string) (pool.User, error){people.Find, people.Get} {
		if _, err := look(ctx, name); !errors.Is(err, pool.ErrNotFound) {
			return err == nil, err
		}
	}
	return people.Buried(ctx, name)
}

// claimable reports whether whoever signs up may take that username: nobody is
// known to have it, it does not look like the subject of somebody here, and is no
// address or number, which only its owner may take.
func (n *names) claimable(name string) bool {
	taken := func(other string) bool { return pool.Canonical(other) == pool.Canonical(name) }
	subject := len(name) == 36 && strings.Count(name, "-") == 4
	return !subject && !strings.HasPrefix(name, "+") && !strings.Contains(name, "@") && !slices.ContainsFunc(n.users, taken)
}

// strength is what the built-in provider can say of a sign-in.
func strength(c *idp.Config) *policy.Strength {
	if c.MFA.Mode == mfa.Off {
		return &policy.Strength{}
	}
	return &policy.Strength{MFA: true, ACR: []string{mfa.ACR}}
}

// known returns what linting may rely on. What a foreign issuer's claims may
// hold is not known.
func (n *names) known() policy.Known {
	c := n.config
	k := policy.Known{Now: n.now, Clients: []string{}}
	foreignGroups, foreignScopes := false, false
	for _, p := range c.Login.Providers {
		foreignGroups, foreignScopes = foreignGroups || p.GroupsClaim != "", foreignScopes || p.ScopeClaim != ""
		k.Clients = append(k.Clients, p.ClientID)
	}
	for _, i := range c.Bearer.Issuers {
		foreignGroups, foreignScopes = foreignGroups || i.GroupsClaim != "", foreignScopes || i.ScopeClaim != ""
		k.Clients = append(k.Clients, i.Clients...)
	}
	if c.IDP != nil && len(c.Login.Providers) == 0 {
		k.Clients = append(k.Clients, idp.GatewayClient)
		k.OpaqueSubjects = len(c.Bearer.Issuers) == 0
		if k.OpaqueSubjects {
			k.Strength = strength(c.IDP)
		}
		// Without usernames to sign in with, a sign-up chooses none.
		if c.IDP.Account.SignUp == account.Open && slices.Contains(c.IDP.Pool.SignInWith, pool.ByUsername) {
			k.Claimable = n.claimable
		}
	}
	if !foreignGroups && (n.complete || len(n.groups) > 0) {
		k.Groups = append([]string{}, n.groups...)
	}
	if !foreignScopes && (n.complete || len(n.scopes) > 0) {
		k.Scopes = n.reaches()
	}
	for _, own := range n.clients {
		k.Clients = append(k.Clients, own.ID)
	}
	if !n.complete && len(n.clients) == 0 {
		k.Clients = nil
	}
	return k
}

// reaches says of each scope who can have it.
func (n *names) reaches() map[string]policy.Reach {
	all := map[string]policy.Reach{}
	if n.config.IDP != nil {
		for _, name := range []string{client.OpenID, client.Email, client.Profile, client.Phone, client.UserAdmin} {
			all[name] = policy.ReachUnknown
		}
	}
	for _, s := range n.scopes {
		reach := policy.ReachUnknown
		if n.complete {
			reach = policy.ReachNobody
		}
		if slices.ContainsFunc(n.clients, func(c client.Client) bool { return gets(c, s) }) {
			reach = policy.ReachSome
		}
		if slices.Contains(n.config.Login.Scopes, s.Name) {
			if reach = policy.ReachSome; len(s.Groups) == 0 {
				reach = policy.ReachAll
			}
		}
		all[s.Name] = reach
	}
	return all
}

// gets tells whether c could have a token with s: one that is tied to groups
// needs a person.
func gets(c client.Client, s client.Scope) bool {
	person := len(c.RedirectURIs) > 0 || slices.Contains(c.Grants, client.AuthorizationCode)
	return !c.Managed && slices.Contains(c.Scopes, s.Name) && (person || len(s.Groups) == 0)
}
