package idp

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/idp/admin"
	"gatehouse/idp/client"
)

// machines returns the rights of administrators that clients have by themselves,
// by the ids of the clients.
func (c *Config) machines() map[string][]string {
	if c.Admin == nil {
		return nil
	}
	rights := map[string][]string{}
	for id := range c.Admin.Machines {
		rights[id] = c.Admin.OfMachine(id)
	}
	return rights
}

// putAdmin makes the rights of administrators scopes, each tied to the groups
// that give it, or removes them where nobody administers.
func (p *Provider) putAdmin(ctx context.Context) error {
	c := p.cfg.Admin
	if c == nil {
		err := p.Clients.DeleteServer(ctx, admin.Server)
		if errors.Is(err, client.ErrNotFound) {
			return nil
		}
		return err
	}
	if err := p.Clients.PutServer(ctx, client.ResourceServer{ID: admin.Server, Name: "Administration of gatehouse"}); err != nil {
		return err
	}
	for _, right := range admin.Rights() {
		// A scope without groups would be everybody's. No group has this name: it
		// has a comma.
		groups := c.GroupsWith(right)
		if len(groups) == 0 {
			groups = []string{",nobody"}
		}
		scope := client.Scope{Name: right, Server: admin.Server, Description: "Administer gatehouse: " + right, Groups: groups}
		if err := p.Clients.PutScope(ctx, scope); err != nil {
			return fmt.Errorf("right %s: %w", right, err)
		}
	}
	return nil
}
