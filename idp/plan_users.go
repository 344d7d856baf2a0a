package idp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/idp/pool"
)

func (p *planner) users(ctx context.Context) error {
	for i := range p.plan.want.Users {
		u := &p.plan.want.Users[i]
		if err := p.user(ctx, u); err != nil {
			return at(u.Pos, err)
		}
	}
	return nil
}

// user plans for one declared user. Passwords are never compared: that would be a
// guess at them every time.
func (p *planner) user(ctx context.Context, u *UserSeed) error {
	have, err := p.Pool.Find(ctx, u.Username)
	if errors.Is(err, pool.ErrNotFound) {
		buried, err := p.Pool.Buried(ctx, u.Username)
		if err != nil {
			return err
		}
		if buried && !p.plan.reach.Users {
			p.plan.Notes = append(p.plan.Notes, Note{User: u.Username, Deleted: true, Pos: u.Pos})
			return nil
		}
		p.newUser(u)
		return nil
	}
	if err != nil {
		return fmt.Errorf("find user %q: %w", u.Username, err)
	}
	groups, err := p.Pool.GroupsOf(ctx, have.ID)
	if err != nil {
		return err
	}
	fields := u.differences(have, pool.Names(groups))
	if len(fields) == 0 {
		return nil
	}
	if !p.plan.reach.Users {
		note := Note{User: u.Username, Pos: u.Pos}
		for _, f := range fields {
			note.Differs = append(note.Differs, f.Name)
		}
		slices.Sort(note.Differs)
		p.plan.Notes = append(p.plan.Notes, note)
		return nil
	}
	if pool.Canonical(have.Username) != pool.Canonical(u.Username) {
		return fmt.Errorf("user %q: that is the address or number of %q: %w", u.Username, have.Username, pool.ErrExists)
	}
	p.add(Change{
		Verb: Alter, What: "user", Name: u.Username, Fields: fields, Pos: u.Pos,
		apply: func(ctx context.Context) error { return p.overwrite(ctx, have, u) },
	})
	return nil
}

func (p *planner) newUser(u *UserSeed) {
	n := pool.NewUser{
		Username: u.Username, Email: u.Email, EmailVerified: u.EmailVerified, Phone: u.Phone, PhoneVerified: u.PhoneVerified,
		Name: u.Name, Attributes: u.Attributes, Password: u.Password.Reveal(), Groups: u.Groups,
	}
	fields := u.differences(pool.User{Enabled: true}, nil)
	if n.Password != "" {
		fields = append(fields, Field{"password", "", "***"})
	}
	p.add(Change{
		Verb: Add, What: "user", Name: u.Username, Fields: fields, Pos: u.Pos,
		prepare: func(ctx context.Context) (err error) {
			n, err = p.Pool.Hashed(ctx, n)
			return err
		},
		apply: func(ctx context.Context) error {
			_, err := p.Pool.Add(ctx, n)
			return err
		},
	})
}

// differences are what u says otherwise than have, who is in groups.
func (u *UserSeed) differences(have pool.User, groups []string) []Field {
	sorted := func(names []string) string {
		return strings.Join(slices.Compact(slices.Sorted(slices.Values(names))), " ")
	}
	fields := differing(
		Field{"enabled", fmt.Sprint(have.Enabled), "true"},
		Field{"email", have.Email, u.Email},
		Field{"email_verified", fmt.Sprint(have.EmailVerified), fmt.Sprint(u.EmailVerified)},
		Field{"phone", have.Phone, u.Phone},
		Field{"phone_verified", fmt.Sprint(have.PhoneVerified), fmt.Sprint(u.PhoneVerified)},
		Field{"name", have.Name, u.Name})
	names := slices.Concat(slices.Collect(maps.Keys(have.Attributes)), slices.Collect(maps.Keys(u.Attributes)))
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		fields = append(fields, differing(Field{name, have.Attributes[name], u.Attributes[name]})...)
	}
	return append(fields, differing(Field{"groups", sorted(groups), sorted(u.Groups)})...)
}

// overwrite makes a user what the file says.
func (p *planner) overwrite(ctx context.Context, have pool.User, u *UserSeed) error {
	attributes := maps.Clone(u.Attributes)
	if attributes == nil {
		attributes = map[string]string{}
	}
	for name := range have.Attributes {
		if _, kept := attributes[name]; !kept {
			attributes[name] = ""
		}
	}
	err := p.Pool.Change(ctx, have.ID, pool.Changes{
		Email: &u.Email, Phone: &u.Phone, Name: &u.Name, EmailVerified: &u.EmailVerified, PhoneVerified: &u.PhoneVerified, Attributes: attributes,
	})
	if err != nil {
		return err
	}
	if !have.Enabled {
		if err := p.Pool.Enable(ctx, have.ID); err != nil {
			return err
		}
	}
	return p.Pool.SetGroups(ctx, have.ID, u.Groups)
}

// pruneUsers removes the users that are declared nowhere.
func (p *planner) pruneUsers(ctx context.Context) error {
	declared := map[string]bool{}
	p.stands(func(b *Bootstrap) bool {
		for _, u := range b.Users {
			declared[pool.Canonical(u.Username)] = true
		}
		return false // so that both are asked
	})
	for after := ""; ; {
		page, err := p.Pool.List(ctx, after, 500)
		if err != nil {
			return fmt.Errorf("list users: %w", err)
		}
		for _, u := range page {
			if after = u.Username; !declared[pool.Canonical(u.Username)] {
				p.add(Change{
					Verb: Remove, What: "user", Name: u.Username,
					apply: func(ctx context.Context) error { return p.Pool.Delete(ctx, u.ID) },
				})
			}
		}
		if len(page) < 500 {
			return nil
		}
	}
}
