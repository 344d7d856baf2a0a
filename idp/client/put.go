package client

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"gatehouse/internal/audit"
)

// Put makes the client as the configuration wants it: it is added when absent
// and replaced when it differs, secret included ("" for a public client). What
// was issued to it stays valid unless it lost a grant or a scope. It is how
// wiring registers the gateway's own client and idp.bootstrap its clients; a
// managed client stays managed by it alone. ErrInvalid.
func (c *Clients) Put(ctx context.Context, n Client, secret string) error {
	n = n.withDefaults()
	n.Secrets = nil
	if n.Public != (secret == "") {
		return fmt.Errorf("put client %q: %w: a confidential client has a secret and a public one has none", n.ID, ErrInvalid)
	}
	return c.has.Journal.InTx(ctx, func(ctx context.Context) error {
		have, err := c.has.Rows.Find(ctx, n.ID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("find client %q: %w", n.ID, err)
		}
		exists := err == nil
		if err := c.fill(&n, have, secret); err != nil {
			return fmt.Errorf("put client %q: %w", n.ID, err)
		}
		switch {
		case !exists:
			return c.write(ctx, "client.created", n.ID, func(ctx context.Context) error { return c.has.Rows.Insert(ctx, n) })
		case same(have, n):
			return nil
		}
		n.Updated = c.has.Now()
		if err := c.has.Rows.Update(ctx, n); err != nil {
			return fmt.Errorf("put client %q: %w", n.ID, err)
		}
		return c.append(ctx, "client.updated", n.ID, lost(have, n))
	})
}

// fill gives n the times and the secret of have where they still hold.
func (c *Clients) fill(n *Client, have Client, secret string) error {
	now := c.has.Now()
	n.Created, n.Updated = now, now
	if have.ID != "" {
		n.Created, n.Updated = have.Created, have.Updated
	}
	if secret != "" {
		i := slices.IndexFunc(have.Secrets, func(s Secret) bool { return s.is(secret) })
		if i >= 0 {
			n.Secrets = have.Secrets
		} else {
			s, err := newSecret(secret, now)
			if err != nil {
				return err
			}
			n.Secrets = []Secret{s}
		}
	}
	return n.check()
}

// same reports whether nothing differs; an empty list equals none.
func same(a, b Client) bool {
	norm := func(c Client) Client {
		for _, list := range []*[]string{&c.RedirectURIs, &c.SignOutURIs, &c.Scopes, &c.Grants} {
			if len(*list) == 0 {
				*list = nil
			}
		}
		c.Secrets = slices.Clone(c.Secrets)
		for i := range c.Secrets {
			c.Secrets[i].Created = c.Secrets[i].Created.UTC()
		}
		grace := c.Grace()
		c.RefreshGrace = &grace
		c.Created, c.Updated = c.Created.UTC(), c.Updated.UTC()
		return c
	}
	return reflect.DeepEqual(norm(a), norm(b))
}

// lost reports whether b may do less than a.
func lost(a, b Client) bool {
	missing := func(from, in []string) bool {
		return slices.ContainsFunc(from, func(s string) bool { return !slices.Contains(in, s) })
	}
	return missing(a.Grants, b.Grants) || missing(a.Scopes, b.Scopes) || a.Public != b.Public
}

// PutServer adds or replaces a resource server; it writes nothing when nothing
// differs. ErrInvalid.
func (c *Clients) PutServer(ctx context.Context, s ResourceServer) error {
	if !serverPattern.MatchString(s.ID) || len(s.Name) > 256 {
		return fmt.Errorf("%w: a resource server's id has 1 to 256 printable characters, its name at most 256", ErrInvalid)
	}
	return c.has.Journal.InTx(ctx, func(ctx context.Context) error {
		servers, err := c.has.Scopes.Servers(ctx)
		if err != nil || slices.Contains(servers, s) {
			return err
		}
		if err := c.has.Scopes.PutServer(ctx, s); err != nil {
			return fmt.Errorf("put resource server %q: %w", s.ID, err)
		}
		return c.has.Journal.Append(ctx, audit.Event{Type: "resource_server.put", Target: s.ID})
	})
}

