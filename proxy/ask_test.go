package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/policy"
	"gatehouse/proxy/canon"
	"gatehouse/session"
)

const askedRoutes = `
  - { name: open, match: { path: "/public/**" }, allow: anyone }
  - { name: maybe, match: { path: "/maybe/**" }, allow: anyone, on_unauthenticated: allow }
  - { name: closed, match: { path: "/closed/**" }, allow: nobody }
  - { name: tenant, match: { path: ["/t/{tenant}/**", "/{tenant}/t"] }, allow: { claims: { tenant: "{tenant}" } }, odd: [encoded_slash, semicolon] }
  - { name: vault, match: { path: "/vault/**" }, allow: { groups: [admins] }, require: { mfa: true }, on_unauthenticated: deny }
  - { name: orders, match: { path: "/orders/**", methods: [POST] }, allow: { opa: { rule: data.orders.allow } }, body: { max: 40 } }
  - { name: api, match: { path: "/api/**" }, allow: { scopes: [orders.read] } }
  - { name: people, match: { path: "/people/**" }, allow: signed-in, credentials: [session] }
  - { name: rest, match: { path: "/**" }, allow: signed-in, require: { signed_in_within: 1h } }
`

// asker is somebody, and how their requests show it.
type asker struct {
	header string
	id     *session.Identity
}

// askers are people and machines of many kinds.
func (w *world) askers() map[string]asker {
	cookie := func(edit func(*session.Session)) asker {
		header := w.sessionWith("alice", edit)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", header)
		s, _ := w.cookie.Open(w.site, r)
		return asker{"Cookie: " + header, s.Identity()}
	}
	bearer := func(token string) asker {
		id, err := w.tokens.Verify(w.t.Context(), token)
		if err != nil {
			w.t.Fatal(err)
		}
		return asker{"Authorization: Bearer " + token, id}
	}
	return map[string]asker{
		"a stranger": {},
		"an admin":   cookie(func(s *session.Session) { s.Groups, s.AuthTime = []string{"admins"}, time.Now() }),
		"an admin with a second factor": cookie(func(s *session.Session) {
			s.Groups, s.AuthTime, s.MFA, s.AMR = []string{"admins"}, time.Now(), true, []string{"mfa"}
		}),
		"a tenant":        cookie(func(s *session.Session) { s.Claims = map[string]any{"tenant": "acme"} }),
		"a machine":       bearer("scope:orders.read"),
		"another machine": bearer("scope:other"),
		"an unlisted app": bearer("alice"),
	}
}

// TestAskAgreesWithCheck: an explanation, a test and a replay tell what the gate
// does, for whoever asks for whatever.
func TestAskAgreesWithCheck(t *testing.T) {
	w := newWorldWith(t, askedRoutes, setup{rego: notAdmin})
	g := w.handler.gate()
	outcomes := map[string]int{}
	for who, a := range w.askers() {
		for _, method := range []string{"GET", "POST"} {
			for _, target := range []string{
				"/public/x", "/maybe/x", "/closed/x", "/t/acme/x", "/t/other/x?q=1", "/acme/t", "/t/acme%2fx/y", "/t/acme;x", "/t/a%00", "/vault/x",
				"/orders/1", "/api/x", "/people/x", "/x", "/a%2fb", "/_gatehouse/me",
			} {
				for _, text := range []string{"", `{"role":"user"}`, `{"role":"admin"}`, `{"role":`, strings.Repeat(" ", 50)} {
					ask := func() *http.Request {
						r := httptest.NewRequest(method, target, strings.NewReader(text))
						r.Host, r.RemoteAddr = w.site.Host, "192.0.2.7:1"
						r.Header.Set("Content-Type", "application/json")
						if name, value, ok := strings.Cut(a.header, ": "); ok {
							r.Header.Set(name, value)
						}
						return r
					}
					v := g.Check(ask())
					asked := g.Ask(ask(), a.id, netip.MustParseAddr("192.0.2.7"))
					compare(t, fmt.Sprintf("%s: %s %s %q", who, method, target, text), v, asked)
					outcomes[fmt.Sprint(v.Action, v.Reason)]++
				}
			}
		}
	}
	if len(outcomes) < 14 {
		t.Errorf("only these outcomes were compared: %v", outcomes)
	}
}

