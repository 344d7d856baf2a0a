package idp_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCodeFlow(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		b, r := f.browser(), newRequest()
		page := b.open(r)
		if !strings.Contains(page.body, "Web shop") {
			t.Error("the page does not say which application one signs in to")
		}
		to := b.submit(page, "ALICE@example.com", password).location(t)
		q := to.Query()
		if q.Get("state") != "st%te & +\"1" || q.Get("iss") != f.issuer || !strings.HasPrefix(to.String(), callback+"?") {
			t.Errorf("sent back to %s", to)
		}
		tokens := f.redeem(to, r)
		if tokens.status != 200 || tokens.header.Get("Cache-Control") != "no-store" || tokens.text("token_type") != "Bearer" {
			t.Fatalf("token answer = %d %v", tokens.status, tokens.json)
		}
		id := claims(t, tokens.text("id_token"))
		if id["nonce"] != "n-1" || id["aud"] != "web" || id["iss"] != f.issuer || id["sid"] == "" || id["email"] != "Alice@example.com" {
			t.Errorf("ID token = %v", id)
		}
		info := f.userinfo(tokens.text("access_token"))
		if info.status != 200 || info.text("sub") != id["sub"] || info.text("username") != "alice" || info.json["email_verified"] != true {
			t.Errorf("userinfo = %d %v", info.status, info.json)
		}
	})
}

func (f *fixture) userinfo(access string) reply {
	r, err := http.NewRequest("GET", f.issuer+"/oauth2/userInfo", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	return f.send(r)
}

func TestSecondApplicationIsSilent(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	b.signIn(newRequest())
	to := b.get(f.authorizeURL(newRequest("client_id", "other", "redirect_uri", "https://other.test/cb", "scope", "openid", "prompt", "none"))).location(t)
	if to.Host != "other.test" || to.Query().Get("code") == "" {
		t.Errorf("silent sign-in went to %s, want a code at other.test", to)
	}
}

func TestPromptNone(t *testing.T) {
	f := start(t, "")
	to := f.browser().get(f.authorizeURL(newRequest("prompt", "none"))).location(t)
	if to.Query().Get("error") != "login_required" || to.Query().Get("state") == "" || to.Query().Get("iss") != f.issuer {
		t.Errorf("prompt=none without a session went to %s, want login_required with state and iss", to)
	}
}

func TestFreshSignInIsDemanded(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	b.signIn(newRequest())
	f.later(2 * time.Minute)
	for _, demand := range [][2]string{{"prompt", "login"}, {"prompt", "select_account"}, {"max_age", "60"}, {"max_age", "0"}} {
		r := newRequest(demand[0], demand[1])
		to := b.get(f.authorizeURL(r)).location(t)
		if to.Path != "/login" {
			t.Errorf("%s=%s went to %s, want the sign-in page", demand[0], demand[1], to)
			continue
		}
		// Leaving the page changes nothing: the next request still demands it.
		if again := b.get(f.authorizeURL(r)).location(t); again.Path != "/login" {
			t.Errorf("%s=%s once asked is satisfied by leaving the page: %s", demand[0], demand[1], again)
		}
		back := b.submit(b.get(to.String()), "alice", password).location(t)
		before := f.now().Add(-time.Minute).Unix()
		id := claims(t, f.redeem(back, r).text("id_token"))
		if at, _ := id["auth_time"].(float64); int64(at) < before {
			t.Errorf("%s=%s: auth_time = %v, want now", demand[0], demand[1], id["auth_time"])
		}
		f.later(2 * time.Minute)
	}
	if to := b.get(f.authorizeURL(newRequest("max_age", "3600"))).location(t); to.Query().Get("code") == "" {
		t.Errorf("max_age=3600 went to %s, want a code", to)
	}
}

func TestTenTabsAtOnce(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	var pages []answer
	// All ten begin before the browser has any cookie: none may spoil another's.
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			page := b.open(newRequest())
			mu.Lock()
			defer mu.Unlock()
			pages = append(pages, page)
		})
	}
	wg.Wait()
	for i, page := range pages {
		if to := b.submit(page, "alice", password).location(t); to.Query().Get("code") == "" {
			t.Errorf("tab %d went to %s, want a code", i, to)
		}
	}
}

