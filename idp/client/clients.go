package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/internal/audit"
)

// Rows keeps clients by id.
type Rows interface {
	// Insert adds c; ErrExists.
	Insert(ctx context.Context, c Client) error
	// Find returns the client with that id, or ErrNotFound.
	Find(ctx context.Context, id string) (Client, error)
	// Update replaces c; ErrNotFound.
	Update(ctx context.Context, c Client) error
	// Delete removes a client; ErrNotFound.
	Delete(ctx context.Context, id string) error
	// List returns all clients ordered by id.
	List(ctx context.Context) ([]Client, error)
}

// ScopeRows keeps resource servers and scopes.
type ScopeRows interface {
	// PutServer adds or replaces a server.
	PutServer(ctx context.Context, s ResourceServer) error
	// PutScope adds or replaces a scope.
	PutScope(ctx context.Context, s Scope) error
	// DeleteServer removes a server with its scopes; ErrNotFound.
	DeleteServer(ctx context.Context, id string) error
	// DeleteScope removes a scope; ErrNotFound.
	DeleteScope(ctx context.Context, name string) error
	// Servers returns all servers ordered by id.
	Servers(ctx context.Context) ([]ResourceServer, error)
	// Scopes returns all scopes ordered by name.
	Scopes(ctx context.Context) ([]Scope, error)
}

// Ender ends what a client has running: authorization codes and refresh families.
type Ender interface {
	EndClient(ctx context.Context, clientID string) error
}

