package app

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"gatehouse/idp"
	"gatehouse/idp/client"
	"gatehouse/idp/pool"
	"gatehouse/internal/keyring"
	"gatehouse/proxy"
)

// gatewaySecretPurpose derives the client secret of the gateway; it stands in
// no file and no database.
const gatewaySecretPurpose = "gateway client secret"

// gatewayScopes are what the gateway asks for when people sign in. It may
// never have the scope that changes accounts.
var gatewayScopes = []string{client.OpenID, client.Email, client.Profile}

// registerGateway registers the gateway at its own provider: an ordinary
// confidential client, kept in step with public_url at each start.
func (a *App) registerGateway(ctx context.Context, sealer *keyring.Sealer) error {
	c := client.Client{
		ID: idp.GatewayClient, Name: a.plan.sites[0].Host, Managed: true,
		Grants: []string{client.AuthorizationCode, client.RefreshToken},
		Scopes: gatewayScopes, AccessTTL: a.plan.Config.IDP.GatewayTokenTTL, IDTTL: a.plan.Config.IDP.GatewayTokenTTL,
		RefreshTTL: max(a.plan.Config.Session.Lifetime, client.MinRefreshTTL),
	}
	for _, s := range a.plan.sites {
		c.RedirectURIs = append(c.RedirectURIs, s.Origin+proxy.PathCallback)
		c.SignOutURIs = append(c.SignOutURIs, s.Origin+proxy.PathSignOut)
	}
	a.gatewaySecret = base64.RawURLEncoding.EncodeToString(sealer.Derive(gatewaySecretPurpose, 32))
	if err := a.provider.Clients.Put(ctx, c, a.gatewaySecret); err != nil {
		return fmt.Errorf("register the gateway at its provider: %w", err)
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
