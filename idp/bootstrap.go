package idp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"gatehouse/idp/admin"
	"gatehouse/idp/client"
	"gatehouse/idp/pool"
	"gatehouse/internal/audit"
	"gatehouse/internal/conf"
)

// Bootstrap brings the store in line with the configuration: groups, resource
// servers, scopes and clients are made as they stand there, and removed when
// they do not and prune is set; users are made when absent. What exists of a
// user is never changed: a difference is one warning in the
// log. It may be called again; a second call writes nothing.
func (p *Provider) Bootstrap(ctx context.Context) error {
	ctx = audit.WithActor(ctx, audit.Actor{Name: "bootstrap"})
	b := &p.cfg.Bootstrap
	// In this order: scopes may name groups, clients scopes, users groups.
	for _, step := range []func(context.Context, *Bootstrap) error{p.putGroups, p.putServers, p.putAdmin, p.putClients, p.addUsers} {
		if err := step(ctx, b); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
	}
	if !b.Prune {
		return nil
	}
	// The reverse order, so that nothing is removed that is still named.
	for _, step := range []func(context.Context, *Bootstrap) error{p.pruneClients, p.pruneServers, p.pruneGroups} {
		if err := step(ctx, b); err != nil {
			return fmt.Errorf("bootstrap: prune: %w", err)
		}
	}
	return nil
}

// at adds to an error where in the file its cause stands.
func at(pos conf.Pos, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", pos, err)
}

func (p *Provider) putGroups(ctx context.Context, b *Bootstrap) error {
	for _, g := range b.Groups {
		group := pool.Group{Name: g.Name, Description: g.Description, Precedence: g.Precedence, RoleARN: g.RoleARN}
		if err := p.Pool.PutGroup(ctx, group); err != nil {
			return at(g.Pos, err)
		}
	}
	return nil
}

func (p *Provider) putServers(ctx context.Context, b *Bootstrap) error {
	for _, s := range b.ResourceServers {
		name := s.Name
		if name == "" {
			name = s.ID
		}
		if err := p.Clients.PutServer(ctx, client.ResourceServer{ID: s.ID, Name: name}); err != nil {
			return at(s.Pos, err)
		}
		for _, scope := range s.Scopes {
			row := client.Scope{Name: scope.Name, Server: s.ID, Description: scope.Description, Groups: scope.Groups}
			if err := p.Clients.PutScope(ctx, row); err != nil {
				return at(scope.Pos, err)
			}
		}
	}
	return nil
}

func (p *Provider) putClients(ctx context.Context, b *Bootstrap) error {
	for _, c := range b.Clients {
		if err := p.Clients.Put(ctx, c.client(), c.Secret.Reveal()); err != nil {
			return at(c.Pos, err)
		}
	}
	return nil
}

// client returns the client that c describes.
func (c *ClientSeed) client() client.Client {
	name := c.Name
	if name == "" {
		name = c.ID
	}
	return client.Client{
		ID: c.ID, Name: name, Public: c.Public, RedirectURIs: c.RedirectURIs, SignOutURIs: c.SignOutURIs,
		Scopes: c.Scopes, Grants: c.grants(), AccessTTL: c.AccessTTL, IDTTL: c.IDTTL, RefreshTTL: c.RefreshTTL,
		RefreshGrace: c.RefreshGrace, ReadAttributes: c.ReadAttributes, WriteAttributes: c.WriteAttributes, NoRevocation: !c.Revocation,
	}
}

func (p *Provider) addUsers(ctx context.Context, b *Bootstrap) error {
	for _, u := range b.Users {
		made, err := p.Pool.Ensure(ctx, pool.NewUser{
			Username: u.Username, Email: u.Email, EmailVerified: u.EmailVerified, Phone: u.Phone, PhoneVerified: u.PhoneVerified,
			Name: u.Name, Attributes: u.Attributes, Password: u.Password.Reveal(), Groups: u.Groups,
		})
		if err != nil {
			return at(u.Pos, err)
		}
		if !made {
			if err := p.compare(ctx, u); err != nil {
				return at(u.Pos, err)
			}
		}
	}
	return nil
}

