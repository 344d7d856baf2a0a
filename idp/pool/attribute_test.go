package pool_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"gatehouse/idp/pool"
	"gatehouse/internal/audit"
)

// schooled is a world whose users have a team that is set once, and a badge.
func schooled(t *testing.T) *world {
	w := newWorld(t)
	parts := w.parts()
	parts.Schema = pool.NewSchema(pool.Config{
		Required: []string{"email", "custom:team"},
		Custom: []pool.CustomAttribute{
			{Name: "team", Type: pool.TypeString, Min: new(int64(2)), Max: new(int64(5))},
			{Name: "badge", Type: pool.TypeNumber, Min: new(int64(1)), Max: new(int64(99)), Mutable: true},
			{Name: "until", Type: pool.TypeDateTime, Mutable: true},
			{Name: "staff", Type: pool.TypeBoolean, Mutable: true},
		},
	})
	w.pool = pool.New(parts)
	return w
}

func TestAttributesAreKeptAndBounded(t *testing.T) {
	w := schooled(t)
	all := map[string]string{
		"given_name": "Bob", "address": "1 Road\nTown", "website": "https://bob.example.com", "birthdate": "1990-12-31",
		"locale": "pt-BR", "custom:team": "blue", "custom:badge": "7", "custom:until": "2030-01-02T15:04:05Z", "custom:staff": "true",
	}
	u := w.add(pool.NewUser{Username: "bob", Attributes: all})
	got, err := w.pool.Get(t.Context(), u.ID)
	w.must(err)
	if !maps.Equal(got.Attributes, all) {
		t.Errorf("attributes = %v, want %v", got.Attributes, all)
	}
	for name, value := range map[string]string{
		"custom:team": "b", "custom:badge": "100", "custom:until": "tomorrow", "custom:staff": "yes", "custom:none": "x",
		"website": "javascript:alert(1)", "picture": "//evil.example", "birthdate": "31.12.1990", "locale": "<b>",
		"nickname": "a\nb", "email_verified": "true", "sub": "x", "cognito:groups": "admins", "gender": "\xff",
	} {
		err := w.pool.Change(t.Context(), u.ID, pool.Changes{Attributes: map[string]string{name: value}})
		if !errors.Is(err, pool.ErrInvalid) {
			t.Errorf("%s = %q: %v, want ErrInvalid", name, value, err)
		}
	}
}

func TestImmutableAttributeIsSetOnce(t *testing.T) {
	w := schooled(t)
	u := w.add(pool.NewUser{Username: "bob"})
	set := func(value string) error {
		return w.pool.Change(t.Context(), u.ID, pool.Changes{Attributes: map[string]string{"custom:team": value}})
	}
	if missing := w.pool.Schema().Missing(u); !slices.Equal(missing, []string{"email", "custom:team"}) {
		t.Errorf("missing = %v", missing)
	}
	w.must(set("blue"))
	w.must(set("blue"))
	for _, value := range []string{"red", ""} {
		if err := set(value); !errors.Is(err, pool.ErrInvalid) {
			t.Errorf("team blue to %q: %v, want ErrInvalid", value, err)
		}
	}
	w.must(w.pool.Change(t.Context(), u.ID, pool.Changes{Attributes: map[string]string{"custom:badge": "7"}}))
	if e := w.last(); len(e.Revoke) != 1 || e.Revoke[0].Kind != audit.KindSubject {
		t.Errorf("a custom attribute revoked %v, want the subject: rules may read it", e.Revoke)
	}
	w.must(w.pool.Change(t.Context(), u.ID, pool.Changes{Attributes: map[string]string{"nickname": "B"}}))
	if e := w.last(); len(e.Revoke) != 0 {
		t.Errorf("a nickname revoked %v, want nothing", e.Revoke)
	}
}

