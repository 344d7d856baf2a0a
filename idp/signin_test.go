package idp_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/idp"
)

var vary = regexp.MustCompile(`value="[^"]*"|flow=[A-Za-z0-9_-]+`)

// bare is a page without what differs from flow to flow, and its headers.
func (a answer) bare() string {
	h := a.Header.Clone()
	h.Del("Date")
	var lines []string
	for name, values := range h {
		lines = append(lines, name+": "+strings.Join(values, ","))
	}
	return strconv.Itoa(a.StatusCode) + " " + strconv.Itoa(len(lines)) + " " + h.Get("Content-Security-Policy") + "\n" + vary.ReplaceAllString(a.body, "")
}

// A stranger, a wrong password, a disabled and a waiting account
// get one answer, and cost one hash.
func TestNobodyLearnsWhoHasAnAccount(t *testing.T) {
	f := start(t, "", func(c *idp.Config) { c.SignIn.AddressTries = 1000 })
	if err := f.p.Pool.Disable(t.Context(), f.userID("bob")); err != nil {
		t.Fatal(err)
	}
	calls := func() int64 { return f.p.Hasher.Calls() }
	try := func(name, pass string) (answer, int64) {
		page := f.browser().open(newRequest())
		before := calls()
		return f.browserOf(page).submit(page, name, pass), calls() - before
	}
	want, hashes := try("alice", "wrong password")
	if want.StatusCode != 422 || hashes != 1 || !strings.Contains(want.body, `role="alert"`) || !strings.Contains(want.body, "<title>Error: ") ||
		!strings.Contains(want.body, `aria-invalid="true"`) || strings.Contains(want.body, "wrong password") {
		t.Fatalf("wrong password: %d, %d hashes: %s", want.StatusCode, hashes, want.body)
	}
	for range 8 {
		f.later(20 * time.Second)
		try("alice", "wrong password") // now alice has to wait
	}
	for name, c := range map[string][2]string{
		"waiting, wrong": {"alice", "wrong password"}, "waiting, right": {"alice", password}, "stranger": {"malice", password},
		"disabled, right": {"bob", password}, "disabled, wrong": {"bob", "x"},
	} {
		got, hashes := try(c[0], c[1])
		if got.bare() != want.bare() || hashes != 1 {
			t.Errorf("%s: %d hashes, answer differs:\n%s\nwant\n%s", name, hashes, got.bare(), want.bare())
		}
	}
	for name, c := range map[string][2]string{
		"no password": {"alice", ""}, "stranger without": {"malice", ""}, "huge": {"alice", strings.Repeat("x", 2000)},
		"huge stranger": {strings.Repeat("m", 5000), strings.Repeat("x", 2000)}, "nul": {"alice", "a\u0001b"},
	} {
		if got, _ := try(c[0], c[1]); got.StatusCode != want.StatusCode {
			t.Errorf("%s: %d, want %d", name, got.StatusCode, want.StatusCode)
		}
	}
}

// What the store is asked does not tell either: try for try, also once both have
// to wait.
func TestAStrangersSignInAsksTheStoreAsMuch(t *testing.T) {
	f := start(t, "", func(c *idp.Config) { c.SignIn.AddressTries = 1000 })
	if err := f.p.Pool.Disable(t.Context(), f.userID("bob")); err != nil {
		t.Fatal(err)
	}
	type work struct{ hashes, statements int64 }
	try := func(name string) work {
		page := f.browser().open(newRequest())
		hashes, statements := f.p.Hasher.Calls(), f.db.Statements()
		if a := f.browserOf(page).submit(page, name, "wrong password"); a.StatusCode != 422 {
			t.Fatalf("%s: %d, want 422", name, a.StatusCode)
		}
		return work{f.p.Hasher.Calls() - hashes, f.db.Statements() - statements}
	}
	var waited bool
	first := try("alice@example.com")
	for n := range 8 {
		want := try("alice")
		waited = waited || want != first
		for _, name := range []string{"malice", "malice@other.test", "bob"} {
			if n == 0 {
				try(strings.ToUpper(name)) // alice has had one more, by her address
			}
			if got := try(name); got != want || got.hashes != 1 || got.statements == 0 {
				t.Errorf("try %d as %s: %+v, as alice %+v", n+2, name, got, want)
			}
		}
	}
	if !waited {
		t.Error("alice never had to wait: this has tested half of it")
	}
}

// browserOf returns a browser with the cookies that came with a page's flow.
func (f *fixture) browserOf(page answer) *browser {
	b := f.browser()
	u, _ := url.Parse(f.issuer + "/login")
	b.http.Jar.SetCookies(u, page.Request.Cookies())
	return b
}

