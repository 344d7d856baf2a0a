package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gatehouse/idp/mfa"
	"gatehouse/idp/password"
	"gatehouse/idp/pool"
)

// item is a row that was checked by itself.
type item struct {
	row     Row
	refused *RowError
	// draft is the user to be made; err is why there is none. A row that makes no
	// user may still change one.
	draft pool.Draft
	err   error
	key   string // the canonical username
}

// check judges what no store is needed for.
func (i *item) check(p *pool.Pool) {
	i.key = pool.Canonical(i.row.User.Username)
	i.draft, i.err = p.Draft(i.row.User)
}

// names are what the row would take: canonical names.
func (i *item) names() []string {
	if i.err != nil {
		return []string{i.key}
	}
	return i.draft.Keys
}

func (i *item) touches(claimed map[string]bool) bool {
	return i.alone() || slices.ContainsFunc(i.names(), func(name string) bool { return claimed[name] })
}

// alone reports whether nobody can tell which names the row would take.
func (i *item) alone() bool { return i.refused == nil && i.err != nil }

// batchRun is one attempt at a batch, in a transaction.
type batchRun struct {
	m       *Importer
	result  Result
	owners  map[string]string // by canonical name
	held    map[string]bool   // ids
	groups  []string
	claimed map[string]bool // names and ids of adds
	adds    []pool.Draft
	apps    map[string][]byte // keys of authenticator apps of adds, by id
	refused []*RowError
}

// run decides about every row, in order, and then inserts what is new.
func (b *batchRun) run(ctx context.Context, batch []*item) error {
	if len(batch) == 0 {
		return nil
	}
	if err := b.look(ctx, batch); err != nil {
		return err
	}
	for _, i := range batch {
		b.result.Rows++
		refused, err := b.one(ctx, i)
		if err != nil {
			return err
		}
		if refused != nil {
			b.result.Refused++
			b.refused = append(b.refused, refused)
		}
	}
	if len(b.adds) == 0 {
		return nil
	}
	if err := b.m.has.Rows.Insert(ctx, b.adds); err != nil {
		return err
	}
	return b.m.has.Factors.BringTOTP(ctx, b.apps)
}

// look asks the store once about all of the batch.
func (b *batchRun) look(ctx context.Context, batch []*item) error {
	var names, ids []string
	groups := false
	for _, i := range batch {
		if i.refused != nil {
			continue
		}
		names = append(names, i.names()...)
		if i.row.User.ID != "" {
			ids = append(ids, i.row.User.ID)
		}
		if i.err == nil {
			ids = append(ids, i.draft.User.LikeIDs()...)
			if i.row.User.ID != "" {
				names = append(names, i.draft.User.LikeName())
			}
		}
		groups = groups || len(i.row.User.Groups) > 0
	}
	var err error
	if b.owners, err = b.m.has.Rows.Owners(ctx, names); err != nil {
		return fmt.Errorf("look for names: %w", err)
	}
	held, err := b.m.has.Rows.Held(ctx, ids)
	if err != nil {
		return fmt.Errorf("look for ids: %w", err)
	}
	b.held, b.claimed, b.apps = map[string]bool{}, map[string]bool{}, map[string][]byte{}
	for _, id := range held {
		b.held[id] = true
	}
	if !groups {
		return nil
	}
	all, err := b.m.has.Pool.ListGroups(ctx)
	b.groups = pool.Names(all)
	return err
}

// one decides about a row.
func (b *batchRun) one(ctx context.Context, i *item) (*RowError, error) {
	if i.refused != nil {
		return i.refused, nil
	}
	for _, g := range i.row.User.Groups {
		if !slices.Contains(b.groups, g) {
			return i.bad("groups", fmt.Sprintf("there is no group %.64q", g)), nil
		}
	}
	if b.m.opt.Update.any() {
		if owner := b.owners[i.key]; owner != "" {
			return b.update(ctx, i, owner)
		}
		if b.m.foreseen(i.key) {
			b.result.Updated++
			return nil, nil
		}
	}
	if i.err != nil {
		return i.wrong(i.err)
	}
	// Without it the person would sign in with less than where they come from.
	if i.row.TOTP != nil && !b.m.has.Factors.Offers(mfa.TOTP) {
		return i.bad(keyTOTP, "authenticator apps are no second factor here (idp.mfa); leave it out, and the person has none"), nil
	}
	if field := b.taken(i); field != "" {
		return i.bad(field, "it is taken, perhaps in another spelling or as another kind of name"), nil
	}
	if refused := b.alike(i); refused != nil {
		return refused, nil
	}
	b.add(i)
	return nil, nil
}

// taken returns the field of i that somebody else has, "" if none.
func (b *batchRun) taken(i *item) string {
	u := i.draft.User
	for _, name := range i.draft.Keys {
		if !b.hasName(name) {
			continue
		}
		switch {
		case name == i.key:
			return "username"
		case name == pool.Canonical(u.Email):
			return "email"
		}
		return "phone_number"
	}
	if id := i.row.User.ID; id != "" && b.hasID(id) {
		return "sub"
	}
	return ""
}