// PutScope adds or replaces a scope; it writes nothing when nothing differs. The
// server must exist, and a scope stays with its server. ErrInvalid, ErrNotFound,
// ErrExists.
func (c *Clients) PutScope(ctx context.Context, s Scope) error {
	if err := s.check(); err != nil {
		return err
	}
	return c.has.Journal.InTx(ctx, func(ctx context.Context) error {
		servers, err := c.has.Scopes.Servers(ctx)
		if err != nil {
			return fmt.Errorf("list resource servers: %w", err)
		}
		if !slices.ContainsFunc(servers, func(r ResourceServer) bool { return r.ID == s.Server }) {
			return fmt.Errorf("put scope %q: resource server %q: %w", s.Name, s.Server, ErrNotFound)
		}
		scopes, err := c.has.Scopes.Scopes(ctx)
		if err != nil {
			return fmt.Errorf("list scopes: %w", err)
		}
		for _, have := range scopes {
			if have.Name != s.Name {
				continue
			}
			if have.Server != s.Server {
				return fmt.Errorf("put scope %q: it belongs to resource server %q: %w", s.Name, have.Server, ErrExists)
			}
			if have.Description == s.Description && slices.Equal(have.Groups, s.Groups) {
				return nil
			}
		}
		if err := c.has.Scopes.PutScope(ctx, s); err != nil {
			return fmt.Errorf("put scope %q: %w", s.Name, err)
		}
		return c.has.Journal.Append(ctx, audit.Event{Type: "scope.put", Target: s.Name})
	})
}

// DeleteServer removes a resource server with its scopes; ErrNotFound.
func (c *Clients) DeleteServer(ctx context.Context, id string) error {
	return c.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := c.has.Scopes.DeleteServer(ctx, id); err != nil {
			return fmt.Errorf("delete resource server %q: %w", id, err)
		}
		return c.has.Journal.Append(ctx, audit.Event{Type: "resource_server.deleted", Target: id})
	})
}

// DeleteScope removes a scope; clients that list it are silently not given it.
func (c *Clients) DeleteScope(ctx context.Context, name string) error {
	return c.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := c.has.Scopes.DeleteScope(ctx, name); err != nil {
			return fmt.Errorf("delete scope %q: %w", name, err)
		}
		return c.has.Journal.Append(ctx, audit.Event{Type: "scope.deleted", Target: name})
	})
}

// Servers returns all resource servers ordered by id.
func (c *Clients) Servers(ctx context.Context) ([]ResourceServer, error) {
	return c.has.Scopes.Servers(ctx)
}

// Scopes returns all scopes of resource servers ordered by name.
func (c *Clients) Scopes(ctx context.Context) ([]Scope, error) { return c.has.Scopes.Scopes(ctx) }

// Allowed returns those of wanted, in their order and each once, that cl may be
// given now on behalf of a member of groups: listed by the client, existing, and
// tied to no group or to one of groups. It never returns ErrNotFound: what does
// not exist is left out.
func (c *Clients) Allowed(ctx context.Context, cl Client, wanted, groups []string) ([]string, error) {
	scopes, err := c.has.Scopes.Scopes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list scopes: %w", err)
	}
	var allowed []string
	for _, name := range wanted {
		if !slices.Contains(cl.Scopes, name) || slices.Contains(allowed, name) {
			continue
		}
		i := slices.IndexFunc(scopes, func(s Scope) bool { return s.Name == name })
		if Standard(name) || i >= 0 && scopes[i].grantable(groups) {
			allowed = append(allowed, name)
		}
	}
	return allowed, nil
}

// AllowedMachine is Allowed for a client that acts for nobody: no scope of OpenID
// Connect, and none tied to groups but those that Parts.Machines says.
func (c *Clients) AllowedMachine(ctx context.Context, cl Client, wanted []string) ([]string, error) {
	allowed, err := c.Allowed(ctx, cl, wanted, nil)
	if err != nil {
		return nil, err
	}
	allowed = slices.DeleteFunc(allowed, Standard)
	for _, name := range c.has.Machines[cl.ID] {
		wants := slices.Contains(wanted, name) && slices.Contains(cl.Scopes, name)
		if wants && !cl.Public && !slices.Contains(allowed, name) {
			allowed = append(allowed, name)
		}
	}
	return allowed, nil
}
