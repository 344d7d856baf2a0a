package app

import (
	"net/http"
	"testing"
	"time"

	"gatehouse/session"
)

// A session ends with the provider it came from, though it has no access token
// that is ever due: where another one took its place, and where nobody signs in.
func TestASessionEndsWithItsProvider(t *testing.T) {
	const routes = "routes: [{ name: page, match: { path: /page }, allow: { groups: [admins] }, upstream: a }]\n"
	const other = routes + "login: { providers: { other: { issuer: \"http://127.0.0.1:9\", client_id: x } } }\n"
	for _, c := range []struct {
		what, config             string
		provider, issuer, client string
		status                   int
	}{
		{"its own", other, "other", "http://127.0.0.1:9", "x", http.StatusOK},
		{"another name", other, "gone", "http://127.0.0.1:9", "x", http.StatusUnauthorized},
		{"another issuer", other, "other", "https://gone.example", "x", http.StatusUnauthorized},
		{"another client", other, "other", "http://127.0.0.1:9", "y", http.StatusUnauthorized},
		{"no sign-in", routes, "other", "http://127.0.0.1:9", "x", http.StatusUnauthorized},
	} {
		g := newGate(t, c.config, Options{})
		now := g.app.now.Load()
		sealed, err := now.cookies.Seal(now.plan.sites[0], &session.Session{
			ID: session.NewID(), Host: now.plan.sites[0].Host, Provider: c.provider, Issuer: c.issuer, ClientID: c.client,
			Subject: "mallory", Groups: []string{"admins"}, Created: time.Now(), Seen: time.Now(), Expires: time.Now().Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.origin+"/page", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(&http.Cookie{Name: sealed[0].Name, Value: sealed[0].Value})
		res, err := g.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		cleared := len(res.Cookies()) > 0 && res.Cookies()[0].MaxAge < 0
		if res.StatusCode != c.status || cleared == (c.status == http.StatusOK) {
			t.Errorf("%s: answered %d, cookie cleared %t, want %d", c.what, res.StatusCode, cleared, c.status)
		}
	}
}
