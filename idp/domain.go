package idp

import (
	"gatehouse/idp/account"
	"gatehouse/idp/client"
	"gatehouse/idp/keys"
	"gatehouse/idp/mfa"
	"gatehouse/idp/notify"
	"gatehouse/idp/password"
	"gatehouse/idp/pool"
	"gatehouse/idp/risk"
	"gatehouse/idp/signin"
	"gatehouse/idp/sso"
	"gatehouse/idp/token"
	"gatehouse/internal/audit"
)

// Domain is the provider without HTTP: what the command line works on, beside a
// running server or without one. It is safe for concurrent use.
type Domain struct {
	Pool    *pool.Pool
	Clients *client.Clients
	Keys    *keys.Ring
	Mint    *token.Mint
	Factors *mfa.Factors
	// Accounts are the ways in and out of an account.
	Accounts *account.Accounts
	// Sessions are the sign-ins at the provider.
	Sessions sso.Sessions
	// Hasher is the queue in front of all password checks; it counts them.
	Hasher *password.Hasher
	// Outbox takes messages to people. Only a server runs it.
	Outbox *notify.Outbox

	// guard bounds guesses at passwords, wherever they are typed.
	guard   *risk.Guard
	journal audit.Journal
}

// NewDomain puts the domain together over an open store. cfg has passed its
// Check; of d it needs DB, Sealer, Now, Log, Demo and Mailbox.
func NewDomain(cfg *Config, d Deps) (Domain, error) {
	db, sealer, now := d.DB, d.Sealer, d.Now
	outbox, err := newOutbox(cfg, d)
	if err != nil {
		return Domain{}, err
	}
	hasher := password.New(cfg.Password.Options())
	people := pool.New(pool.Parts{
		Users: db.Users(), Groups: db.Groups(), Members: db.Members(), Tombstones: db.Tombstones(),
		Hashes: db.Hashes(), Ender: db, Journal: db, Hasher: hasher,
		Policy: password.NewPolicy(cfg.Password, hasher, d.Listed, cfg.Issuer.Hostname()), Log: d.Log,
		Schema: pool.NewSchema(cfg.Pool), SignInWith: cfg.Pool.SignInWith, Now: now,
	})
	clients := client.New(client.Parts{
		Rows: db.Clients(), Scopes: db.Scopes(), Ender: db, Journal: db, Machines: cfg.machines(),
		Attributes: people.Schema().Names(), Now: now,
	})
	ring := keys.New(keys.Parts{Rows: db.Keys(), Sealer: sealer, Journal: db, Longest: client.MaxTTL, Now: now})
	mint := token.New(token.Parts{
		Issuer: cfg.Issuer.String(), Users: people, Clients: clients, Keys: ring, Codes: db.Codes(),
		Families: db.Families(), Revocations: db, Journal: db, Sealer: sealer, Now: now,
	})
	mail, sms := messengers(outbox, cfg.Issuer.Hostname())
	factors := mfa.New(cfg.MFA, mfa.Parts{
		People: db.MFAPeople(), Secrets: db.MFASecrets(), Seals: db.MFASeals(), Recovery: db.MFARecovery(), Sent: db.MFASent(),
		Passkeys: db.MFAPasskeys(), Devices: db.MFADevices(), Counts: db.MFACounts(), Spent: db.MFASpent(),
		Ender: db, Journal: db, Sealer: sealer, Issuer: cfg.Issuer, Mail: mail, SMS: sms, Now: now,
	})
	domain := Domain{Pool: people, Clients: clients, Keys: ring, Mint: mint, Factors: factors, Sessions: db.Sessions(), Hasher: hasher, Outbox: outbox, guard: signin.NewGuard(cfg.SignIn, db.Tries(), now), journal: db}
	domain.Accounts = newAccounts(cfg, d, &domain)
	return domain, nil
}
