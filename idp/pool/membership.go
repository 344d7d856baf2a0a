package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gatehouse/internal/audit"
)

// GroupsOf returns the groups of a user ordered by precedence.
func (p *Pool) GroupsOf(ctx context.Context, userID string) ([]Group, error) {
	groups, err := p.has.Members.GroupsOf(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("list groups of user %s: %w", userID, err)
	}
	ByPrecedence(groups)
	return groups, nil
}

// UsersIn returns the users of a group, or ErrNotFound.
func (p *Pool) UsersIn(ctx context.Context, group string) ([]User, error) {
	if _, err := p.has.Groups.Find(ctx, group); err != nil {
		return nil, fmt.Errorf("find group %q: %w", group, err)
	}
	return p.has.Members.UsersIn(ctx, group)
}

// FindGroup returns the group of that name, or ErrNotFound.
func (p *Pool) FindGroup(ctx context.Context, name string) (Group, error) {
	return p.has.Groups.Find(ctx, name)
}

// ListGroups returns all groups ordered by precedence.
func (p *Pool) ListGroups(ctx context.Context) ([]Group, error) {
	groups, err := p.has.Groups.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	ByPrecedence(groups)
	return groups, nil
}

// AddGroup makes a group; ErrInvalid, ErrExists.
func (p *Pool) AddGroup(ctx context.Context, g Group) error {
	if err := g.check(); err != nil {
		return err
	}
	return p.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := p.has.Groups.Insert(ctx, g); err != nil {
			return fmt.Errorf("add group %q: %w", g.Name, err)
		}
		return p.has.Journal.Append(ctx, audit.Event{Type: "group.created", Target: g.Name})
	})
}

// PutGroup makes a group or replaces its description, precedence and role. It
// writes nothing when nothing differs.
func (p *Pool) PutGroup(ctx context.Context, g Group) error {
	if err := g.check(); err != nil {
		return err
	}
	return p.has.Journal.InTx(ctx, func(ctx context.Context) error {
		have, err := p.has.Groups.Find(ctx, g.Name)
		if errors.Is(err, ErrNotFound) {
			return p.AddGroup(ctx, g)
		}
		if err != nil || sameGroup(have, g) {
			return err
		}
		if err := p.has.Groups.Update(ctx, g); err != nil {
			return fmt.Errorf("update group %q: %w", g.Name, err)
		}
		return p.has.Journal.Append(ctx, audit.Event{Type: "group.updated", Target: g.Name})
	})
}

// DeleteGroup removes a group; its members lose it as if each had left.
func (p *Pool) DeleteGroup(ctx context.Context, name string) error {
	return p.has.Journal.InTx(ctx, func(ctx context.Context) error {
		members, err := p.UsersIn(ctx, name)
		if err != nil {
			return err
		}
		for _, u := range members {
			if err := p.RemoveFromGroup(ctx, u.ID, name); err != nil {
				return err
			}
		}
		if err := p.has.Groups.Delete(ctx, name); err != nil {
			return fmt.Errorf("delete group %q: %w", name, err)
		}
		return p.has.Journal.Append(ctx, audit.Event{Type: "group.deleted", Target: name})
	})
}

// AddToGroup puts a user into a group. A new membership ends the user's sessions
// and tokens, since a rule may refuse members (`not: {groups: …}`).
func (p *Pool) AddToGroup(ctx context.Context, userID, group string) error {
	return p.membership(ctx, userID, group, "user.group_added", p.has.Members.Join)
}

// RemoveFromGroup takes a user out of a group and ends sessions and tokens. It is
// no error when the user was not in it.
func (p *Pool) RemoveFromGroup(ctx context.Context, userID, group string) error {
	return p.membership(ctx, userID, group, "user.group_removed", p.has.Members.Leave)
}

// SetGroups makes the groups of a user those named, in one transaction; each one
// that is new or gone counts as AddToGroup and RemoveFromGroup. It writes nothing
// when nothing differs. ErrNotFound.
func (p *Pool) SetGroups(ctx context.Context, userID string, names []string) error {
	return p.has.Journal.InTx(ctx, func(ctx context.Context) error {
		groups, err := p.GroupsOf(ctx, userID)
		if err != nil {
			return err
		}
		have := Names(groups)
		for _, g := range names {
			if !slices.Contains(have, g) {
				if err := p.AddToGroup(ctx, userID, g); err != nil {
					return err
				}
			}
		}
		for _, g := range have {
			if !slices.Contains(names, g) {
				if err := p.RemoveFromGroup(ctx, userID, g); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (p *Pool) membership(ctx context.Context, userID, group, event string, do func(ctx context.Context, userID, group string) (bool, error)) error {
	return p.has.Journal.InTx(ctx, func(ctx context.Context) error {
		u, err := p.has.Users.Get(ctx, userID)
		if err != nil {
			return fmt.Errorf("find user %s: %w", userID, err)
		}
		if _, err := p.has.Groups.Find(ctx, group); err != nil {
			return fmt.Errorf("find group %q: %w", group, err)
		}
		changed, err := do(ctx, userID, group)
		if err != nil || !changed {
			return err
		}
		return p.end(ctx, u, event, map[string]string{"group": group})
	})
}

func sameGroup(a, b Group) bool {
	same := a.Precedence == nil && b.Precedence == nil ||
		a.Precedence != nil && b.Precedence != nil && *a.Precedence == *b.Precedence
	return same && a.Description == b.Description && a.RoleARN == b.RoleARN
}
