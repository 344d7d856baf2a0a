package app

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"gatehouse/idp"
	"gatehouse/idp/client"
	"gatehouse/idp/pool"
	"gatehouse/internal/audit"
	"gatehouse/internal/keyring"
	"gatehouse/proxy"
)

// gatewaySecretPurpose derives the client secret of the gateway; it stands in
// no file and no database.
const gatewaySecretPurpose = "gateway client secret"

// gatewayClient is the gateway as its own provider knows it: an ordinary
// confidential client. What it may ask for is what it asks for: login.scopes
// besides the standard ones, and never the scope that changes accounts.
func (p *Plan) gatewayClient() client.Client {
	c := client.Client{
		ID: idp.GatewayClient, Name: p.sites[0].Host, Managed: true,
		Grants:    []string{client.AuthorizationCode, client.RefreshToken},
		Scopes:    append([]string{client.OpenID, client.Email, client.Profile}, p.Config.Login.Scopes...),
		AccessTTL: p.Config.IDP.GatewayTokenTTL, IDTTL: p.Config.IDP.GatewayTokenTTL,
		RefreshTTL: max(p.Config.Session.Lifetime, client.MinRefreshTTL),
	}
	for _, s := range p.sites {
		c.RedirectURIs = append(c.RedirectURIs, s.Origin+proxy.PathCallback)
		c.SignOutURIs = append(c.SignOutURIs, s.Origin+proxy.PathSignOut)
	}
	return c
}

// gatewaySecret returns the client secret of the gateway at its own provider.
func gatewaySecret(sealer *keyring.Sealer) string {
	return base64.RawURLEncoding.EncodeToString(sealer.Derive(gatewaySecretPurpose, 32))
}

// keepRegistered brings the registration of the gateway, where there is a
// provider of its own, in step with plan. It writes nothing when nothing differs.
func (a *App) keepRegistered(ctx context.Context, plan *Plan) error {
	if a.provider == nil {
		return nil
	}
	if err := a.checkScopes(ctx, plan); err != nil {
		return err
	}
	ctx = audit.WithActor(ctx, audit.Actor{Name: "gateway"})
	if err := a.provider.Clients.Put(ctx, plan.gatewayClient(), a.gatewaySecret); err != nil {
		return fmt.Errorf("register the gateway at its provider: %w", err)
	}
	return nil
}

// checkScopes refuses login.scopes that the pool does not have: they would be
// left out of every session in silence, and rules that name them would refuse
// everybody.
func (a *App) checkScopes(ctx context.Context, plan *Plan) error {
	scopes, err := a.provider.Clients.Scopes(ctx)
	if err != nil {
		return fmt.Errorf("list scopes: %w", err)
	}
	for _, name := range plan.Config.Login.Scopes {
		known := slices.ContainsFunc(scopes, func(s client.Scope) bool { return s.Name == name })
		if !known && !client.Standard(name) {
			return fmt.Errorf("login.scopes names %q, and the pool has no such scope; write it into idp.bootstrap.resource_servers, or make it with `gatehouse scope add`", name)
		}
	}
	return nil
}

// keepDemoPasswords makes the passwords printed on the screen of a demo the
// ones that work, also on data of an earlier run.
func (a *App) keepDemoPasswords(ctx context.Context, passwords map[string]string) error {
	for name, pass := range passwords {
		_, err := a.provider.Pool.CheckPassword(ctx, name, pass)
		if !errors.Is(err, pool.ErrWrongPassword) {
			if err != nil {
				return fmt.Errorf("check password of %s: %w", name, err)
			}
			continue
		}
		u, err := a.provider.Pool.Find(ctx, name)
		if errors.Is(err, pool.ErrNotFound) {
			continue // deleted by whoever plays with the demo
		}
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		if err := a.provider.Pool.SetPassword(ctx, u.ID, pass, pool.Confirmed); err != nil {
			return fmt.Errorf("set password of %s: %w", name, err)
		}
	}
	return nil
}