func TestFlowCookiesAreBounded(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	for range 40 {
		b.get(f.authorizeURL(newRequest()))
	}
	u, _ := url.Parse(f.issuer + "/login")
	if n := len(b.http.Jar.Cookies(u)); n > 16 {
		t.Errorf("the browser holds %d cookies after forty sign-in pages, want at most 16", n)
	}
	if to := b.submit(b.open(newRequest()), "alice", password).location(t); to.Query().Get("code") == "" {
		t.Errorf("the newest page went to %s, want a code", to)
	}
}

func TestDoubleSubmitAndBackButton(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		b := f.browser()
		page := b.open(newRequest())
		if to := b.submit(page, "alice", password).location(t); to.Query().Get("code") == "" {
			t.Fatalf("first submit went to %s", to)
		}
		// The second click of a double click: its answer is the one the browser shows.
		second := b.submit(page, "alice", password).location(t)
		to := b.get(second.String()).location(t)
		if to.Query().Get("code") == "" || to.Query().Get("state") == "" {
			t.Errorf("second submit went to %s, then %s; want a code", second, to)
		}
		back := b.get(page.Request.URL.String())
		if back.StatusCode != 200 || !strings.Contains(back.body, "Continue to Web shop") {
			t.Errorf("Back shows %d %s", back.StatusCode, back.body)
		}
	})
}

func TestSimultaneousSubmitsMakeOneSession(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	page := b.open(newRequest())
	form := page.form(t)
	form.fields.Set("username", "alice")
	form.fields.Set("password", password)
	codes := make(chan string, 8)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			a := b.do("POST", form.action, form.fields, nil)
			if u, err := a.Location(); err == nil {
				codes <- u.Query().Get("code")
			}
		})
	}
	wg.Wait()
	close(codes)
	n := 0
	for code := range codes {
		if code != "" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of 8 submits of one page gave a code, want 1", n)
	}
}

func TestTicketIsNewAtEverySignIn(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		// A ticket that an attacker has planted is worth nothing after the sign-in.
		eve := f.browser()
		to := eve.submit(eve.open(newRequest()), "bob", password).location(t)
		if to.Query().Get("code") == "" {
			t.Fatal("bob cannot sign in")
		}
		u, _ := url.Parse(f.issuer + "/login")
		victim := f.browser()
		var planted []*http.Cookie
		for _, c := range eve.http.Jar.Cookies(u) {
			if strings.HasPrefix(c.Name, "gatehouse-sso-") && strings.Count(c.Name, "-") == 2 {
				planted = append(planted, c)
			}
		}
		if len(planted) != 1 {
			t.Fatalf("planted %v, want one session cookie", planted)
		}
		victim.http.Jar.SetCookies(u, planted)
		victim.submit(victim.open(newRequest("prompt", "login")), "alice", password).location(t)
		if to := eve.get(f.authorizeURL(newRequest("prompt", "none"))).location(t); to.Query().Get("error") != "login_required" {
			t.Errorf("the planted ticket still works: %s", to)
		}
	})
}

func TestSignInAgainKeepsTheSessionID(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	r1, r2 := newRequest(), newRequest("prompt", "login")
	first := claims(t, f.redeem(b.signIn(r1), r1).text("id_token"))
	second := claims(t, f.redeem(b.signIn(r2), r2).text("id_token"))
	if first["sid"] != second["sid"] {
		t.Error("a second sign-in of the same person in one browser has another sid: signing out would forget the first")
	}
}

func TestSessionEndsByTime(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	b.signIn(newRequest())
	silent := func() string {
		return b.get(f.authorizeURL(newRequest("prompt", "none"))).location(t).Query().Get("error")
	}
	for range 13 {
		f.later(55 * time.Minute)
		if e := silent(); e != "" {
			t.Fatalf("a session in use ended early: %s", e)
		}
	}
	f.later(10 * time.Minute)
	if e := silent(); e != "login_required" {
		t.Error("the session outlived its 12 hours")
	}
	b.signIn(newRequest())
	f.later(61 * time.Minute)
	if e := silent(); e != "login_required" {
		t.Error("an idle session outlived its hour")
	}
}

func TestDisabledUserHasNoSession(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	b.signIn(newRequest())
	if err := f.p.Pool.Disable(t.Context(), f.userID("alice")); err != nil {
		t.Fatal(err)
	}
	if e := b.get(f.authorizeURL(newRequest("prompt", "none"))).location(t).Query().Get("error"); e != "login_required" {
		t.Errorf("a disabled user is still signed in: %q", e)
	}
}
