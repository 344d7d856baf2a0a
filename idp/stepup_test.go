package idp_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/idp"
	"gatehouse/idp/signin"
)

const essentialACR = `{"id_token":{"acr":{"essential":true,"value":"` + signin.ACR + `"}}}`

// A session without a second factor is asked for that and nothing else; the
// sign-in does not get younger by it, nor the session longer.
func TestStepUpAsksForTheFactorAlone(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		b, r := f.browser(), newRequest()
		first := claims(t, f.redeem(b.signIn(r), r).text("id_token"))
		phone, _ := f.setUpApp(f.browser())
		// Adding a factor ended every session: alice is here by password again,
		// before she has shown it.
		if to := b.get(f.authorizeURL(newRequest("prompt", "none"))).location(t); to.Query().Get("error") != "login_required" {
			t.Fatalf("a session outlives a new factor: %s", to)
		}
		b.fill(b.half(newRequest()), "code", phone.code()).location(t)
		if first["acr"] != nil {
			t.Errorf("a password alone has acr %v", first["acr"])
		}
		r = newRequest("acr_values", "urn:other "+signin.ACR)
		to := b.get(f.authorizeURL(r)).location(t)
		if id := claims(t, f.redeem(to, r).text("id_token")); id["acr"] != signin.ACR {
			t.Errorf("who has shown a factor is asked again, or has acr %v", id["acr"])
		}
	})
}

func TestStepUpOfASessionByPassword(t *testing.T) {
	f := start(t, "", func(c *idp.Config) { c.MFA.Devices.Remember = "optional" })
	phone, _ := f.setUpApp(f.browser())
	b := f.browser()
	b.fill(b.half(newRequest()), "code", phone.code(), "trust", "yes").location(t)
	r := newRequest("prompt", "login")
	before := claims(t, f.redeem(b.signIn(r), r).text("id_token"))
	if !slices.Equal(amrOf(before), []string{"pwd"}) || before["acr"] != nil {
		t.Fatalf("a remembered browser gives amr %v, acr %v; want [pwd] and none", before["amr"], before["acr"])
	}
	f.later(20 * time.Minute)
	for name, c := range map[string]struct{ edit, want string }{
		"a wish, silently":   {"acr_values=" + signin.ACR, ""},
		"a demand, silently": {"claims=" + essentialACR, "interaction_required"},
	} {
		key, value, _ := strings.Cut(c.edit, "=")
		q := b.get(f.authorizeURL(newRequest(key, value, "prompt", "none"))).location(t).Query()
		if q.Get("error") != c.want || q.Has("code") != (c.want == "") {
			t.Errorf("%s: %v, want %q", name, q, c.want)
		}
	}
	r = newRequest("claims", essentialACR)
	page := b.next(b.get(f.authorizeURL(r)))
	if strings.Contains(page.body, `name="password"`) || !strings.Contains(page.body, "as <strong>alice</strong>") {
		t.Fatalf("step-up shows %s", page.body)
	}
	to := b.fill(page, "code", phone.code(), "trust", "").location(t)
	id := claims(t, f.redeem(to, r).text("id_token"))
	if !slices.Equal(amrOf(id), []string{"pwd", "otp", "mfa"}) || id["acr"] != signin.ACR || id["auth_time"] != before["auth_time"] || id["sid"] != before["sid"] {
		t.Errorf("after step-up: %v, want mfa and the auth_time and sid of %v", id, before)
	}
	// A second factor is no sign-in: what demands a recent one asks for all.
	f.later(2 * time.Minute)
	page = b.next(b.get(f.authorizeURL(newRequest("acr_values", signin.ACR, "max_age", "60"))))
	if !strings.Contains(page.body, `name="password"`) {
		t.Errorf("max_age is met by a factor: %s", page.body)
	}
	// The session ends when it would have ended.
	f.later(12*time.Hour - 23*time.Minute)
	if to := b.get(f.authorizeURL(newRequest("prompt", "none"))).location(t); to.Query().Get("error") != "login_required" {
		t.Errorf("the session was made longer: %s", to)
	}
}

