package idp_test

import (
	"encoding/base32"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/idp"
	"gatehouse/idp/signin"
	"gatehouse/internal/testenv/authenticator"
)

// app is an authenticator app, set up for one account of one provider.
type app struct {
	f   *fixture
	key []byte
}

// code is what the app shows now. It moves the provider's clock on, so that the
// next code is another.
func (a *app) code() string {
	a.f.later(31 * time.Second)
	return a.at(0)
}

func (a *app) at(steps int64) string {
	return authenticator.Code(a.key, a.f.now(), steps)
}

var (
	shownKey  = regexp.MustCompile(`type this key into it: <code>([A-Z2-7 ]+)</code>`)
	shownCode = regexp.MustCompile(`<li><code>([0-9a-z-]{11})</code>`)
)

// appOf reads the key that a set-up page shows.
func (a answer) appOf(f *fixture) *app {
	f.t.Helper()
	found := shownKey.FindStringSubmatch(a.body)
	if found == nil || !strings.Contains(a.body, "<svg ") {
		f.t.Fatalf("%s shows no key and no QR code: %s", a.Request.URL, a.body)
	}
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(found[1], " ", ""))
	if err != nil {
		f.t.Fatal(err)
	}
	return &app{f, key}
}

// next is the page that an answer leads to.
func (b *browser) next(a answer) answer {
	b.f.t.Helper()
	return b.get(a.location(b.f.t).String())
}

// enter signs a person in to their own account and returns the security page.
func (b *browser) enter(name string) answer {
	b.f.t.Helper()
	page := b.next(b.get(b.f.issuer + "/account/security"))
	return b.next(b.submit(page, name, password))
}

// setUpApp sets up an authenticator app for alice, and returns it with her
// recovery codes.
func (f *fixture) setUpApp(b *browser) (*app, []string) {
	f.t.Helper()
	page := b.next(b.fill(b.enter("alice"), "do", "add", "kind", "totp"))
	phone := page.appOf(f)
	page = b.next(b.fill(page, "code", phone.code(), "name", "my phone"))
	var codes []string
	for _, found := range shownCode.FindAllStringSubmatch(page.body, -1) {
		codes = append(codes, found[1])
	}
	if again := b.get(page.Request.URL.String()); len(codes) != 10 || again.body != page.body {
		f.t.Fatalf("%d recovery codes, or others when the page is loaded again; want 10: %s", len(codes), page.body)
	}
	page = b.next(b.fill(page))
	if page.StatusCode != 200 || !strings.Contains(page.body, "my phone") || strings.Contains(page.body, codes[0]) {
		f.t.Fatalf("after set-up: %d %s", page.StatusCode, page.body)
	}
	return phone, codes
}

func TestWhatIsNotOfferedIsNotSetUp(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	page := b.enter("alice")
	for _, kind := range []string{"", "nonsense", "passkey\x00", strings.Repeat("x", 5000)} {
		a := b.fill(page, "do", "add", "kind", kind)
		back := a.StatusCode == 303 && a.location(t).Path == "/account/security"
		if refused := a.StatusCode >= 400 && a.StatusCode <= 499; !refused && !back {
			t.Errorf("set up %.10q: %d to %q, want a refusal or the way back", kind, a.StatusCode, a.Header.Get("Location"))
		}
	}
}

// half gives alice's password for r and returns the page that asks for more.
func (b *browser) half(r request) answer {
	b.f.t.Helper()
	a := b.submit(b.open(r), "alice", password)
	if len(a.Cookies()) != 0 {
		b.f.t.Errorf("somebody half signed in gets cookies: %v", a.Cookies())
	}
	return b.next(a)
}

func amrOf(id map[string]any) []string {
	var out []string
	list, _ := id["amr"].([]any)
	for _, v := range list {
		out = append(out, v.(string))
	}
	return out
}

func TestSecondFactorWithoutJavaScript(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		phone, codes := f.setUpApp(f.browser())
		b, r := f.browser(), newRequest()
		page := b.half(r)
		for _, want := range []string{`inputmode="numeric"`, `autocomplete="one-time-code"`, `<label for="code">`, "as <strong>alice</strong>"} {
			if !strings.Contains(page.body, want) {
				t.Errorf("the page lacks %s: %s", want, page.body)
			}
		}
		wrong := b.fill(page, "code", "12345x")
		if wrong.StatusCode != 422 || !strings.Contains(wrong.body, `role="alert"`) || !strings.Contains(wrong.body, "<title>Error: ") || !strings.Contains(wrong.body, `aria-invalid="true"`) {
			t.Errorf("a wrong code: %d %s", wrong.StatusCode, wrong.body)
		}
		code := phone.code()
		to := b.fill(page, "code", code[:3]+" "+code[3:]+"\n", "trust", "").location(t)
		id := claims(t, f.redeem(to, r).text("id_token"))
		if !slices.Equal(amrOf(id), []string{"pwd", "otp", "mfa"}) || id["acr"] != signin.ACR {
			t.Errorf("amr %v, acr %v; want [pwd otp mfa] and %s", id["amr"], id["acr"], signin.ACR)
		}
		// The code was used, whoever shows it.
		other := f.browser()
		page = other.half(newRequest())
		if a := other.fill(page, "code", code); a.StatusCode != 422 {
			t.Errorf("a code shown twice: %d, want 422", a.StatusCode)
		}
		// The phone is lost.
		page = other.next(other.do("POST", page.form(t).action, url.Values{"form_token": {page.form(t).fields.Get("form_token")}, "use": {"recovery"}}, nil))
		to = other.fill(page, "code", strings.ToUpper(codes[3])).location(t)
		if to.Query().Get("code") == "" {
			t.Errorf("a recovery code leads to %s", to)
		}
		third := f.browser()
		page = third.half(newRequest())
		page = third.next(third.fill(page, "use", "recovery"))
		if a := third.fill(page, "code", codes[3]); a.StatusCode != 422 {
			t.Errorf("a recovery code used twice: %d, want 422", a.StatusCode)
		}
	})
}

