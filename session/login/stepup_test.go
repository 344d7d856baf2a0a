package login

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const mfaClass = "https://refeds.org/profile/mfa"

// stepUp begins a step-up of whoever is signed in and returns the issuer's
// address.
func (b *browser) stepUp(returnTo string, s StepUp) string {
	b.w.t.Helper()
	have := b.session()
	s.Issuer, s.Subject = have.Issuer, have.Subject
	to, err := b.w.login.Begin(b.w.t.Context(), b.site, b.request("/"), Attempt{ReturnTo: returnTo, StepUp: &s})
	if err != nil {
		b.w.t.Fatal(err)
	}
	b.take(to.Cookies)
	return to.URL
}

func query(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// say makes the issuer's ID tokens say something else; nil leaves a claim out.
func (i *issuer) say(claims map[string]any) {
	i.with(func() {
		i.mutate = func(c map[string]any) {
			for name, value := range claims {
				c[name] = value
			}
		}
	})
}

// ago is auth_time of so long ago.
func ago(d time.Duration) int64 { return time.Now().Add(-d).Unix() }

func TestWhatIsAskedOfTheIssuer(t *testing.T) {
	all := StepUp{MFA: true, ACR: []string{"gold", mfaClass, "silver"}, MaxAge: 90*time.Minute + 500*time.Millisecond}
	announced := func(i *issuer) *Provider {
		i.meta = func(doc map[string]any) { doc["claims_parameter_supported"] = true }
		p := foreign(i)
		p.MFAACR = []string{"phr", "phrh"}
		return p
	}
	sub := `{"id_token":{"sub":{"value":"id-of-alice"}}}`
	for what, c := range map[string]struct {
		kind func(*issuer) *Provider
		ask  StepUp
		want map[string]string
	}{
		"everything":         {own, all, map[string]string{"acr_values": mfaClass + " gold silver", "max_age": "5400", "login_hint": "alice", "claims": sub, "prompt": ""}},
		"a second factor":    {own, StepUp{MFA: true}, map[string]string{"acr_values": mfaClass, "max_age": "", "prompt": ""}},
		"a class":            {own, StepUp{ACR: []string{"gold"}}, map[string]string{"acr_values": "gold"}},
		"less than 2 s":      {own, StepUp{MaxAge: 1999 * time.Millisecond}, map[string]string{"acr_values": "", "max_age": "1"}},
		"foreign":            {foreign, all, map[string]string{"acr_values": "gold " + mfaClass + " silver", "login_hint": "alice@example.com", "claims": ""}},
		"foreign, announced": {announced, all, map[string]string{"acr_values": "phr phrh gold " + mfaClass + " silver", "claims": sub}},
	} {
		w := newWorld(t, c.kind)
		b := w.browser()
		b.signIn("alice", "/")
		q := query(t, b.stepUp("/", c.ask))
		for name, want := range c.want {
			if got := q.Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", what, name, got, want)
			}
		}
	}
}

