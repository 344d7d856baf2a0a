package app

import (
	"context"
	"fmt"
	"time"

	"gatehouse/idp"
	"gatehouse/idp/pool"
	"gatehouse/policy"
	"gatehouse/proxy"
	"gatehouse/session"
	"gatehouse/session/bearer"
)

// Asking is a gate that can be asked and not used: for `gatehouse explain`.
type Asking struct {
	Gate   *proxy.Gate
	Policy *policy.Policy

	plan  *Plan
	app   *App // reaches issuers, and opens nothing
	store *Store
}

// OpenAsking opens what an explanation needs, beside a running server or
// without one. It makes no key and no database.
func OpenAsking(ctx context.Context, plan *Plan) (*Asking, error) {
	gate, err := plan.deciding()
	if err != nil {
		return nil, err
	}
	return &Asking{Gate: gate, Policy: plan.policy, plan: plan, app: &App{}}, nil
}

// Close ends what OpenAsking and Identify began.
func (a *Asking) Close() error {
	if a.store == nil {
		return nil
	}
	return a.store.Close()
}

// Identify returns who would be asking: the pool's user named by name, the
// holder of an access token, or nobody. who names them for the reader.
func (a *Asking) Identify(ctx context.Context, name, token string) (id *session.Identity, who string, err error) {
	switch {
	case name != "":
		return a.user(ctx, name)
	case token != "":
		return a.holder(ctx, token)
	}
	return nil, "a visitor who is not signed in", nil
}

// user is a member of the pool as a sign-in would show them now.
func (a *Asking) user(ctx context.Context, name string) (*session.Identity, string, error) {
	st, err := a.open(ctx)
	if err != nil {
		return nil, "", err
	}
	u, err := st.Pool.Find(ctx, name)
	if err != nil {
		return nil, "", fmt.Errorf("find user %s: %w", name, err)
	}
	groups, err := st.Pool.GroupsOf(ctx, u.ID)
	if err != nil {
		return nil, "", fmt.Errorf("list groups of %s: %w", name, err)
	}
	names := pool.Names(groups)
	if names == nil {
		names = []string{} // known to be in none
	}
	c := a.plan.gatewayClient()
	scopes, err := st.Clients.Allowed(ctx, c, c.Scopes, names)
	if err != nil {
		return nil, "", err
	}
	now := time.Now()
	who := u.Username
	if !u.Enabled {
		who += " (disabled: cannot sign in)"
	}
	return &session.Identity{
		Credential: session.Cookie, Issuer: a.plan.Config.IDP.Issuer.String(), Subject: u.ID, Username: u.Username,
		Email: u.Email, EmailVerified: u.EmailVerified, Name: u.Name, ClientID: c.ID, ClientNamed: true, Groups: names, Scopes: scopes,
		Person: true, Listed: true, Claims: map[string]any{}, IssuedAt: now, AuthTime: now, AMR: []string{"pwd"}, Expires: now.Add(time.Hour),
	}, who, nil
}

// holder verifies an access token as the gate would.
func (a *Asking) holder(ctx context.Context, token string) (*session.Identity, string, error) {
	c := a.plan.Config
	var own *bearer.Issuer
	if c.IDP != nil {
		st, err := a.open(ctx)
		if err != nil {
			return nil, "", err
		}
		provider, err := idp.New(*c.IDP, idp.Deps{DB: st.db, Sealer: st.sealer})
		if err != nil {
			return nil, "", err
		}
		a.app.provider = provider
		own = a.app.ownIssuer()
	}
	v, err := bearer.New(c.Bearer, own, a.app.clientFor, nil)
	if err != nil {
		return nil, "", err
	}
	id, err := v.Verify(ctx, token)
	if err != nil {
		return nil, "", fmt.Errorf("the gateway would answer 401: %w", err)
	}
	return id, "the holder of a token of client " + id.ClientID, nil
}

func (a *Asking) open(ctx context.Context) (*Store, error) {
	if a.store != nil {
		return a.store, nil
	}
	var err error
	a.store, err = OpenStore(ctx, a.plan)
	return a.store, err
}
