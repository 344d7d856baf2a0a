package bearer

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/session"
)

func TestPersonAndMachine(t *testing.T) {
	v, _, k := own(t, "web")
	id := take(t, v, sign(t, k, nil, person(nil)))
	if !id.Person || !id.Listed || !id.ClientNamed || id.Username != "alice" || id.Subject != "7d1b" || id.ClientID != "web" || id.Issuer != ownURL ||
		!slices.Equal(id.Groups, []string{"admins", "staff"}) || !slices.Equal(id.Scopes, []string{"openid", "orders.read"}) ||
		id.JTI != "j1" || id.OriginJTI != "o1" || id.Credential != session.Bearer || time.Until(id.Expires) < 59*time.Minute || id.IssuedAt.IsZero() {
		t.Errorf("alice: %+v", id)
	}
	machine := take(t, v, sign(t, k, claims{"typ": "at+jwt"}, person(claims{"sub": "orders-job", "client_id": "orders-job", "username": nil, "cognito:groups": nil})))
	if machine.Person || machine.Listed || machine.Groups != nil || !slices.Contains(machine.Scopes, "orders.read") {
		t.Errorf("machine: %+v", machine)
	}
	// A client nobody listed proves a person, but nothing may be judged on it.
	other := take(t, v, sign(t, k, nil, person(claims{"client_id": "game"})))
	if !other.Person || other.Listed {
		t.Errorf("unlisted client: %+v", other)
	}
	none, _, k2 := own(t)
	if id := take(t, none, sign(t, k2, nil, person(nil))); id.Listed {
		t.Error("listed although bearer.clients is empty")
	}
	// An empty client is never on the list.
	empty, _, k3 := own(t, "")
	if id := take(t, empty, sign(t, k3, nil, person(claims{"client_id": nil}))); id.Listed {
		t.Error("an empty client id is listed")
	}
}

func TestForeignIssuerCountsOnlyWhereMapped(t *testing.T) {
	k := newKey(t, "k1")
	f := &fake{url: ownURL, keys: []*jose.Key{k}}
	token := sign(t, k, nil, person(claims{"aud": "api", "azp": "spa", "client_id": nil, "groups": []string{"ops"}}))
	plain := take(t, verifier(t, f, Config{Clients: []string{"spa"}, Issuers: []*Issuer{{Issuer: ownURL, Audiences: []string{"api"}}}}, nil), token)
	if plain.Groups != nil || plain.Scopes != nil || plain.Username != "" || plain.Listed || plain.ClientID != "spa" || !plain.Person {
		t.Errorf("unmapped: %+v", plain)
	}
	mapped := take(t, verifier(t, f, Config{Issuers: []*Issuer{{
		Issuer: ownURL, Audiences: []string{"api"}, Clients: []string{"spa"}, GroupsClaim: "groups", ScopeClaim: "scope", UsernameClaim: "username",
	}}}, nil), token)
	if !slices.Equal(mapped.Groups, []string{"ops"}) || len(mapped.Scopes) != 2 || mapped.Username != "alice" || !mapped.Listed {
		t.Errorf("mapped: %+v", mapped)
	}
	machines := verifier(t, f, Config{Issuers: []*Issuer{{Issuer: ownURL, Audiences: []string{"api"}, Machine: map[string]string{"gty": "client-credentials", "bot": "true"}}}}, nil)
	for what, c := range map[string]claims{
		"sub is the client": {"sub": "spa", "client_id": "spa"}, "sub is azp": {"sub": "spa", "azp": "spa"},
		"marked": {"gty": "client-credentials"}, "marked by a boolean": {"bot": true},
	} {
		c["aud"] = "api"
		if id := take(t, machines, sign(t, k, nil, person(c))); id.Person {
			t.Errorf("%s: a person", what)
		}
	}
	if id := take(t, machines, sign(t, k, nil, person(claims{"aud": "api", "gty": "password"}))); !id.Person {
		t.Error("a person counts as a machine")
	}
	only := verifier(t, f, Config{Issuers: []*Issuer{{Issuer: ownURL, Audiences: []string{"api"}, Algorithms: []string{"RS256"}}}}, nil)
	refuse(t, "algorithm not pinned", only, token, BadKey)
}

func TestGroupsOfAnotherShapeAreNone(t *testing.T) {
	v, _, k := own(t, "web")
	for _, groups := range []any{"admins", []any{"admins", 7}, claims{"admins": true}, 7, true} {
		if id := take(t, v, sign(t, k, nil, person(claims{"cognito:groups": groups}))); id.Groups != nil {
			t.Errorf("%v became %v", groups, id.Groups)
		}
	}
	if id := take(t, v, sign(t, k, nil, person(claims{"cognito:groups": []string{"", "a"}}))); !slices.Equal(id.Groups, []string{"a"}) {
		t.Errorf("groups %q", id.Groups)
	}
	if id := take(t, v, sign(t, k, nil, person(claims{"email": "a@b", "email_verified": "true"}))); id.EmailVerified {
		t.Error(`"true" is not true`)
	}
}