// Parts are what Clients is made of. All are required but Now.
type Parts struct {
	Rows    Rows
	Scopes  ScopeRows
	Ender   Ender
	Journal audit.Journal
	// Machines are scopes tied to groups that a client, by its id, is given for
	// itself all the same. Nil for none.
	Machines map[string][]string
	// Attributes are the names of the attributes that people may have; nil knows
	// none, and takes every name.
	Attributes []string
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Clients is the register of app clients. It is safe for concurrent use.
type Clients struct{ has Parts }

// New returns a Clients; it starts nothing.
func New(p Parts) *Clients {
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Clients{has: p}
}

// Find returns the client with that id, or ErrNotFound.
func (c *Clients) Find(ctx context.Context, id string) (Client, error) {
	if !idPattern.MatchString(id) {
		return Client{}, ErrNotFound
	}
	return c.has.Rows.Find(ctx, id)
}

// List returns all clients ordered by id.
func (c *Clients) List(ctx context.Context) ([]Client, error) { return c.has.Rows.List(ctx) }

// Authenticate returns the client that id and secret prove, or
// ErrAuthentication. A public client is proved by its id alone: secret is "".
func (c *Clients) Authenticate(ctx context.Context, id, secret string) (Client, error) {
	found, err := c.Find(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Client{}, ErrAuthentication
	}
	if err != nil {
		return Client{}, fmt.Errorf("find client: %w", err)
	}
	if found.Public {
		if secret != "" {
			return Client{}, ErrAuthentication
		}
		return found, nil
	}
	ok := false
	for _, s := range found.Secrets {
		ok = s.is(secret) || ok
	}
	if !ok || secret == "" || len(secret) > maxSecret {
		return Client{}, ErrAuthentication
	}
	return found, nil
}

// Create adds n and returns it with the secret of a confidential client, in
// clear, once. An empty ID is made up (26 lower-case letters and digits). Secrets,
// Created and Updated of n do not count. ErrInvalid, ErrExists.
func (c *Clients) Create(ctx context.Context, n Client) (Client, string, error) {
	if n.ID == "" {
		n.ID = randomText(16)
	}
	now := c.has.Now()
	n.Secrets, n.Created, n.Updated = nil, now, now
	n = n.withDefaults()
	value := ""
	if !n.Public {
		value = randomText(32)
		s, err := newSecret(value, now)
		if err != nil {
			return Client{}, "", err
		}
		n.Secrets = []Secret{s}
	}
	if err := errors.Join(n.check(), c.checkAttributes(n, Client{})); err != nil {
		return Client{}, "", err
	}
	err := c.write(ctx, "client.created", n.ID, func(ctx context.Context) error { return c.has.Rows.Insert(ctx, n) })
	if err != nil {
		return Client{}, "", err
	}
	return n, value, nil
}

// Update replaces everything but Secrets, Created and Managed. What was issued to
// the client is revoked when it lost a grant or a scope. ErrManaged, ErrNotFound,
// ErrInvalid.
func (c *Clients) Update(ctx context.Context, n Client) error {
	return c.change(ctx, n.ID, "client.updated", func(have *Client) (bool, error) {
		before := *have
		n.Secrets, n.Created, n.Managed = have.Secrets, have.Created, have.Managed
		*have = n.withDefaults()
		return lost(before, *have), errors.Join(have.check(), c.checkAttributes(*have, before))
	})
}

// checkAttributes is n.CheckAttributes with the attributes that people may have, but
// for the names that before had: a custom attribute may have gone since.
func (c *Clients) checkAttributes(n, before Client) error {
	if c.has.Attributes == nil {
		return nil
	}
	return n.CheckAttributes(slices.Concat(c.has.Attributes, before.ReadAttributes, before.WriteAttributes))
}

// AddSecret gives the client another secret and returns it in clear, once.
// ErrTooManySecrets, ErrManaged, ErrNotFound.
func (c *Clients) AddSecret(ctx context.Context, id string) (Secret, string, error) {
	value := randomText(32)
	s, err := newSecret(value, c.has.Now())
	if err != nil {
		return Secret{}, "", err
	}
	err = c.change(ctx, id, "client.secret_added", func(have *Client) (bool, error) {
		if have.Public {
			return false, fmt.Errorf("%w: a public client has no secret", ErrInvalid)
		}
		if len(have.Secrets) >= 2 {
			return false, ErrTooManySecrets
		}
		have.Secrets = append(have.Secrets, s)
		return false, nil
	})
	if err != nil {
		return Secret{}, "", err
	}
	return s, value, nil
}

// RemoveSecret removes the secret with that id, but never the last one.
func (c *Clients) RemoveSecret(ctx context.Context, id, secretID string) error {
	return c.change(ctx, id, "client.secret_removed", func(have *Client) (bool, error) {
		i := slices.IndexFunc(have.Secrets, func(s Secret) bool { return s.ID == secretID })
		if i < 0 {
			return false, ErrNotFound
		}
		if len(have.Secrets) == 1 {
			return false, fmt.Errorf("%w: a confidential client keeps one secret; add another first", ErrInvalid)
		}
		have.Secrets = slices.Delete(slices.Clone(have.Secrets), i, i+1)
		return false, nil
	})
}

// Delete removes the client, ends its codes and refresh families and revokes its
// tokens. ErrManaged, ErrNotFound.
func (c *Clients) Delete(ctx context.Context, id string) error {
	return c.has.Journal.InTx(ctx, func(ctx context.Context) error {
		have, err := c.has.Rows.Find(ctx, id)
		if err != nil {
			return fmt.Errorf("find client %q: %w", id, err)
		}
		if have.Managed {
			return fmt.Errorf("delete client %q: %w", id, ErrManaged)
		}
		if err := c.has.Ender.EndClient(ctx, id); err != nil {
			return err
		}
		if err := c.has.Rows.Delete(ctx, id); err != nil {
			return fmt.Errorf("delete client %q: %w", id, err)
		}
		return c.append(ctx, "client.deleted", id, true)
	})
}

// change loads a client that is not managed, lets edit work on it, and stores it
// with its event; edit reports whether its tokens must end.
func (c *Clients) change(ctx context.Context, id, event string, edit func(*Client) (bool, error)) error {
	return c.has.Journal.InTx(ctx, func(ctx context.Context) error {
		have, err := c.has.Rows.Find(ctx, id)
		if err != nil {
			return fmt.Errorf("find client %q: %w", id, err)
		}
		if have.Managed {
			return fmt.Errorf("change client %q: %w", id, ErrManaged)
		}
		revoke, err := edit(&have)
		if err != nil {
			return fmt.Errorf("change client %q: %w", id, err)
		}
		have.Updated = c.has.Now()
		if err := c.has.Rows.Update(ctx, have); err != nil {
			return fmt.Errorf("change client %q: %w", id, err)
		}
		return c.append(ctx, event, id, revoke)
	})
}

// write runs do and appends the event, in one transaction.
func (c *Clients) write(ctx context.Context, event, id string, do func(ctx context.Context) error) error {
	return c.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := do(ctx); err != nil {
			return fmt.Errorf("write client %q: %w", id, err)
		}
		return c.append(ctx, event, id, false)
	})
}

func (c *Clients) append(ctx context.Context, event, id string, revoke bool) error {
	e := audit.Event{Type: event, Target: id, Client: id}
	if revoke {
		e.Revoke = []audit.Revoke{{Kind: audit.KindClient, Value: id, NotBefore: c.has.Now()}}
	}
	return c.has.Journal.Append(ctx, e)
}