// A second factor brings no session back that was signed out.
func TestStepUpNeedsTheSession(t *testing.T) {
	f := start(t, "", func(c *idp.Config) { c.MFA.Devices.Remember = "optional" })
	phone, _ := f.setUpApp(f.browser())
	b := f.browser()
	b.fill(b.half(newRequest()), "code", phone.code(), "trust", "yes").location(t)
	b.signIn(newRequest("prompt", "login"))
	page := b.next(b.get(f.authorizeURL(newRequest("acr_values", signin.ACR))))
	form := page.form(t)
	out := b.get(f.issuer + "/logout?client_id=web&logout_uri=" + goodbye)
	b.fill(out)
	if to := b.get(f.authorizeURL(newRequest("prompt", "none"))).location(t); to.Query().Get("error") != "login_required" {
		t.Fatalf("not signed out: %s", to)
	}
	form.fields.Set("code", phone.code())
	a := b.do("POST", form.action, form.fields, nil)
	if u, err := a.Location(); err == nil && u.Query().Has("code") {
		t.Errorf("a signed-out session is back: %s", u)
	}
	if to := b.get(f.authorizeURL(newRequest("prompt", "none"))).location(t); to.Query().Get("error") != "login_required" {
		t.Errorf("signed in again by a factor alone: %s", to)
	}
}

// Whoever has none sets one up where one is demanded; where there are none, a
// demand is refused and a wish is passed over.
func TestStepUpWithoutAFactor(t *testing.T) {
	f := start(t, "")
	b, r := f.browser(), newRequest("acr_values", signin.ACR)
	b.signIn(newRequest())
	page := b.next(b.get(f.authorizeURL(r)))
	phone := page.appOf(f)
	page = b.next(b.fill(page, "code", phone.code()))
	if id := claims(t, f.redeem(b.fill(page).location(t), r).text("id_token")); id["acr"] != signin.ACR {
		t.Errorf("after set-up: acr %v", id["acr"])
	}

	f = start(t, "", func(c *idp.Config) { c.MFA.Mode = "off" })
	b = f.browser()
	r = newRequest("acr_values", signin.ACR)
	if id := claims(t, f.redeem(b.signIn(r), r).text("id_token")); id["acr"] != nil {
		t.Errorf("without factors: acr %v", id["acr"])
	}
	if q := b.get(f.authorizeURL(newRequest("claims", essentialACR))).location(t).Query(); q.Get("error") != "unmet_authentication_requirements" {
		t.Errorf("without factors, a demand: %v", q)
	}
	// Only by mail, and nobody has shown that the address is theirs.
	f = start(t, "", func(c *idp.Config) { c.MFA.Factors = c.MFA.Factors[:0] })
	if q := f.browser().get(f.authorizeURL(newRequest("claims", essentialACR))).location(t).Query(); q.Get("error") != "unmet_authentication_requirements" {
		t.Errorf("without kinds of factors, a demand: %v", q)
	}
}

// T238: a factor is set up by who has just signed in, whoever asks for it: a
// client's demand is no way around the password for whoever finds an open browser.
func TestStepUpSetsNothingUpInAnOldSession(t *testing.T) {
	f := start(t, "")
	b, r := f.browser(), newRequest("claims", essentialACR)
	b.signIn(newRequest())
	f.later(11 * time.Minute)
	page := b.next(b.get(f.authorizeURL(r)))
	if !strings.Contains(page.body, `name="password"`) {
		t.Fatalf("an old session without a factor is asked for %s", page.body)
	}
	page = b.next(b.submit(page, "alice", password))
	phone := page.appOf(f)
	page = b.next(b.fill(page, "code", phone.code()))
	if id := claims(t, f.redeem(b.fill(page).location(t), r).text("id_token")); id["acr"] != signin.ACR {
		t.Errorf("after sign-in and set-up: acr %v", id["acr"])
	}
}

func TestDiscoveryTellsOfSecondFactors(t *testing.T) {
	for mode, want := range map[string]int{"optional": 1, "off": 0} {
		f := start(t, "", func(c *idp.Config) { c.MFA.Mode = mode })
		r, err := http.NewRequest("GET", f.issuer+"/.well-known/openid-configuration", nil)
		if err != nil {
			t.Fatal(err)
		}
		list, _ := f.send(r).json["acr_values_supported"].([]any)
		if len(list) != want || want == 1 && list[0] != signin.ACR {
			t.Errorf("mode %s: acr_values_supported = %v", mode, list)
		}
	}
}

