package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// stepUpWithin is how old a sign-in may be for /fresh/: see stepUpRoutes.
const stepUpWithin = 4 * time.Second

// stepUpPassed is when a sign-in of now is too old for /fresh/.
const stepUpPassed = stepUpWithin + 1500*time.Millisecond

func startStepUp(t *testing.T) house {
	t.Helper()
	port, dir := freePort(t), t.TempDir()
	public, issuer := fmt.Sprintf("http://localhost:%d", port), fmt.Sprintf("http://127.0.0.1:%d", port)
	g := startServe(t, dir, public, file{
		public: public, dir: dir, upstream: application(t), routes: stepUpRoutes,
		// Without second factors: what cannot be had is said, and not asked for.
		parts: []string{strings.Replace(provider(issuer, usualTTL), "mfa: { groups: [] }", `mfa: { mode: "off" }`, 1), fmt.Sprintf("bearer: { clients: [%s] }\n", webClient)},
	}.String())
	return house{gateway: g, issuer: issuer, ours: true}
}

func TestStepUpInTheBrowser(t *testing.T) {
	t.Parallel() // it mostly waits
	executable := chromium(t)
	node(t)
	h := startStepUp(t)
	runScript(t, "browser-stepup.mjs", "CHROMIUM", executable, "PASSWORD", demoPassword, "GATEHOUSE_URL", h.url,
		"ISSUER", h.issuer, "WAIT", fmt.Sprint(stepUpPassed.Milliseconds()))
}

// signedIn is a visitor who has just signed in.
func (h house) signedIn(t *testing.T, user string) *visitor {
	t.Helper()
	v := newVisitor(t, h.url)
	if a := v.signIn(user, demoPassword, "/fresh/x"); a.status != http.StatusOK {
		t.Fatalf("%s signs in on the way to /fresh/x and gets %d at %s\n%s", user, a.status, a.url, a.body)
	}
	return v
}

func TestStepUpInTwoTabs(t *testing.T) {
	t.Parallel() // it mostly waits
	h := startStepUp(t)
	v := h.signedIn(t, "alice")
	time.Sleep(stepUpPassed)
	pages := [2]*answer{v.open("/fresh/1?tab=one"), v.open("/fresh/2?tab=two")}
	for i := 1; i >= 0; i-- {
		f, err := pages[i].form()
		if err != nil {
			t.Fatalf("tab %d ends with %d at %s, not at the sign-in page", i+1, pages[i].status, pages[i].url)
		}
		if got := f.values.Get(f.name); got != "alice" {
			t.Errorf("tab %d: the page asks for %q, want alice filled in", i+1, got)
		}
		end := v.submit(v.fill(pages[i], "alice", demoPassword))
		if want := fmt.Sprintf("%s/fresh/%d?tab=%s", h.url, i+1, [2]string{"one", "two"}[i]); end.status != http.StatusOK || end.url.String() != want {
			t.Errorf("tab %d ends with %d at %s, want %s", i+1, end.status, end.url, want)
		}
	}
}

// TestStepUpIsToldToPrograms: no redirect, and all that is needed to go on (RFC
// 9470 §3).
func TestStepUpIsToldToPrograms(t *testing.T) {
	t.Parallel() // it mostly waits
	h := startStepUp(t)
	v := h.signedIn(t, "alice")
	g := h.codeFlow(t, "alice", "openid")
	bearer := []string{"Authorization", "Bearer " + g.AccessToken}
	if a := ask(t, http.MethodGet, h.url+"/fresh/x", bearer...); a.status != http.StatusOK {
		t.Errorf("a token of a fresh sign-in at /fresh/x = %d, want 200", a.status)
	}
	time.Sleep(stepUpPassed)
	for what, c := range map[string]struct {
		a        *answer
		wants    []string
		loginURL bool
	}{
		"fetch":             {v.fetch("/fresh/x?q=1"), []string{`max_age="4"`}, true},
		"POST":              {v.do(http.MethodPost, "/fresh/x", strings.NewReader("{}"), fetching...), []string{`max_age="4"`}, true},
		"second factor":     {v.fetch("/strong/x"), []string{`acr_values="https://refeds.org/profile/mfa"`}, true},
		"classes":           {v.fetch("/classed/x"), []string{`acr_values="urn:gold urn:silver"`}, true},
		"bearer":            {ask(t, http.MethodGet, h.url+"/fresh/x", bearer...), []string{`max_age="4"`}, false},
		"bearer, strongly":  {ask(t, http.MethodGet, h.url+"/strong/x", bearer...), []string{`acr_values=`}, false},
		"bearer, as a page": {ask(t, http.MethodGet, h.url+"/fresh/x", append(bearer, navigation...)...), nil, false},
	} {
		challenge := c.a.header.Get("WWW-Authenticate")
		if c.a.status != http.StatusUnauthorized || c.a.header.Get("Location") != "" {
			t.Errorf("%s: %d with Location %q, want 401 without one", what, c.a.status, c.a.header.Get("Location"))
		}
		for _, want := range append(c.wants, `error="insufficient_user_authentication"`) {
			if !strings.Contains(challenge, want) {
				t.Errorf("%s: WWW-Authenticate = %q, want %s", what, challenge, want)
			}
		}
		var problem struct {
			LoginURL string `json:"login_url"`
		}
		if err := json.Unmarshal([]byte(c.a.body), &problem); c.loginURL && (err != nil || !strings.HasPrefix(problem.LoginURL, h.url+"/_gatehouse/sign-in")) {
			t.Errorf("%s: login_url = %q, %v", what, problem.LoginURL, err)
		}
	}
}