// alike refuses a username that is the id of somebody else, and the reverse. An id
// that is made here is like no name.
func (b *batchRun) alike(i *item) *RowError {
	if slices.ContainsFunc(i.draft.User.LikeIDs(), b.hasID) {
		return i.bad("username", "it is the sub of somebody else")
	}
	if i.row.User.ID != "" && b.hasName(i.draft.User.LikeName()) {
		return i.bad("sub", "it is the name of somebody else")
	}
	return nil
}

// hasName reports whether somebody has a canonical name, or will have it.
func (b *batchRun) hasName(name string) bool {
	return b.owners[name] != "" || b.claimed[name] || b.m.foreseen(name)
}

// hasID reports whether somebody has an id, or will have it.
func (b *batchRun) hasID(id string) bool {
	return b.held[id] || b.claimed["\x00"+id] || b.m.foreseen("\x00"+id)
}

func (b *batchRun) add(i *item) {
	for _, name := range i.draft.Keys {
		b.claimed[name] = true
	}
	u := i.draft.User
	b.claimed["\x00"+u.ID] = true
	b.adds = append(b.adds, i.draft)
	b.result.Added++
	if i.row.TOTP != nil {
		b.apps[u.ID] = i.row.TOTP
		b.result.Authenticators++
	}
	if (u.PasswordHash == "" || u.Status == pool.ResetRequired) && !u.EmailVerified && !u.PhoneVerified {
		b.result.Stranded++
	}
}

// update changes a user that exists, where the row says something else.
func (b *batchRun) update(ctx context.Context, i *item, owner string) (*RowError, error) {
	p, how := b.m.has.Pool, b.m.opt.Update
	u, err := p.Get(ctx, owner)
	if err != nil {
		return nil, err
	}
	if pool.Canonical(u.Username) != i.key {
		return i.bad("username", "it is the e-mail address or phone number of somebody else"), nil
	}
	if id := i.row.User.ID; id != "" && id != u.ID {
		return i.bad("sub", "the user of that name has another one"), nil
	}
	hash := i.row.User.PasswordHash
	newHash := how.Passwords && hash != "" && hash != u.PasswordHash
	if newHash {
		// Before anything is written: a row is taken as a whole or not at all.
		if err := password.CheckHash(hash); err != nil {
			return i.bad("password_hash", err.Error()), nil
		}
	}
	changed := false
	if c, differs := i.row.changes(u); how.Attributes && differs {
		if err := p.Change(ctx, u.ID, c); err != nil {
			return i.wrong(err)
		}
		changed = true
	}
	if how.Groups && i.row.said&saidGroups != 0 {
		moved, err := b.regroup(ctx, u.ID, i.row.User.Groups)
		if err != nil {
			return nil, err
		}
		changed = changed || moved
	}
	if newHash {
		if err := p.SetPasswordHash(ctx, u.ID, hash); err != nil {
			return nil, err
		}
		changed = true
	}
	if changed {
		b.result.Updated++
	} else {
		b.result.Unchanged++
	}
	return nil, nil
}

// regroup makes the groups of a user those of want, which exist.
func (b *batchRun) regroup(ctx context.Context, id string, want []string) (changed bool, err error) {
	groups, err := b.m.has.Pool.GroupsOf(ctx, id)
	if err != nil {
		return false, err
	}
	have := slices.Sorted(slices.Values(pool.Names(groups)))
	if slices.Equal(have, slices.Compact(slices.Sorted(slices.Values(want)))) {
		return false, nil
	}
	return true, b.m.has.Pool.SetGroups(ctx, id, want)
}

// changes returns what the row says otherwise than u, and whether there is
// anything.
func (r *Row) changes(u pool.User) (c pool.Changes, differs bool) {
	text := func(bit said, value, have string, into **string) {
		if r.said&bit != 0 && value != have {
			*into, differs = &value, true
		}
	}
	// A new address is proved by the row alone, so that what it says counts then
	// as well when it says what was.
	proved := func(bit said, value, have, moved bool, into **bool) {
		if r.said&bit != 0 && (value != have || moved) {
			*into, differs = &value, true
		}
	}
	text(saidEmail, r.User.Email, u.Email, &c.Email)
	text(saidPhone, r.User.Phone, u.Phone, &c.Phone)
	text(saidName, r.User.Name, u.Name, &c.Name)
	proved(saidEmailVerified, r.User.EmailVerified, u.EmailVerified, c.Email != nil, &c.EmailVerified)
	proved(saidPhoneVerified, r.User.PhoneVerified, u.PhoneVerified, c.Phone != nil, &c.PhoneVerified)
	for name, value := range r.User.Attributes {
		if u.Attributes[name] != value {
			if c.Attributes == nil {
				c.Attributes = map[string]string{}
			}
			c.Attributes[name], differs = value, true
		}
	}
	return c, differs
}

func (i *item) bad(field, reason string) *RowError {
	return &RowError{Line: i.row.Line, Field: field, Reason: reason}
}

// wrong turns what the pool says against a row into its refusal; any other error
// stays one.
func (i *item) wrong(err error) (*RowError, error) {
	var field *pool.FieldError
	switch {
	case errors.As(err, &field):
		return i.bad(field.Field, field.Error()), nil
	case errors.Is(err, pool.ErrExists):
		return i.bad("", "a name of it is taken, perhaps in another spelling or as another kind of name"), nil
	case errors.Is(err, pool.ErrInvalid):
		return i.bad("", err.Error()), nil
	}
	return nil, err
}