// TestAFirstSignInAsksAndDoesNotDemand: whoever protects the page judges what
// came; other pages may be content with it.
func TestAFirstSignInAsksAndDoesNotDemand(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	to, err := w.login.Begin(t.Context(), w.site, b.request("/"), Attempt{ReturnTo: "/vault?x=1", StepUp: &StepUp{MFA: true, MaxAge: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	b.take(to.Cookies)
	q := query(t, to.URL)
	if q.Get("acr_values") != mfaClass || q.Get("max_age") != "60" || q.Has("login_hint") || q.Has("claims") {
		t.Errorf("asked %v", q)
	}
	w.issuer.say(map[string]any{"auth_time": ago(time.Hour)})
	result, err := b.callback(w.issuer.approve(to.URL, "alice"))
	if err != nil || result.Location != "/vault?x=1" || b.session() == nil || b.session().MFA {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestStepUpReplacesTheSession(t *testing.T) {
	for what, claims := range map[string]map[string]any{
		"by amr":                     {"amr": []string{"pwd", "otp", "mfa"}},
		"by acr":                     {"acr": mfaClass, "amr": nil},
		"by another clock, 20 s off": {"amr": []string{"mfa"}, "auth_time": ago(-20 * time.Second)},
	} {
		w := newWorld(t, own)
		b, thief := w.browser(), w.browser()
		b.signIn("alice", "/")
		before := b.session()
		if before.MFA || before.Identity().MFA {
			t.Fatal("a password is no second factor")
		}
		for name, value := range b.jar {
			thief.jar[name] = value
		}
		claims["sid"] = "sid-2" // another sign-in, which the old session does not end with
		w.issuer.say(claims)
		result, err := b.callback(w.issuer.approve(b.stepUp("/vault?a=b&c=%2F", StepUp{MFA: true, MaxAge: time.Minute}), "alice"))
		if err != nil || result.Location != "/vault?a=b&c=%2F" {
			t.Fatalf("%s: %+v, %v", what, result, err)
		}
		after := b.session()
		if after == nil || after.ID == before.ID || !after.MFA || !after.Identity().MFA || b.attempts() != 0 {
			t.Errorf("%s: session %+v", what, after)
		}
		if thief.session() != nil {
			t.Errorf("%s: the session of before lives on", what)
		}
	}
}

func TestStepUpThatBringsTooLittle(t *testing.T) {
	mfa, gold := StepUp{MFA: true}, StepUp{ACR: []string{"gold", "silver"}}
	minute := StepUp{MaxAge: time.Minute}
	for what, c := range map[string]struct {
		ask    StepUp
		claims map[string]any
	}{
		"a password alone":          {mfa, nil},
		"no amr":                    {mfa, map[string]any{"amr": nil}},
		"amr of another shape":      {mfa, map[string]any{"amr": "mfa"}},
		"amr in other letters":      {mfa, map[string]any{"amr": []string{"MFA", "mfa "}}},
		"two methods are not mfa":   {mfa, map[string]any{"amr": []string{"pwd", "otp"}}},
		"acr for mfa of another":    {mfa, map[string]any{"acr": mfaClass + "/"}},
		"no acr":                    {gold, nil},
		"another acr":               {gold, map[string]any{"acr": "bronze"}},
		"both classes at once":      {gold, map[string]any{"acr": "gold silver"}},
		"acr of another shape":      {gold, map[string]any{"acr": []string{"gold"}}},
		"no auth_time":              {minute, map[string]any{"auth_time": nil}},
		"auth_time is no number":    {minute, map[string]any{"auth_time": "now"}},
		"auth_time in the future":   {minute, map[string]any{"auth_time": ago(-time.Hour)}},
		"mfa, but at another time":  {StepUp{MFA: true, MaxAge: time.Minute}, map[string]any{"amr": []string{"mfa"}, "auth_time": nil}},
		"gold, but no other factor": {StepUp{MFA: true, ACR: []string{"gold"}}, map[string]any{"acr": "gold"}},
	} {
		w := newWorld(t, own)
		b := w.browser()
		b.signIn("alice", "/")
		before := b.session()
		w.issuer.say(c.claims)
		result, err := b.callback(w.issuer.approve(b.stepUp("/vault", c.ask), "alice"))
		wantCode(t, what, err, CodeStepUp)
		if s := b.session(); s == nil || s.ID != before.ID || result.Session != nil || result.Location != "" || b.attempts() != 0 {
			t.Errorf("%s: session %+v, result %+v", what, s, result)
		}
	}
}

// TestAnIssuerThatPassesOverMaxAgeIsAskedOnceMore: by prompt=login, and if that
// does not help either, the person is told. Nothing goes round in circles.
func TestAnIssuerThatPassesOverMaxAgeIsAskedOnceMore(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	b.signIn("alice", "/")
	before := b.session()
	w.issuer.say(map[string]any{"auth_time": ago(61 * time.Second)})
	ask := StepUp{MaxAge: time.Minute}
	result, err := b.callback(w.issuer.approve(b.stepUp("/vault?x=1", ask), "alice"))
	if err != nil || !strings.HasPrefix(result.Location, w.issuer.url+"/authorize?") {
		t.Fatalf("%+v, %v", result, err)
	}
	q := query(t, result.Location)
	if q.Get("prompt") != "login" || q.Get("max_age") != "60" || q.Get("login_hint") != "alice" || !q.Has("claims") || b.attempts() != 1 {
		t.Errorf("asked again: %v, %d attempts", q, b.attempts())
	}
	_, err = b.callback(w.issuer.approve(result.Location, "alice"))
	wantCode(t, "too old twice", err, CodeStepUp)
	if b.session().ID != before.ID {
		t.Error("the session of before is gone")
	}
	result, _ = b.callback(w.issuer.approve(b.stepUp("/vault?x=1", ask), "alice"))
	w.issuer.say(nil)
	if result, err = b.callback(w.issuer.approve(result.Location, "alice")); err != nil || result.Location != "/vault?x=1" || b.session().ID == before.ID {
		t.Errorf("signed in anew: %+v, %v", result, err)
	}
}

func TestAnotherPersonCannotStepUp(t *testing.T) {
	for what, kind := range map[string]func(*issuer) *Provider{"own": own, "foreign": foreign} {
		w := newWorld(t, kind)
		b := w.browser()
		b.signIn("alice", "/")
		before := b.session()
		w.issuer.say(map[string]any{"amr": []string{"mfa"}})
		_, err := b.callback(w.issuer.approve(b.stepUp("/vault", StepUp{MFA: true}), "bob"))
		wantCode(t, what+": bob", err, CodeOther)
		if s := b.session(); s == nil || s.ID != before.ID || b.attempts() != 0 {
			t.Errorf("%s: session %+v", what, s)
		}
		// The same after the attempt was begun anew.
		w.issuer.say(map[string]any{"auth_time": ago(time.Hour)})
		result, err := b.callback(w.issuer.approve(b.stepUp("/vault", StepUp{MaxAge: time.Minute}), "alice"))
		if err != nil {
			t.Fatal(err)
		}
		w.issuer.say(nil)
		_, err = b.callback(w.issuer.approve(result.Location, "bob"))
		wantCode(t, what+": bob, the second time", err, CodeOther)
		// A token that says alice, for bob's code, of another issuer.
		w.issuer.say(map[string]any{"iss": "https://evil.test", "sub": before.Subject})
		_, err = b.callback(w.issuer.approve(b.stepUp("/vault", StepUp{MaxAge: time.Minute}), "bob"))
		wantCode(t, what+": another issuer", err, CodeToken)
		if s := b.session(); s == nil || s.ID != before.ID {
			t.Errorf("%s: session %+v", what, s)
		}
	}
}

// TestSomebodyElseWhomTheIssuerStillKnows is no reason to refuse the person who
// is here: they are asked who they are, once.
func TestSomebodyElseWhomTheIssuerStillKnows(t *testing.T) {
	for what, known := range map[string]any{"an hour ago": ago(time.Hour), "nobody knows when": nil} {
		w := newWorld(t, foreign)
		b := w.browser()
		b.signIn("alice", "/")
		before := b.session()
		silently := func(then map[string]any) string {
			w.issuer.say(map[string]any{"auth_time": known})
			result, err := b.callback(w.issuer.approve(b.stepUp("/vault", StepUp{ACR: []string{"gold"}}), "bob"))
			if err != nil || query(t, result.Location).Get("prompt") != "login" || b.session().ID != before.ID {
				t.Fatalf("%s: %+v, %v", what, result, err)
			}
			w.issuer.say(then)
			return result.Location
		}
		_, err := b.callback(w.issuer.approve(silently(nil), "bob"))
		wantCode(t, what+": bob all the same", err, CodeOther)
		// An issuer that does not ask whatever it is told.
		_, err = b.callback(w.issuer.approve(silently(map[string]any{"auth_time": known}), "bob"))
		wantCode(t, what+": bob, silently again", err, CodeOther)
		if result, err := b.callback(w.issuer.approve(silently(map[string]any{"acr": "gold"}), "alice")); err != nil || result.Location != "/vault" || b.session().ID == before.ID {
			t.Errorf("%s: alice: %+v, %v", what, result, err)
		}
	}
}

func TestErrorsOfTheIssuerOnAStepUp(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	b.signIn("alice", "/")
	for failed, code := range map[string]string{
		"login_required": CodeOther, "unmet_authentication_requirements": CodeStepUp, "access_denied": CodeDenied, "server_error": CodeRefused,
	} {
		q := w.issuer.approve(b.stepUp("/vault", StepUp{MFA: true}), "alice")
		q.Del("code")
		q.Set("error", failed)
		_, err := b.callback(q)
		wantCode(t, failed, err, code)
		if b.session() == nil || b.attempts() != 0 {
			t.Errorf("%s: signed out, or the attempt stays", failed)
		}
	}
}

// TestStepUpGoesWhereTheSessionCameFrom and not to the issuer that is the
// default, or that the request names.
func TestStepUpGoesWhereTheSessionCameFrom(t *testing.T) {
	a, other := newIssuer(t), newIssuer(t)
	second := foreign(other)
	second.MFAACR = []string{"of the second"}
	w := newWorldOf(t, a, Config{Default: "a", Providers: map[string]*Provider{"a": own(a), "first": foreign(other), "second": second}})
	b := w.browser()
	to, err := w.login.Begin(t.Context(), w.site, b.request(SignInPath+"?provider=second"), Attempt{ReturnTo: "/"})
	if err != nil {
		t.Fatal(err)
	}
	b.take(to.Cookies)
	if _, err := b.callback(other.approve(to.URL, "alice")); err != nil {
		t.Fatal(err)
	}
	address := b.stepUp("/vault", StepUp{MFA: true})
	if !strings.HasPrefix(address, other.url) || query(t, address).Get("acr_values") != "of the second" {
		t.Errorf("step-up at %s", address)
	}
	_, err = w.login.Begin(t.Context(), w.site, b.request("/"), Attempt{StepUp: &StepUp{MFA: true, Issuer: "https://gone.test", Subject: "x"}})
	if err == nil {
		t.Error("a step-up at an issuer that nobody signs in at has begun")
	}
}

func TestStepUpsInTwoTabs(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	b.signIn("alice", "/")
	w.issuer.say(map[string]any{"amr": []string{"mfa"}})
	one := b.stepUp("/one", StepUp{MFA: true})
	two := b.stepUp("/two", StepUp{ACR: []string{"gold"}})
	three := b.stepUp("/three", StepUp{MFA: true})
	if result, err := b.callback(w.issuer.approve(three, "alice")); err != nil || result.Location != "/three" {
		t.Errorf("third tab: %+v, %v", result, err)
	}
	_, err := b.callback(w.issuer.approve(two, "alice"))
	wantCode(t, "the tab that wanted more", err, CodeStepUp)
	if result, err := b.callback(w.issuer.approve(one, "alice")); err != nil || result.Location != "/one" {
		t.Errorf("first tab: %+v, %v", result, err)
	}
	if s := b.session(); s == nil || !s.MFA || b.attempts() != 0 {
		t.Errorf("session %+v, %d attempts", s, b.attempts())
	}
}

func TestStepUpAfterSigningOutIsASignIn(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	b.signIn("alice", "/")
	address := b.stepUp("/vault", StepUp{MaxAge: time.Minute})
	if _, err := w.login.SignOut(t.Context(), w.site, b.session()); err != nil {
		t.Fatal(err)
	}
	result, err := b.callback(w.issuer.approve(address, "alice"))
	if err != nil || query(t, result.Location).Get("prompt") != "login" || b.session() != nil {
		t.Fatalf("%+v, %v", result, err)
	}
	_, err = b.callback(w.issuer.approve(result.Location, "bob"))
	wantCode(t, "bob for alice", err, CodeOther)
}

func TestLateStepUpStaysWhatItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := away(t, own)
		b := w.browser()
		b.signIn("alice", "/")
		address := b.stepUp("/vault?x=1", StepUp{MFA: true, ACR: []string{"gold"}, MaxAge: time.Minute})
		time.Sleep(11 * time.Minute)
		result, err := b.callback(w.issuer.approve(address, "alice"))
		if err != nil {
			t.Fatal(err)
		}
		q := query(t, result.Location)
		if q.Get("acr_values") != mfaClass+" gold" || q.Get("max_age") != "60" || q.Get("prompt") != "" {
			t.Errorf("asked again: %v", q)
		}
		_, err = b.callback(w.issuer.approve(result.Location, "alice"))
		wantCode(t, "too little after all", err, CodeStepUp)
	})
}

// TestARefreshProvesNothingAnew: whatever an issuer says of a refresh, nobody
// has signed in (OpenID Connect Core §12.2).
func TestARefreshProvesNothingAnew(t *testing.T) {
	for what, c := range map[string]struct {
		before, after map[string]any
		mfa, known    bool
		acr           string
		amr           []string
	}{
		"nothing said again":     {map[string]any{"amr": []string{"mfa"}, "acr": "gold"}, map[string]any{"amr": nil, "acr": nil}, true, true, "gold", []string{"mfa"}},
		"less said now":          {map[string]any{"amr": []string{"pwd", "mfa"}}, map[string]any{"amr": []string{"pwd"}}, false, true, "", []string{"pwd"}},
		"more said now":          {nil, map[string]any{"amr": []string{"pwd", "mfa"}, "acr": "gold"}, false, true, "", []string{"pwd"}},
		"first said now":         {map[string]any{"amr": nil}, map[string]any{"amr": []string{"mfa"}, "acr": mfaClass}, false, true, "", nil},
		"something else said":    {map[string]any{"amr": []string{"pwd", "mfa"}, "acr": "gold"}, map[string]any{"amr": []string{"mfa", "hwk"}, "acr": "platinum"}, true, true, "", []string{"mfa"}},
		"one proof for another":  {map[string]any{"amr": []string{"pwd"}, "acr": mfaClass}, map[string]any{"amr": []string{"mfa"}, "acr": "silver"}, false, true, "", nil},
		"a later time":           {nil, nil, false, true, "", []string{"pwd"}},
		"a time out of the blue": {map[string]any{"auth_time": nil}, map[string]any{"auth_time": int64(946684800)}, false, false, "", []string{"pwd"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := away(t, own)
			w.issuer.say(c.before)
			b := w.browser()
			b.signIn("alice", "/")
			first := b.session()
			w.issuer.say(c.after)
			time.Sleep(10 * time.Minute)
			s := b.mustVisit()
			if s.RefreshToken == first.RefreshToken {
				t.Fatalf("%s: not refreshed", what)
			}
			if s.MFA != c.mfa || s.ACR != c.acr || !slices.Equal(s.AMR, c.amr) || !s.AuthTime.Equal(first.AuthTime) || s.AuthTime.IsZero() == c.known {
				t.Errorf("%s: MFA %t, acr %q, amr %q, auth_time %v after %v", what, s.MFA, s.ACR, s.AMR, s.AuthTime, first.AuthTime)
			}
			if acr, found := s.Claims["acr"]; found && acr != nil && acr != any(s.ACR) {
				t.Errorf("%s: the claim acr is %q, beside acr %q", what, acr, s.ACR)
			}
		})
	}
}

// TestScopesOfASessionAreThoseGranted: what the answer of the issuer says, and
// what a later answer says.
func TestScopesOfASessionAreThoseGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := away(t, func(i *issuer) *Provider { return Own(i.url, clientID, clientSecret, "reports.read", "reports.write") })
		b := w.browser()
		address := b.begin("/")
		if got := query(t, address).Get("scope"); got != "openid profile email reports.read reports.write" {
			t.Errorf("asked for %q", got)
		}
		w.issuer.with(func() { w.issuer.scope = "openid reports.read" })
		if _, err := b.callback(w.issuer.approve(address, "alice")); err != nil {
			t.Fatal(err)
		}
		if got := b.session().Identity().Scopes; !slices.Equal(got, []string{"openid", "reports.read"}) {
			t.Errorf("scopes %q", got)
		}
		w.issuer.with(func() { w.issuer.scope = "openid" })
		time.Sleep(10 * time.Minute)
		if got := b.mustVisit().Scopes; !slices.Equal(got, []string{"openid"}) {
			t.Errorf("scopes after a refresh: %q", got)
		}
	})
}