// TestStepUpChangesNoRefusal: whoever may not is refused, however they signed
// in, and is not sent round first.
func TestStepUpChangesNoRefusal(t *testing.T) {
	t.Parallel()
	h := startStepUp(t)
	bob := h.signedIn(t, "bob")
	if a := bob.step("/admin/x"); a.status != http.StatusForbidden {
		t.Errorf("bob at /admin/x = %d with Location %q, want 403", a.status, a.header.Get("Location"))
	}
	stranger := newVisitor(t, h.url).step("/strong/x")
	if to := stranger.header.Get("Location"); stranger.status != http.StatusFound || !strings.Contains(to, "acr_values=") {
		t.Errorf("a stranger at /strong/x = %d to %s, want a sign-in that asks for a second factor", stranger.status, to)
	}
}

// TestStepUpAtSomebodyElsesIssuer: nothing of it depends on our own provider.
func TestStepUpAtSomebodyElsesIssuer(t *testing.T) {
	t.Parallel() // it mostly waits
	program := node(t)
	public, port, dir := fmt.Sprintf("http://localhost:%d", freePort(t)), freePort(t), t.TempDir()
	issuer := fmt.Sprintf("http://127.0.0.1:%d", port)
	p := startProcess(t, "oidc-provider", pairs([]string{
		"ISSUER", issuer, "PORT", fmt.Sprint(port), "CLIENT_ID", remoteClient, "CLIENT_SECRET", remoteSecret,
		"REDIRECT_URI", public + "/oauth2/idpresponse", "SIGN_OUT_URIS", "[]", "ACCESS_TTL", "600",
	}), program, "node/foreign-issuer.mjs")
	if err := waitFor(p, issuer+"/.well-known/openid-configuration"); err != nil {
		t.Fatal(err)
	}
	g := startServe(t, dir, public, file{
		public: public, dir: dir, upstream: application(t), routes: stepUpRoutes,
		parts: []string{relyOn(issuer, remoteClient, remoteSecret, "groups", "preferred_username", "openid", "email", "profile", "groups")},
	}.String())
	v := house{gateway: g, issuer: issuer}.signedIn(t, "alice")
	before := v.session()
	time.Sleep(stepUpPassed)
	const target = "/fresh/y?q=1&r=%2F"
	page := v.open(target)
	if !strings.HasPrefix(page.url.String(), issuer) {
		t.Fatalf("an old sign-in at %s ends with %d at %s, want the issuer's page", target, page.status, page.url)
	}
	a := v.submit(v.fill(page, "bob", demoPassword))
	// This issuer ends alice's session there first: a form that a script sends.
	if f, err := a.form(); err == nil && f.password == "" {
		a = v.submit(f)
	}
	if a.status != http.StatusForbidden {
		t.Errorf("bob, in alice's place, ends with %d at %s, want 403", a.status, a.url)
	}
	if _, who := v.me(); !holds(who, "alice") || v.session() != before {
		t.Errorf("after bob's try the session says %v", who)
	}
	// The issuer knows bob now; alice is asked all the same.
	time.Sleep(1100 * time.Millisecond)
	a = v.submit(v.fill(v.open(target), "alice", demoPassword))
	if f, err := a.form(); err == nil && f.password == "" && a.status == http.StatusOK && !strings.HasPrefix(a.url.String(), public) {
		a = v.submit(f)
	}
	if a.status != http.StatusOK || a.url.String() != public+target || v.session() == before {
		t.Errorf("alice, signed in anew, ends with %d at %s\n%s", a.status, a.url, strings.Join(a.hops, "\n"))
	}
	if a := v.open("/strong/x"); a.status != http.StatusForbidden || len(a.hops) > 5 {
		t.Errorf("/strong/x ends with %d after %d hops, want 403\n%s", a.status, len(a.hops), strings.Join(a.hops, "\n"))
	}
}
