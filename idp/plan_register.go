package idp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gatehouse/idp/admin"
	"gatehouse/idp/client"
	"gatehouse/idp/pool"
)

func (p *planner) groups(ctx context.Context) error {
	for _, g := range p.plan.want.Groups {
		want := pool.Group{Name: g.Name, Description: g.Description, Precedence: g.Precedence, RoleARN: g.RoleARN}
		have, err := p.Pool.FindGroup(ctx, g.Name)
		verb := Alter
		if errors.Is(err, pool.ErrNotFound) {
			verb = Add
		} else if err != nil {
			return at(g.Pos, err)
		}
		fields := differing(
			Field{"description", have.Description, want.Description},
			Field{"precedence", numberText(have.Precedence), numberText(want.Precedence)},
			Field{"role_arn", have.RoleARN, want.RoleARN})
		if verb == Add || len(fields) > 0 {
			p.add(Change{
				Verb: verb, What: "group", Name: g.Name, Fields: fields, Pos: g.Pos,
				apply: func(ctx context.Context) error { return p.Pool.PutGroup(ctx, want) },
			})
		}
	}
	return nil
}

func numberText(n *int) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(*n)
}

func (p *planner) servers(ctx context.Context) error {
	servers, err := p.Clients.Servers(ctx)
	if err != nil {
		return fmt.Errorf("list resource servers: %w", err)
	}
	scopes, err := p.Clients.Scopes(ctx)
	if err != nil {
		return fmt.Errorf("list scopes: %w", err)
	}
	for _, s := range p.plan.want.ResourceServers {
		want := client.ResourceServer{ID: s.ID, Name: s.Name}
		if want.Name == "" {
			want.Name = s.ID
		}
		i := slices.IndexFunc(servers, func(have client.ResourceServer) bool { return have.ID == s.ID })
		verb, have := Add, client.ResourceServer{}
		if i >= 0 {
			verb, have = Alter, servers[i]
		}
		if fields := differing(Field{"name", have.Name, want.Name}); len(fields) > 0 {
			p.add(Change{
				Verb: verb, What: "resource server", Name: s.ID, Fields: fields, Pos: s.Pos,
				apply: func(ctx context.Context) error { return p.Clients.PutServer(ctx, want) },
			})
		}
		for _, scope := range s.Scopes {
			if err := p.scope(s.ID, scope, scopes); err != nil {
				return at(scope.Pos, err)
			}
		}
	}
	return nil
}

func (p *planner) scope(server string, s ScopeSeed, scopes []client.Scope) error {
	want := client.Scope{Name: s.Name, Server: server, Description: s.Description, Groups: s.Groups}
	i := slices.IndexFunc(scopes, func(have client.Scope) bool { return have.Name == s.Name })
	verb, have := Add, client.Scope{}
	if i >= 0 {
		verb, have = Alter, scopes[i]
		if have.Server != server {
			return fmt.Errorf("scope %q belongs to resource server %q: %w", s.Name, have.Server, client.ErrExists)
		}
	}
	fields := differing(
		Field{"description", have.Description, want.Description},
		Field{"groups", strings.Join(have.Groups, " "), strings.Join(want.Groups, " ")})
	if verb == Add || len(fields) > 0 {
		p.add(Change{
			Verb: verb, What: "scope", Name: s.Name, Fields: fields, Pos: s.Pos,
			apply: func(ctx context.Context) error { return p.Clients.PutScope(ctx, want) },
		})
	}
	return nil
}

func (p *planner) clients(ctx context.Context) error {
	for i := range p.plan.want.Clients {
		c := &p.plan.want.Clients[i]
		verb := Alter
		differs, err := p.Clients.Differences(ctx, c.client(), c.Secret.Reveal())
		if errors.Is(err, client.ErrNotFound) {
			verb, differs = Add, newClientFields(c)
		} else if err != nil {
			return at(c.Pos, fmt.Errorf("client %q: %w", c.ID, err))
		}
		if verb == Alter && len(differs) == 0 {
			continue
		}
		var fields []Field
		for _, d := range differs {
			fields = append(fields, Field{d.Field, d.From, d.To})
		}
		p.add(Change{
			Verb: verb, What: "client", Name: c.ID, Fields: fields, Pos: c.Pos,
			apply: func(ctx context.Context) error { return p.Clients.Put(ctx, c.client(), c.Secret.Reveal()) },
		})
	}
	return nil
}

// newClientFields are what is worth reading of a client that is made.
func newClientFields(c *ClientSeed) []client.Difference {
	n := c.client()
	out := []client.Difference{{Field: "name", To: n.Name}}
	if n.Public {
		out = append(out, client.Difference{Field: "public", To: "true"})
	} else {
		out = append(out, client.Difference{Field: "secret", To: "***"})
	}
	for _, list := range []struct {
		field string
		to    []string
	}{{"redirect_uris", n.RedirectURIs}, {"sign_out_uris", n.SignOutURIs}, {"scopes", n.Scopes}, {"grants", n.Grants}} {
		if len(list.to) > 0 {
			out = append(out, client.Difference{Field: list.field, To: strings.Join(list.to, " ")})
		}
	}
	return out
}

func (p *planner) pruneClients(ctx context.Context) error {
	clients, err := p.Clients.List(ctx)
	if err != nil {
		return fmt.Errorf("list clients: %w", err)
	}
	for _, c := range clients {
		stands := p.stands(func(b *Bootstrap) bool {
			return slices.ContainsFunc(b.Clients, func(s ClientSeed) bool { return s.ID == c.ID })
		})
		if !stands && !c.Managed {
			p.remove("client", c.ID, p.Clients.Delete)
		}
	}
	return nil
}

func (p *planner) pruneServers(ctx context.Context) error {
	scopes, err := p.Clients.Scopes(ctx)
	if err != nil {
		return fmt.Errorf("list scopes: %w", err)
	}
	for _, have := range scopes {
		if have.Server == admin.Server {
			continue // the rights of administrators are idp.admin's
		}
		stands := p.stands(func(b *Bootstrap) bool {
			return slices.ContainsFunc(b.ResourceServers, func(s ServerSeed) bool {
				return slices.ContainsFunc(s.Scopes, func(sc ScopeSeed) bool { return sc.Name == have.Name })
			})
		})
		if !stands {
			p.remove("scope", have.Name, p.Clients.DeleteScope)
		}
	}
	servers, err := p.Clients.Servers(ctx)
	if err != nil {
		return fmt.Errorf("list resource servers: %w", err)
	}
	for _, have := range servers {
		if have.ID == admin.Server {
			continue
		}
		stands := p.stands(func(b *Bootstrap) bool {
			return slices.ContainsFunc(b.ResourceServers, func(s ServerSeed) bool { return s.ID == have.ID })
		})
		if !stands {
			p.remove("resource server", have.ID, p.Clients.DeleteServer)
		}
	}
	return nil
}

func (p *planner) pruneGroups(ctx context.Context) error {
	groups, err := p.Pool.ListGroups(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		stands := p.stands(func(b *Bootstrap) bool {
			return slices.ContainsFunc(b.Groups, func(s GroupSeed) bool { return s.Name == g.Name })
		})
		if !stands {
			p.remove("group", g.Name, p.Pool.DeleteGroup)
		}
	}
	return nil
}

func (p *planner) remove(what, name string, do func(context.Context, string) error) {
	p.add(Change{Verb: Remove, What: what, Name: name, apply: func(ctx context.Context) error { return do(ctx, name) }})
}