// One count for all spellings of an account.
func TestAccountWaitsInEverySpelling(t *testing.T) {
	f := start(t, "", func(c *idp.Config) { c.SignIn.AddressTries = 1000 })
	for i, name := range []string{"alice", "ALICE", " alice", "alice@example.com", "ａlice", "Alice@Example.com", "aLICE", "alice "} {
		if i >= 5 {
			f.later(10 * time.Second) // each wrong one from here on doubles the wait
		}
		b := f.browser()
		b.submit(b.open(newRequest()), name, "wrong")
	}
	b := f.browser()
	before := f.p.Hasher.Calls()
	if a := b.submit(b.open(newRequest()), "alice", password); a.StatusCode != 422 || f.p.Hasher.Calls() != before+1 {
		t.Errorf("after eight wrong passwords in eight spellings the right one is answered %d after %d hashes, want 422 after 1",
			a.StatusCode, f.p.Hasher.Calls()-before)
	}
	f.later(10 * time.Second)
	if a := b.submit(b.open(newRequest()), "alice", password); a.StatusCode != 303 {
		t.Errorf("after the wait the right password is answered %d, want 303", a.StatusCode)
	}
}

// More tabs than there are free tries, answered in one moment: each is a
// sign-in, none is told that the password is wrong.
func TestTenTabsSignInAtOnce(t *testing.T) {
	f := start(t, "")
	pages := make([]answer, 10)
	tabs := make([]*browser, len(pages))
	for i := range pages {
		tabs[i] = f.browser()
		pages[i] = tabs[i].open(newRequest())
	}
	var wg sync.WaitGroup
	status := make([]int, len(pages))
	for i := range pages {
		wg.Go(func() { status[i] = tabs[i].submit(pages[i], "alice", password).StatusCode })
	}
	wg.Wait()
	for i, got := range status {
		if got != 303 {
			t.Errorf("tab %d is answered %d, want 303", i, got)
		}
	}
}

func TestAddressWaits(t *testing.T) {
	f := start(t, "", func(c *idp.Config) { c.SignIn.AddressTries = 3 })
	b := f.browser()
	for i := range 3 {
		b.submit(b.open(newRequest()), "user"+strconv.Itoa(i), "wrong")
	}
	before := f.p.Hasher.Calls()
	a := b.submit(b.open(newRequest()), "alice", password)
	if a.StatusCode != 429 || a.Header.Get("Retry-After") == "" || f.p.Hasher.Calls() != before {
		t.Errorf("fourth try: %d, Retry-After %q; want 429 without a hash", a.StatusCode, a.Header.Get("Retry-After"))
	}
	f.later(11 * time.Minute)
	for range 5 {
		if a := b.submit(b.open(newRequest("prompt", "login")), "alice", password); a.StatusCode != 303 {
			t.Errorf("right passwords count as wrong ones: %d", a.StatusCode)
		}
	}
}

func TestFlowEnds(t *testing.T) {
	f := start(t, "", func(c *idp.Config) { c.SignIn.FlowTries = 2; c.SignIn.AccountTries = 50 })
	b := f.browser()
	page := b.open(newRequest())
	b.submit(page, "alice", "wrong")
	b.submit(page, "alice", "wrong")
	if a := b.submit(page, "alice", password); a.StatusCode != 429 {
		t.Errorf("third answer to a page of two: %d, want 429", a.StatusCode)
	}
	page = b.open(newRequest())
	f.later(11 * time.Minute)
	if a := b.submit(page, "alice", password); a.StatusCode != 400 || a.Header.Get("Location") != "" {
		t.Errorf("expired page: %d, want 400", a.StatusCode)
	}
}

// A POST of ours needs our origin, and a token of that browser
// and that step.
func TestForgedSignIn(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		b := f.browser()
		page, other := b.open(newRequest()), b.open(newRequest())
		form := page.form(t)
		form.fields.Set("username", "alice")
		form.fields.Set("password", password)
		with := func(name, value string) url.Values {
			v := url.Values{}
			for k := range form.fields {
				v.Set(k, form.fields.Get(k))
			}
			v.Set(name, value)
			return v
		}
		before := f.p.Hasher.Calls()
		for name, a := range map[string]answer{
			"foreign origin":      b.do("POST", form.action, form.fields, http.Header{"Origin": {"https://evil.test"}}),
			"null origin":         b.do("POST", form.action, form.fields, http.Header{"Origin": {"null"}}),
			"cross-site":          b.do("POST", form.action, form.fields, http.Header{"Sec-Fetch-Site": {"cross-site"}}),
			"no origin":           b.do("POST", form.action, form.fields, http.Header{"Origin": {""}, "Sec-Fetch-Site": {""}}),
			"a script":            b.do("POST", form.action, form.fields, http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}}),
			"a frame":             b.do("POST", form.action, form.fields, http.Header{"Sec-Fetch-Dest": {"iframe"}}),
			"no token":            b.do("POST", form.action, with("form_token", ""), nil),
			"other flow's token":  b.do("POST", form.action, with("form_token", other.form(t).fields.Get("form_token")), nil),
			"another browser":     f.browser().do("POST", form.action, form.fields, nil),
			"json":                b.do("POST", form.action, form.fields, http.Header{"Content-Type": {"application/json"}}),
			"too large":           b.do("POST", form.action, with("x", strings.Repeat("x", 70<<10)), nil),
			"no flow":             b.do("POST", f.issuer+"/login", form.fields, nil),
			"junk flow":           b.do("POST", f.issuer+"/login?flow=AAAAAAAAAAAAAAAAAAAAAA", form.fields, nil),
			"page in a frame":     b.do("GET", page.Request.URL.String(), nil, http.Header{"Sec-Fetch-Dest": {"iframe"}}),
			"page by a script":    b.do("GET", page.Request.URL.String(), nil, http.Header{"Sec-Fetch-Mode": {"same-origin"}, "Sec-Fetch-Dest": {"empty"}}),
			"page, other browser": f.browser().get(page.Request.URL.String()),
			"service worker":      b.do("GET", page.Request.URL.String(), nil, http.Header{"Service-Worker": {"script"}}),
		} {
			if a.StatusCode < 400 || a.StatusCode >= 500 || a.Header.Get("Location") != "" || strings.Contains(a.body, `name="password"`) {
				t.Errorf("%s: %d, want a refusal", name, a.StatusCode)
			}
		}
		if got := f.p.Hasher.Calls(); got != before {
			t.Errorf("%d passwords were checked for forged forms", got-before)
		}
		if a := b.do("POST", form.action, form.fields, nil); a.StatusCode != 303 {
			t.Errorf("the true form after all that: %d, want 303", a.StatusCode)
		}
	})
}

