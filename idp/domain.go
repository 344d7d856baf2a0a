package idp

import (
	"time"

	"gatehouse/idp/client"
	"gatehouse/idp/keys"
	"gatehouse/idp/password"
	"gatehouse/idp/pool"
	"gatehouse/idp/store"
	"gatehouse/idp/token"
	"gatehouse/internal/keyring"
)

// Domain is the provider without HTTP: what the command line works on, beside a
// running server or without one. It is safe for concurrent use.
type Domain struct {
	Pool    *pool.Pool
	Clients *client.Clients
	Keys    *keys.Ring
	Mint    *token.Mint
	// Hasher is the queue in front of all password checks; it counts them.
	Hasher *password.Hasher
}

// NewDomain puts the domain together over an open store. A nil now is time.Now.
func NewDomain(cfg *Config, db *store.DB, sealer *keyring.Sealer, now func() time.Time) Domain {
	hasher := password.New(cfg.Password.options())
	people := pool.New(pool.Parts{
		Users: db.Users(), Groups: db.Groups(), Members: db.Members(), Tombstones: db.Tombstones(),
		Ender: db, Journal: db, Hasher: hasher, MinPassword: cfg.Password.MinLength,
		Schema: pool.NewSchema(cfg.Pool), SignInWith: cfg.Pool.SignInWith, Now: now,
	})
	clients := client.New(client.Parts{
		Rows: db.Clients(), Scopes: db.Scopes(), Ender: db, Journal: db, Machines: cfg.machines(), Now: now,
	})
	ring := keys.New(keys.Parts{Rows: db.Keys(), Sealer: sealer, Journal: db, Longest: client.MaxTTL, Now: now})
	mint := token.New(token.Parts{
		Issuer: cfg.Issuer.String(), Users: people, Clients: clients, Keys: ring, Codes: db.Codes(),
		Families: db.Families(), Revocations: db, Journal: db, Sealer: sealer, Now: now,
	})
	return Domain{Pool: people, Clients: clients, Keys: ring, Mint: mint, Hasher: hasher}
}