// Nothing half-authenticated opens anything, and no step can be skipped.
func TestHalfSignedInOpensNothing(t *testing.T) {
	f := start(t, "")
	phone, _ := f.setUpApp(f.browser())
	b := f.browser()
	page := b.half(newRequest())
	for name, fields := range map[string][]string{
		"nothing": nil, "an empty code": {"code", ""}, "a factor nobody has": {"use", "sms"}, "one that is not enrolled": {"use", "passkey"},
		"no factor": {"use", ""}, "a code resent": {"resend", "yes"}, "the password again": {"username", "alice", "password", password},
		"somebody else's": {"username", "bob", "password", password}, "a new password": {"password", "another password of mine"},
		"a passkey": {"passkey", "{}"}, "a passkey set up": {"passkey", "{}", "name", "x"},
	} {
		fill := append([]string{"code", ""}, fields...)
		a := b.fill(page, fill...)
		if u, err := a.Location(); err == nil && u.Path != "/login" || err != nil && a.StatusCode != 422 && a.StatusCode != 429 {
			t.Errorf("%s: %d to %v", name, a.StatusCode, u)
		}
		if len(a.Cookies()) != 0 {
			t.Errorf("%s: cookies %v", name, a.Cookies())
		}
		// Empty answers count; so each has a page of its own.
		b = f.browser()
		page = b.half(newRequest())
	}
	if to := b.get(f.authorizeURL(newRequest("prompt", "none"))).location(t); to.Query().Get("error") != "login_required" {
		t.Errorf("half signed in, prompt=none: %s", to)
	}
	if to := b.get(f.issuer + "/account/security").location(t); to.Path != "/login" {
		t.Errorf("half signed in, the account: %s", to)
	}
	if a := b.do("POST", f.issuer+"/account/security", url.Values{"do": {"remove"}, "kind": {"totp"}}, nil); a.location(t).Path != "/account/security" {
		t.Errorf("half signed in, a change: %d", a.StatusCode)
	}
	if a := f.browser().get(page.Request.URL.String()); a.StatusCode != 400 {
		t.Errorf("the page in another browser: %d, want 400", a.StatusCode)
	}
	if to := b.fill(page, "code", phone.code()).location(t); to.Query().Get("code") == "" {
		t.Errorf("the right code after all that: %s", to)
	}
}