func TestPagesCarryTheirHeaders(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		page := f.browser().open(newRequest("login_hint", `alice"><script>`))
		csp := page.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self' https://app.test;", "base-uri 'none'"} {
			if !strings.Contains(csp+";", want) {
				t.Errorf("CSP = %q lacks %q", csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("CSP = %q", csp)
		}
		for name, want := range map[string]string{"Referrer-Policy": "same-origin", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
			if got := page.Header.Get(name); got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
		if strings.Contains(page.body, "<script") {
			t.Error("the login_hint is not escaped, or the page has a script")
		}
		for _, want := range []string{`<label for="username"`, `<label for="password"`, `autocomplete="username"`, `autocomplete="current-password"`, `autocapitalize="none"`} {
			if !strings.Contains(page.body, want) {
				t.Errorf("the page lacks %s", want)
			}
		}
		shared := strings.HasSuffix(f.issuer, "idp")
		if got := page.Header.Get("Cross-Origin-Opener-Policy") != ""; got != shared {
			t.Errorf("Cross-Origin-Opener-Policy set = %t, want %t", got, shared)
		}
	})
}

func TestCookiesAreOursAlone(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		b := f.browser()
		start := b.get(f.authorizeURL(newRequest()))
		done := b.submit(b.get(start.location(t).String()), "alice", password)
		path := strings.TrimPrefix(f.issuer, f.origin)
		if path == "" {
			path = "/"
		}
		all := append(start.Cookies(), done.Cookies()...)
		if len(all) != 2 {
			t.Errorf("cookies = %v, want one of the flow and one of the session", all)
		}
		for _, c := range all {
			if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != path || c.Domain != "" || !strings.HasPrefix(c.Name, "gatehouse-sso-") {
				t.Errorf("cookie = %s", c)
			}
		}
	})
}

func TestChosenByOthersMustBeChanged(t *testing.T) {
	f := start(t, "")
	if err := f.p.Pool.SetPassword(t.Context(), f.userID("bob"), "violet lamp 42 river", "FORCE_CHANGE_PASSWORD"); err != nil {
		t.Fatal(err)
	}
	b, r := f.browser(), newRequest()
	page := b.open(r)
	if a := b.submit(page, "bob", "wrong"); a.StatusCode != 422 {
		t.Errorf("a wrong one: %d, want 422 as for anybody", a.StatusCode)
	}
	to := b.submit(page, "bob", "violet lamp 42 river").location(t)
	if to.Path != "/login" {
		t.Fatalf("a password chosen by somebody else leads to %s, want a page that asks for another", to)
	}
	if to := b.get(f.authorizeURL(newRequest("prompt", "none"))).location(t); to.Query().Get("error") != "login_required" {
		t.Errorf("bob is signed in before he has chosen a password: %s", to)
	}
	next := b.get(to.String())
	for _, bad := range []string{"", "short", "violet lamp 42 river"} {
		if a := b.fill(next, "password", bad); a.StatusCode != 422 || !strings.Contains(a.body, `role="alert"`) {
			t.Errorf("%q as the new password: %d, want 422", bad, a.StatusCode)
		}
	}
	back := b.fill(next, "password", "a password of my own").location(t)
	if id := claims(t, f.redeem(back, r).text("id_token")); id["sub"] != f.userID("bob") {
		t.Errorf("ID token = %v", id)
	}
	if a := f.browser(); a.submit(a.open(newRequest()), "bob", "violet lamp 42 river").StatusCode != 422 {
		t.Error("the old password still works")
	}
}