// A remembered browser skips the factor; its token changes each time, works in
// the name of its person alone, and ends with the factors.
func TestRememberedBrowser(t *testing.T) {
	f := start(t, "", func(c *idp.Config) { c.MFA.Devices.Remember = "optional" })
	phone, _ := f.setUpApp(f.browser())
	b := f.browser()
	page := b.half(newRequest())
	if !strings.Contains(page.body, `name="trust"`) {
		t.Fatal("the page does not offer to remember the browser")
	}
	if a := b.fill(page, "code", phone.code(), "trust", ""); deviceOf(a) != nil {
		t.Error("a browser is remembered that nobody asked to")
	}
	b = f.browser()
	first := deviceOf(b.fill(b.half(newRequest()), "code", phone.code(), "trust", "yes"))
	if first == nil || !first.HttpOnly || first.MaxAge < 29*24*3600 || first.SameSite != http.SameSiteLaxMode {
		t.Fatalf("device cookie = %v", first)
	}
	a := b.submit(b.open(newRequest("prompt", "login")), "alice", password)
	second := deviceOf(a)
	if a.location(t).Query().Get("code") == "" || second == nil || second.Value == first.Value {
		t.Fatalf("in a remembered browser: %s, cookie %v", a.location(t), second)
	}
	thief := f.browser()
	begun := thief.open(newRequest())
	thief.http.Jar.SetCookies(begun.Request.URL, []*http.Cookie{first})
	if to := thief.submit(begun, "alice", password).location(t); to.Path != "/login" {
		t.Errorf("a token that was changed skips the factor: %s", to)
	}
	page = b.get(f.issuer + "/account/security")
	if !strings.Contains(page.body, "Remembered browsers") {
		t.Error("the security page does not list the browser")
	}
	if err := f.p.Factors.Forget(t.Context(), f.userID("alice"), onlyDevice(f)); err != nil {
		t.Fatal(err)
	}
	if to := b.submit(b.open(newRequest("prompt", "login")), "alice", password).location(t); to.Path != "/login" {
		t.Errorf("a forgotten browser skips the factor: %s", to)
	}
}

// While strangers make an account wait, its owner gets in from a known browser.
func TestLockedAccountOpensInAKnownBrowser(t *testing.T) {
	f := start(t, "", func(c *idp.Config) { c.MFA.Devices.Remember = "always"; c.SignIn.AddressTries = 1000 })
	phone, _ := f.setUpApp(f.browser())
	b := f.browser()
	b.fill(b.half(newRequest()), "code", phone.code()).location(t)
	lock := func() {
		for i := range 9 {
			if i >= 5 {
				f.later(time.Second << (i - 4)) // until the wait of the last one is over
			}
			eve := f.browser()
			eve.submit(eve.open(newRequest()), "alice", "wrong")
		}
	}
	lock()
	stranger := f.browser()
	if a := stranger.submit(stranger.open(newRequest()), "alice", password); a.StatusCode != 422 {
		t.Fatalf("a stranger's browser: %d, want 422", a.StatusCode)
	}
	if to := b.submit(b.open(newRequest("prompt", "login")), "alice", password).location(t); to.Query().Get("code") == "" {
		t.Errorf("her own browser: %s", to)
	}
	// Ten wrong ones in a row burn it.
	for range 11 {
		b.submit(b.open(newRequest("prompt", "login")), "alice", "wrong")
	}
	lock()
	if a := b.submit(b.open(newRequest("prompt", "login")), "alice", password); a.StatusCode != 422 {
		t.Errorf("a burned browser: %d, want 422", a.StatusCode)
	}
}

func deviceOf(a answer) *http.Cookie {
	for _, c := range a.Cookies() {
		if strings.HasPrefix(c.Name, "gatehouse-device-") {
			return c
		}
	}
	return nil
}

func onlyDevice(f *fixture) string {
	f.t.Helper()
	list, err := f.p.Factors.Devices(f.t.Context(), f.userID("alice"))
	if err != nil || len(list) != 1 {
		f.t.Fatalf("alice has devices %v, %v; want one", list, err)
	}
	return list[0].ID
}