// TestAbsentGroups: our provider leaves the claim out for people without
// groups, so that they are known to be in none; what another issuer leaves out
// is unknown, and no `not: {groups: [contractors]}` may be met by it.
func TestAbsentGroups(t *testing.T) {
	mine, f, k := own(t)
	mapped := verifier(t, f, Config{Issuers: []*Issuer{{Issuer: ownURL, Audiences: []string{"api"}, GroupsClaim: "cognito:groups"}}}, nil)
	unmapped := verifier(t, f, Config{Issuers: []*Issuer{{Issuer: ownURL, Audiences: []string{"api"}}}}, nil)
	none, empty := claims{"cognito:groups": nil}, claims{"cognito:groups": []string{}}
	machine := claims{"sub": "web", "username": nil, "cognito:groups": nil}
	for what, c := range map[string]struct {
		v       *Verifier
		changes claims
		own     bool
		known   bool
	}{
		"own, absent":               {mine, none, true, true},
		"own, empty":                {mine, empty, true, true},
		"own, a machine":            {mine, machine, true, false},
		"own, of another shape":     {mine, claims{"cognito:groups": "admins"}, true, false},
		"own, null":                 {mine, claims{"cognito:groups": json.RawMessage("null")}, true, false},
		"foreign, absent":           {mapped, none, false, false},
		"foreign, empty":            {mapped, empty, false, true},
		"foreign, another shape":    {mapped, claims{"cognito:groups": "admins"}, false, false},
		"foreign, not mapped":       {unmapped, empty, false, false},
		"foreign, absent, unmapped": {unmapped, none, false, false},
	} {
		full := person(c.changes)
		if !c.own {
			full["aud"] = "api"
		}
		id := take(t, c.v, sign(t, k, nil, full))
		if known := id.Groups != nil; known != c.known || len(id.Groups) != 0 {
			t.Errorf("%s: groups %#v, want known %v and none", what, id.Groups, c.known)
		}
	}
}

func TestClientsCountWhereTheyAreNamed(t *testing.T) {
	mine, f, k := own(t)
	if id := take(t, mine, sign(t, k, nil, person(nil))); !id.ClientNamed || id.Listed {
		t.Errorf("our provider's client: named %v, listed %v, want only named", id.ClientNamed, id.Listed)
	}
	foreign := verifier(t, f, Config{Clients: []string{"web", "game"}, Issuers: []*Issuer{{Issuer: ownURL, Audiences: []string{"api"}, Clients: []string{"spa", ""}}}}, nil)
	for client, want := range map[any]bool{"spa": true, "web": false, "game": false, "": false, nil: false} {
		if id := take(t, foreign, sign(t, k, nil, person(claims{"aud": "api", "client_id": client}))); id.ClientNamed != want {
			t.Errorf("foreign client %v: named %v, want %v", client, id.ClientNamed, want)
		}
	}
	if id := take(t, foreign, sign(t, k, nil, person(claims{"aud": "api", "client_id": nil, "azp": "spa"}))); !id.ClientNamed {
		t.Error("a client named by azp does not count")
	}
}

// TestSecondFactorOfABearer: only the value mfa says so (RFC 8176 §2), and only
// in a list.
func TestSecondFactorOfABearer(t *testing.T) {
	v, _, k := own(t, "web")
	for _, c := range []struct {
		amr  any
		want bool
	}{
		{[]string{"pwd", "mfa"}, true}, {[]string{"pwd", "otp"}, false}, {[]string{"MFA"}, false}, {"mfa", false}, {nil, false}, {[]any{"mfa", 1}, false},
	} {
		id := take(t, v, sign(t, k, nil, person(claims{"amr": c.amr, "acr": "https://refeds.org/profile/mfa"})))
		if id.MFA != c.want {
			t.Errorf("amr %v: MFA %t, want %t", c.amr, id.MFA, c.want)
		}
	}
}

// TestForeignStrengthCountsOnlyWhereTrusted: how and when somebody signed in at
// another issuer is unknown unless the configuration trusts it to say so.
func TestForeignStrengthCountsOnlyWhereTrusted(t *testing.T) {
	k := newKey(t, "k1")
	f := &fake{url: ownURL, keys: []*jose.Key{k}}
	token := sign(t, k, nil, person(claims{"aud": "api", "amr": []string{"pwd", "mfa"}, "acr": "gold"}))
	for _, trusted := range []bool{false, true} {
		want := trusted
		v := verifier(t, f, Config{Issuers: []*Issuer{{Issuer: ownURL, Audiences: []string{"api"}, TrustACR: trusted}}}, nil)
		id := take(t, v, token)
		if id.MFA != want || (id.ACR == "gold") != want || (len(id.AMR) == 2) != want || id.AuthTime.IsZero() == want {
			t.Errorf("trusted %t: MFA %t, acr %q, amr %q, auth_time %v", trusted, id.MFA, id.ACR, id.AMR, id.AuthTime)
		}
	}
	mine, _, own := own(t, "web")
	if id := take(t, mine, sign(t, own, nil, person(claims{"amr": []string{"mfa"}, "acr": "gold"}))); !id.MFA || id.ACR != "gold" || id.AuthTime.IsZero() {
		t.Errorf("our own issuer: MFA %t, acr %q, auth_time %v", id.MFA, id.ACR, id.AuthTime)
	}
}