// compare warns once for a user that the store has otherwise than the file. The
// password is not compared: that would be a guess at it at every start.
func (p *Provider) compare(ctx context.Context, u UserSeed) error {
	have, err := p.Pool.Find(ctx, u.Username)
	if errors.Is(err, pool.ErrNotFound) {
		p.deps.Log.WarnContext(ctx, "user of the configuration was deleted and is not made again", "user", u.Username, "at", u.Pos.String())
		return nil
	}
	if err != nil {
		return err
	}
	groups, err := p.Pool.GroupsOf(ctx, have.ID)
	if err != nil {
		return err
	}
	want, got := slices.Sorted(slices.Values(u.Groups)), slices.Sorted(slices.Values(pool.Names(groups)))
	var differs []string
	for name, same := range map[string]bool{
		"enabled": have.Enabled, "email": have.Email == u.Email, "name": have.Name == u.Name,
		"email_verified": have.EmailVerified == u.EmailVerified, "phone": have.Phone == u.Phone,
		"phone_verified": have.PhoneVerified == u.PhoneVerified, "attributes": maps.Equal(have.Attributes, u.Attributes), "groups": slices.Equal(want, got),
	} {
		if !same {
			differs = append(differs, name)
		}
	}
	if len(differs) > 0 {
		slices.Sort(differs)
		p.deps.Log.WarnContext(ctx, "user differs from the configuration and is left as is", "user", u.Username,
			"differs", differs, "at", u.Pos.String())
	}
	return nil
}

func (p *Provider) pruneClients(ctx context.Context, b *Bootstrap) error {
	clients, err := p.Clients.List(ctx)
	if err != nil {
		return err
	}
	for _, c := range clients {
		stands := slices.ContainsFunc(b.Clients, func(s ClientSeed) bool { return s.ID == c.ID })
		if stands || c.Managed {
			continue
		}
		if err := p.Clients.Delete(ctx, c.ID); err != nil {
			return err
		}
		p.pruned(ctx, "client", c.ID)
	}
	return nil
}

func (p *Provider) pruneServers(ctx context.Context, b *Bootstrap) error {
	scopes, err := p.Clients.Scopes(ctx)
	if err != nil {
		return err
	}
	for _, have := range scopes {
		stands := have.Server == admin.Server || slices.ContainsFunc(b.ResourceServers, func(s ServerSeed) bool {
			return slices.ContainsFunc(s.Scopes, func(sc ScopeSeed) bool { return sc.Name == have.Name })
		})
		if stands {
			continue
		}
		if err := p.Clients.DeleteScope(ctx, have.Name); err != nil {
			return err
		}
		p.pruned(ctx, "scope", have.Name)
	}
	servers, err := p.Clients.Servers(ctx)
	if err != nil {
		return err
	}
	for _, have := range servers {
		if have.ID == admin.Server || slices.ContainsFunc(b.ResourceServers, func(s ServerSeed) bool { return s.ID == have.ID }) {
			continue
		}
		if err := p.Clients.DeleteServer(ctx, have.ID); err != nil {
			return err
		}
		p.pruned(ctx, "resource server", have.ID)
	}
	return nil
}

func (p *Provider) pruneGroups(ctx context.Context, b *Bootstrap) error {
	groups, err := p.Pool.ListGroups(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if slices.ContainsFunc(b.Groups, func(s GroupSeed) bool { return s.Name == g.Name }) {
			continue
		}
		if err := p.Pool.DeleteGroup(ctx, g.Name); err != nil {
			return err
		}
		p.pruned(ctx, "group", g.Name)
	}
	return nil
}

func (p *Provider) pruned(ctx context.Context, what, name string) {
	p.deps.Log.WarnContext(ctx, "removed, for it does not stand in the configuration", "what", what, "name", name)
}