// What says that an address was verified says it of an address.
func TestNothingIsVerifiedWhereNothingIs(t *testing.T) {
	p, ctx := newWorld(t).pool, t.Context()
	for name, n := range map[string]pool.NewUser{
		"email_verified":        {Username: "eve", EmailVerified: true, Phone: "+41791234567"},
		"phone_number_verified": {Username: "eve", PhoneVerified: true, Email: "eve@example.com"},
	} {
		var field *pool.FieldError
		if _, err := p.Add(ctx, n); !errors.Is(err, pool.ErrInvalid) || !errors.As(err, &field) || field.Field != name {
			t.Errorf("add with %s: %v", name, err)
		}
	}
	u, err := p.Add(ctx, pool.NewUser{Username: "eve"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]pool.Changes{
		"email_verified":        {EmailVerified: new(true), Name: new("Eve")},
		"phone_number_verified": {Phone: new(""), PhoneVerified: new(true), Name: new("Eve")},
	} {
		var field *pool.FieldError
		if err := p.Change(ctx, u.ID, c); !errors.Is(err, pool.ErrInvalid) || !errors.As(err, &field) || field.Field != name {
			t.Errorf("change with %s: %v", name, err)
		}
	}
	if err := p.Change(ctx, u.ID, pool.Changes{EmailVerified: new(false), PhoneVerified: new(false)}); err != nil {
		t.Errorf("nothing is not verified: %v", err)
	}
	if u, err = p.Get(ctx, u.ID); err != nil || u.Name != "" {
		t.Errorf("a refused change left %+v, %v", u, err)
	}
}

func TestOnlyVerifiedAddressesAndNumbersAreNames(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	eve := w.add(pool.NewUser{Username: "eve", Email: "bob@example.com", Phone: "+41791234567"})
	bob := w.add(pool.NewUser{Username: "bob", Email: "Bob@example.com", EmailVerified: true, Phone: "+41791234567", PhoneVerified: true})
	for _, name := range []string{"bob@EXAMPLE.com", "+41 79 123-45-67", "+41791234567", "＋41791234567"} {
		u, err := w.pool.Find(ctx, name)
		if err != nil || u.ID != bob.ID {
			t.Errorf("Find(%q) = %q, %v; want bob: nobody reserves what is not shown to be theirs", name, u.Username, err)
		}
	}
	for what, c := range map[string]pool.Changes{"address": {EmailVerified: new(true)}, "number": {PhoneVerified: new(true)}} {
		if err := w.pool.Change(ctx, eve.ID, c); !errors.Is(err, pool.ErrExists) {
			t.Errorf("bob's %s verified for eve: %v, want ErrExists", what, err)
		}
	}
	// A new address is not verified because the old one was.
	w.must(w.pool.Change(ctx, bob.ID, pool.Changes{Email: new("b2@example.com")}))
	got, err := w.pool.Get(ctx, bob.ID)
	w.must(err)
	if got.EmailVerified || got.Email != "b2@example.com" {
		t.Errorf("after a change: %s verified=%v", got.Email, got.EmailVerified)
	}
	w.must(w.pool.Change(ctx, eve.ID, pool.Changes{EmailVerified: new(true)}))
	for what, n := range map[string]pool.NewUser{
		"letters": {Username: "x", Phone: "+41abc"}, "national": {Username: "x", Phone: "0791234567"}, "long": {Username: "x", Phone: "+1234567890123456"},
		"another's number": {Username: "+41790000000", Phone: "+41790000001"}, "a number of nobody": {Username: "+41790000000"},
	} {
		if _, err := w.pool.Add(ctx, n); !errors.Is(err, pool.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", what, err)
		}
	}
}

func TestPeopleSignInWithWhatIsConfigured(t *testing.T) {
	w := newWorld(t)
	const secret = "correct horse"
	w.add(pool.NewUser{
		Username: "bob", Email: "bob@example.com", EmailVerified: true, Phone: "+41791234567", PhoneVerified: true, Password: secret,
	})
	w.add(pool.NewUser{Username: "dan@example.com", Email: "dan@example.com", EmailVerified: true, Password: secret})
	names := map[string]string{pool.ByUsername: "bob", pool.ByEmail: "bob@example.com", pool.ByPhone: "+41791234567"}
	for kind := range names {
		parts := w.parts()
		parts.SignInWith = []string{kind}
		p := pool.New(parts)
		for other, name := range names {
			if _, err := p.CheckPassword(t.Context(), name, secret); (err == nil) != (other == kind) {
				t.Errorf("sign in with %s: %s is answered %v", kind, name, err)
			}
		}
		if _, err := p.CheckPassword(t.Context(), "dan@example.com", secret); (err == nil) == (kind == pool.ByPhone) {
			t.Errorf("sign in with %s: a username that is the person's address is answered %v", kind, err)
		}
	}
}
