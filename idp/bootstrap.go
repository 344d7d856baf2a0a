package idp

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/idp/client"
	"gatehouse/internal/audit"
)

// starts is how often a start plans anew when another one came before it.
const starts = 5

// Bootstrap brings the store in line with the configuration: groups, resource
// servers, scopes and clients are made as they stand there, and removed when
// they do not and prune is set; users are made when absent. What exists of a
// user is never changed: a difference is one warning in the log. The rights of
// administrators come first, in a transaction of their own; the rest is another.
// It may be called again; a second call writes nothing.
func (p *Provider) Bootstrap(ctx context.Context) error {
	ctx = audit.WithActor(ctx, audit.Actor{Name: "bootstrap"})
	// Clients and users may have rights, so that these are there before.
	if err := p.journal.InTx(ctx, p.putAdmin); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	for n := 1; ; n++ {
		plan, err := p.Plan(ctx, &p.cfg.Bootstrap, Reach{Prune: p.cfg.Bootstrap.Prune})
		if err == nil {
			err = p.Apply(ctx, plan)
		}
		if errors.Is(err, ErrMoved) && n < starts {
			continue // another server starts on the same store
		}
		if err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
		p.tell(ctx, plan)
		return nil
	}
}

// tell logs what people may not expect.
func (p *Provider) tell(ctx context.Context, plan *Plan) {
	for _, n := range plan.Notes {
		if n.Deleted {
			p.deps.Log.WarnContext(ctx, "user of the configuration was deleted and is not made again", "user", n.User, "at", n.Pos.String())
			continue
		}
		p.deps.Log.WarnContext(ctx, "user differs from the configuration and is left as is", "user", n.User,
			"differs", n.Differs, "at", n.Pos.String())
	}
	for _, c := range plan.Changes {
		if c.Verb == Remove {
			p.deps.Log.WarnContext(ctx, "removed, for it does not stand in the configuration", "what", c.What, "name", c.Name)
		}
	}
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
