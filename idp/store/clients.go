package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gatehouse/idp/client"
)

const (
	clientColumns = `id, name, public, secrets, redirect_uris, sign_out_uris, scopes, grants,
		access_ttl, id_ttl, refresh_ttl, refresh_grace, read_attributes, write_attributes, revocation, managed, created, updated`

	qClientAdd = `INSERT INTO app_client (` + clientColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) ON CONFLICT DO NOTHING`
	qClientSet = `UPDATE app_client SET name = $1, public = $2, secrets = $3, redirect_uris = $4, sign_out_uris = $5, scopes = $6,
		grants = $7, access_ttl = $8, id_ttl = $9, refresh_ttl = $10, refresh_grace = $11, read_attributes = $12,
		write_attributes = $13, revocation = $14, managed = $15, updated = $16 WHERE id = $17`
	qClientGet  = `SELECT ` + clientColumns + ` FROM app_client WHERE id = $1`
	qClientList = `SELECT ` + clientColumns + ` FROM app_client ORDER BY id`
	qClientDrop = `DELETE FROM app_client WHERE id = $1`

	qServerPut = `INSERT INTO resource_server (id, name) VALUES ($1, $2)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name`
	qServerList = `SELECT id, name FROM resource_server ORDER BY id`
	qServerDrop = `DELETE FROM resource_server WHERE id = $1`
	qScopePut   = `INSERT INTO resource_scope (name, server, description, groups) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET server = excluded.server, description = excluded.description, groups = excluded.groups`
	qScopeList = `SELECT name, server, description, groups FROM resource_scope ORDER BY name`
	qScopeDrop = `DELETE FROM resource_scope WHERE name = $1`
)

type clients struct{ db *DB }

// Clients returns the app clients.
func (db *DB) Clients() client.Rows { return clients{db} }

// Scopes returns the resource servers and their scopes.
func (db *DB) Scopes() client.ScopeRows { return clients{db} }

// secretRow is a client's secret as stored.
type secretRow struct {
	ID      string `json:"id"`
	Salt    string `json:"salt"`
	Hash    string `json:"hash"`
	Created int64  `json:"created"`
}

func secretsText(secrets []client.Secret) (string, error) {
	rows := []secretRow{}
	for _, s := range secrets {
		rows = append(rows, secretRow{ID: s.ID, Salt: base(s.Salt), Hash: base(s.Hash), Created: millis(s.Created)})
	}
	text, err := json.Marshal(rows)
	return string(text), err
}

func (s clients) Insert(ctx context.Context, c client.Client) error {
	secrets, err := secretsText(c.Secrets)
	if err != nil {
		return err
	}
	n, err := s.db.exec(ctx, qClientAdd, c.ID, c.Name, flag(c.Public), secrets, list(c.RedirectURIs), list(c.SignOutURIs),
		list(c.Scopes), list(c.Grants), c.AccessTTL.Milliseconds(), c.IDTTL.Milliseconds(), c.RefreshTTL.Milliseconds(),
		grace(c.RefreshGrace), absent(c.ReadAttributes), absent(c.WriteAttributes), flag(!c.NoRevocation), flag(c.Managed),
		millis(c.Created), millis(c.Updated))
	if err != nil {
		return fmt.Errorf("insert client: %w", err)
	}
	if n == 0 {
		return client.ErrExists
	}
	return nil
}

func (s clients) Find(ctx context.Context, id string) (client.Client, error) {
	c, err := scanClient(s.db.one(ctx, qClientGet, id))
	if errors.Is(err, sql.ErrNoRows) {
		return c, client.ErrNotFound
	}
	if err != nil {
		return c, fmt.Errorf("read client: %w", err)
	}
	return c, nil
}

func (s clients) Update(ctx context.Context, c client.Client) error {
	secrets, err := secretsText(c.Secrets)
	if err != nil {
		return err
	}
	return s.touched(s.db.exec(ctx, qClientSet, c.Name, flag(c.Public), secrets, list(c.RedirectURIs), list(c.SignOutURIs),
		list(c.Scopes), list(c.Grants), c.AccessTTL.Milliseconds(), c.IDTTL.Milliseconds(), c.RefreshTTL.Milliseconds(),
		grace(c.RefreshGrace), absent(c.ReadAttributes), absent(c.WriteAttributes), flag(!c.NoRevocation), flag(c.Managed),
		millis(c.Updated), c.ID))
}

func (s clients) Delete(ctx context.Context, id string) error {
	return s.touched(s.db.exec(ctx, qClientDrop, id))
}

func (s clients) List(ctx context.Context) ([]client.Client, error) {
	return collect(ctx, s.db.reader(ctx), scanClient, qClientList)
}

func (s clients) PutServer(ctx context.Context, r client.ResourceServer) error {
	_, err := s.db.exec(ctx, qServerPut, r.ID, r.Name)
	return err
}

func (s clients) PutScope(ctx context.Context, c client.Scope) error {
	_, err := s.db.exec(ctx, qScopePut, c.Name, c.Server, c.Description, list(c.Groups))
	return err
}

func (s clients) DeleteServer(ctx context.Context, id string) error {
	return s.touched(s.db.exec(ctx, qServerDrop, id))
}

func (s clients) DeleteScope(ctx context.Context, name string) error {
	return s.touched(s.db.exec(ctx, qScopeDrop, name))
}

func (s clients) Servers(ctx context.Context) ([]client.ResourceServer, error) {
	return collect(ctx, s.db.reader(ctx), func(row scanner) (client.ResourceServer, error) {
		var r client.ResourceServer
		return r, row.Scan(&r.ID, &r.Name)
	}, qServerList)
}

func (s clients) Scopes(ctx context.Context) ([]client.Scope, error) {
	return collect(ctx, s.db.reader(ctx), func(row scanner) (client.Scope, error) {
		var c client.Scope
		var groups string
		if err := row.Scan(&c.Name, &c.Server, &c.Description, &groups); err != nil {
			return c, err
		}
		var err error
		c.Groups, err = items(groups)
		return c, err
	}, qScopeList)
}

func (s clients) touched(n int64, err error) error {
	if err != nil {
		return fmt.Errorf("change clients: %w", err)
	}
	if n == 0 {
		return client.ErrNotFound
	}
	return nil
}

func grace(d *time.Duration) any {
	if d == nil {
		return nil
	}
	return d.Milliseconds()
}

// absent is list where nil is not the same as empty.
func absent(all []string) any {
	if all == nil {
		return nil
	}
	return list(all)
}

// present is the reverse of absent.
func present(text sql.NullString) ([]string, error) {
	if !text.Valid {
		return nil, nil
	}
	all, err := items(text.String)
	if all == nil {
		all = []string{}
	}
	return all, err
}

func scanClient(row scanner) (client.Client, error) {
	var c client.Client
	var secrets, redirects, signOuts, scopes, grants string
	var public, revocation, managed, access, id, refresh, created, updated int64
	var retry sql.NullInt64
	var reads, writes sql.NullString
	err := row.Scan(&c.ID, &c.Name, &public, &secrets, &redirects, &signOuts, &scopes, &grants,
		&access, &id, &refresh, &retry, &reads, &writes, &revocation, &managed, &created, &updated)
	if err != nil {
		return c, err
	}
	c.NoRevocation = revocation == 0
	c.Public, c.Managed, c.Created, c.Updated = public == 1, managed == 1, at(created), at(updated)
	c.AccessTTL, c.IDTTL, c.RefreshTTL = ms(access), ms(id), ms(refresh)
	if retry.Valid {
		d := ms(retry.Int64)
		c.RefreshGrace = &d
	}
	for _, l := range []struct {
		into *[]string
		from string
	}{{&c.RedirectURIs, redirects}, {&c.SignOutURIs, signOuts}, {&c.Scopes, scopes}, {&c.Grants, grants}} {
		if *l.into, err = items(l.from); err != nil {
			return c, err
		}
	}
	if c.ReadAttributes, err = present(reads); err != nil {
		return c, err
	}
	if c.WriteAttributes, err = present(writes); err != nil {
		return c, err
	}
	c.Secrets, err = secretsOf(secrets)
	return c, err
}

func secretsOf(text string) ([]client.Secret, error) {
	var rows []secretRow
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		return nil, fmt.Errorf("read stored secrets: %w", err)
	}
	var out []client.Secret
	for _, r := range rows {
		out = append(out, client.Secret{ID: r.ID, Salt: unbase(r.Salt), Hash: unbase(r.Hash), Created: at(r.Created)})
	}
	return out, nil
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