func compare(t *testing.T, what string, v Verdict, asked Asked) {
	t.Helper()
	got := asked.Verdict
	if got.Reason == ReasonOurs {
		return // no rule decides about it, and Check leaves it to the handler
	}
	if v.Action == Redirect {
		v.Action, v.Status = Refuse, http.StatusUnauthorized
	}
	if got.Action != v.Action || got.Status != v.Status || got.Reason != v.Reason || got.Challenge != v.Challenge ||
		got.Route != v.Route || got.Rule != v.Rule || got.SignIn != v.SignIn || got.Request != v.Request {
		t.Errorf("%s\nasked   %v %d %s %q route %d %s, sign in %t\nchecked %v %d %s %q route %d %s, sign in %t", what,
			got.Action, got.Status, got.Reason, got.Challenge, got.Route, got.Rule, got.SignIn,
			v.Action, v.Status, v.Reason, v.Challenge, v.Route, v.Rule, v.SignIn)
	}
	if !v.judged {
		return
	}
	if asked.Decision != v.decision {
		t.Errorf("%s\nasked   %+v\nchecked %+v", what, asked.Decision, v.decision)
	}
	want, have := v.query(), asked.Query
	if d := have.Time.Sub(want.Time); d < 0 || d > time.Minute || want.Time.IsZero() {
		t.Errorf("%s: asked at %v, checked at %v", what, have.Time, want.Time)
	}
	want.Time, have.Time = time.Time{}, time.Time{}
	want.Identity, have.Identity = known(want.Identity), known(have.Identity)
	if !reflect.DeepEqual(want, have) {
		t.Errorf("%s\nasked about   %+v\nchecked about %+v", what, have, want)
	}
}

// known is an identity without what differs from one verification to the next.
func known(id *session.Identity) *session.Identity {
	if id == nil {
		return nil
	}
	c := *id
	c.IssuedAt, c.Expires = time.Time{}, time.Time{}
	return &c
}

func TestJudgeTakesTimeAndBodyAsTheyAreTold(t *testing.T) {
	w := newWorldWith(t, askedRoutes, setup{rego: notAdmin})
	g := w.handler.gate()
	id := w.askers()["an admin"].id
	ask := func(path string, at Asking) Asked {
		return g.Judge(canon.Request{Host: w.site.Host, Path: path, EscapedPath: path, Method: "POST"}, id, netip.Addr{}, at)
	}
	for role, want := range map[string]Action{"user": Forward, "admin": Refuse} {
		at := Asking{Body: policy.Body{State: policy.BodyParsed, Value: map[string]any{"role": role, "n": json.Number("1")}}}
		if got := ask("/orders/1", at); got.Verdict.Action != want {
			t.Errorf("a body with role %s: %v %s, want %v", role, got.Verdict.Action, got.Verdict.Reason, want)
		}
	}
	if got := ask("/orders/1", Asking{}); got.Verdict.Reason != Reason(policy.BodyAbsent) || got.Query.Body.State != policy.BodyNone {
		t.Errorf("without a body: %s, state %q, want body_absent", got.Verdict.Reason, got.Query.Body.State)
	}
	if got := ask("/x", Asking{Body: policy.Body{State: policy.BodyParsed}}); got.Query.Body.State != policy.BodyUnread {
		t.Errorf("a route that judges no body was told of one: %q", got.Query.Body.State)
	}
	if got := ask("/x", Asking{}); got.Verdict.Action != Forward {
		t.Errorf("now: %v %s, want it forwarded", got.Verdict.Action, got.Verdict.Reason)
	}
	later := ask("/x", Asking{Time: time.Now().Add(2 * time.Hour)})
	if later.Verdict.Action != Refuse || later.Verdict.Status != 401 || later.Decision.Outcome != policy.OutcomeStepUp || later.Verdict.Reason != Reason(policy.ReauthRequired) {
		t.Errorf("two hours later: %+v, want 401 reauth_required", later.Verdict)
	}
	if got := ask("/t/acme/x", Asking{}).Query.Variables; len(got) != 1 || got[0] != (policy.Variable{Name: "tenant", Value: "acme"}) {
		t.Errorf("variables = %v, want tenant acme", got)
	}
}

// One spelling that two servers read as two tenants is nobody's.
func TestPathsWithTwoTenantsAreRefused(t *testing.T) {
	w := newWorldWith(t, askedRoutes, setup{rego: notAdmin})
	cookie := "Cookie: " + w.sessionWith("alice", func(s *session.Session) { s.Claims = map[string]any{"tenant": "acme"} })
	w.status(200, "GET", "/t/acme/x", cookie)
	w.status(200, "GET", "/acme/t", cookie)
	w.status(200, "GET", "/t/acme/x%2fy", cookie) // behind the tenant both readings agree
	w.status(200, "GET", "/t/acme/x;y", cookie)
	w.status(403, "GET", "/t/Acme/x", cookie)
	w.status(403, "GET", "/t/other/x", cookie)
	for _, target := range []string{"/t/acme%2fother/x", "/t/acme%2f/x", "/t/acme;other", "/t/acme%2f..%2fother/x"} {
		w.status(400, "GET", target, cookie)
	}
}