// What was proved with a password counts only as long as it is the password.
func TestHalfSignedInEndsWithThePassword(t *testing.T) {
	f := start(t, "")
	phone, _ := f.setUpApp(f.browser())
	for name, change := range map[string]func() error{
		"another password": func() error {
			return f.p.Pool.SetPassword(t.Context(), f.userID("alice"), password, "CONFIRMED")
		},
		"disabled": func() error { return f.p.Pool.Disable(t.Context(), f.userID("alice")) },
	} {
		b := f.browser()
		page := b.half(newRequest())
		f.later(time.Second)
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if a := b.fill(page, "code", phone.code()); a.StatusCode != 400 {
			t.Errorf("%s: %d, want 400", name, a.StatusCode)
		}
		if err := f.p.Pool.Enable(t.Context(), f.userID("alice")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFiftySubmitsOfOneCodeAreOneSignIn(t *testing.T) {
	f := start(t, "")
	phone, _ := f.setUpApp(f.browser())
	b := f.browser()
	form := b.half(newRequest()).form(t)
	form.fields.Set("code", phone.code())
	var mu sync.Mutex
	var wg sync.WaitGroup
	won := 0
	for range 50 {
		wg.Go(func() {
			a := b.do("POST", form.action, form.fields, nil)
			mu.Lock()
			defer mu.Unlock()
			if u, err := a.Location(); err == nil && u.Query().Get("code") != "" {
				won++
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("one code signed in %d times, want once", won)
	}
}

// Five wrong codes end the page; counts outlive it, so that ten do not come by
// beginning again.
func TestCodesCannotBeGuessed(t *testing.T) {
	f := start(t, "", func(c *idp.Config) { c.SignIn.AddressTries = 1000 })
	phone, _ := f.setUpApp(f.browser())
	statuses := map[int]int{}
	for range 3 {
		b := f.browser()
		page := b.half(newRequest())
		for range 6 {
			statuses[b.fill(page, "code", "abcdef").StatusCode]++
		}
	}
	if statuses[422] != 10 || statuses[429] != 8 {
		t.Errorf("answers = %v, want ten wrong ones looked at", statuses)
	}
	b := f.browser()
	if a := b.fill(b.half(newRequest()), "code", phone.code()); a.StatusCode != 429 || a.Header.Get("Retry-After") == "" {
		t.Errorf("the right code after ten wrong ones: %d, want 429 and when to come back", a.StatusCode)
	}
}

func TestGroupsThatNeedAFactorSetOneUp(t *testing.T) {
	f := start(t, "", func(c *idp.Config) { c.MFA.Groups = []string{"admins"} })
	b, r := f.browser(), newRequest()
	page := b.half(r)
	phone := page.appOf(f)
	if to := b.get(f.authorizeURL(newRequest("prompt", "none"))).location(t); to.Query().Get("error") != "login_required" {
		t.Errorf("signed in before anything was set up: %s", to)
	}
	if a := b.fill(page, "code", "000000x"); a.StatusCode != 422 || a.appOf(f).at(0) != phone.at(0) {
		t.Errorf("a wrong code shows %d, or another key", a.StatusCode)
	}
	page = b.next(b.fill(page, "code", phone.code()))
	to := b.fill(page).location(t)
	if id := claims(t, f.redeem(to, r).text("id_token")); !slices.Equal(amrOf(id), []string{"pwd", "otp", "mfa"}) {
		t.Errorf("amr = %v", id["amr"])
	}
	bob := f.browser()
	if to := bob.submit(bob.open(newRequest()), "bob", password).location(t); to.Query().Get("code") == "" {
		t.Errorf("bob, who is in no such group, goes to %s", to)
	}
	// The last factor of somebody who needs one stays.
	page = b.get(f.issuer + "/account/security")
	if a := b.fill(page, "do", "remove", "kind", "totp", "id", ""); a.StatusCode != 422 || !strings.Contains(a.body, "your last one") {
		t.Errorf("removing the last factor: %d %s", a.StatusCode, a.body)
	}
}

func TestFactorsAreRemovedWithAFactor(t *testing.T) {
	f := start(t, "", func(c *idp.Config) { c.MFA.Devices.Remember = "optional" })
	phone, _ := f.setUpApp(f.browser())
	b := f.browser()
	b.fill(b.half(newRequest()), "code", phone.code(), "trust", "yes").location(t)
	// By the remembered browser alone: a password, no factor.
	b.signIn(newRequest("prompt", "login"))
	page := b.get(f.issuer + "/account/security")
	page = b.next(b.fill(page, "do", "remove", "kind", "totp", "id", ""))
	page = b.next(b.fill(page, "code", phone.code(), "trust", ""))
	if !strings.Contains(page.body, "my phone") {
		t.Fatalf("after the factor: %s", page.body)
	}
	if to := b.fill(page, "do", "remove", "kind", "totp", "id", "").location(t); to.Path != "/account/security" {
		t.Fatalf("removal leads to %s", to)
	}
	if to := b.get(f.authorizeURL(newRequest("prompt", "none"))).location(t); to.Query().Get("error") != "login_required" {
		t.Errorf("a session outlives the removal of a factor: %s", to)
	}
	if page := f.browser().enter("alice"); strings.Contains(page.body, "my phone") || !strings.Contains(page.body, "You have none") {
		t.Errorf("the factor is still there: %s", page.body)
	}
	old := b.get(f.issuer + "/account/security")
	if old.location(t).Path != "/login" {
		t.Errorf("the security page after the removal: %d", old.StatusCode)
	}
}

func TestSecurityPageNeedsARecentSignIn(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	page := b.enter("bob")
	f.later(11 * time.Minute)
	for _, what := range []string{"add", "remove", "codes", "prefer", "forget", "rename"} {
		if to := b.fill(page, "do", what, "kind", "totp").location(t); to.Path != "/login" {
			t.Errorf("%s eleven minutes after the sign-in leads to %s", what, to)
		}
	}
	if to := b.get(f.issuer + "/account/security").location(t); to.Path != "/login" {
		t.Errorf("the page eleven minutes after the sign-in: %s", to)
	}
	b = f.browser()
	b.enter("bob")
	script := http.Header{"Sec-Fetch-Mode": {"same-origin"}, "Sec-Fetch-Dest": {"empty"}}
	if a := b.do("GET", f.issuer+"/account/security", nil, script); a.StatusCode != 403 {
		t.Errorf("the page by a script: %d, want 403", a.StatusCode)
	}
	if a := b.do("POST", f.issuer+"/account/security", url.Values{"do": {"add"}, "kind": {"totp"}}, nil); a.StatusCode != 403 {
		t.Errorf("a form without a token: %d, want 403", a.StatusCode)
	}
}
