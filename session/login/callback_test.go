package login

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/session"
)

func TestCallbackTwice(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	answer := w.issuer.approve(b.begin("/page"), "alice")
	before := b.request(CallbackPath + "?" + answer.Encode())
	if _, err := b.callback(answer); err != nil {
		t.Fatal(err)
	}
	// Reload: the attempt's cookie is gone, the person is signed in.
	result, err := b.callback(answer)
	if err != nil || result.Session != nil || result.Location != "/" {
		t.Errorf("reload: %+v, %v", result, err)
	}
	// The attempt's cookie was copied before.
	_, err = w.login.Callback(t.Context(), w.site, before)
	wantCode(t, "copied attempt", err, CodeUsed)
	if n := w.issuer.calls(); n != 1 {
		t.Errorf("%d token calls, want 1", n)
	}
}

func TestCallbackTwiceAtTheSameMoment(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	answer := w.issuer.approve(b.begin("/page"), "alice")
	w.issuer.with(func() { w.issuer.delay = 200 * time.Millisecond })
	r := b.request(CallbackPath + "?" + answer.Encode())
	results := make([]Result, 5)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i == 0 {
				// The browser drops its first request when it sends the second.
				time.AfterFunc(100*time.Millisecond, cancel)
			} else {
				time.Sleep(50 * time.Millisecond)
			}
			var err error
			if results[i], err = w.login.Callback(ctx, w.site, r); err != nil && i > 0 {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, result := range results[1:] {
		if result.Location != "/page" || result.Session == nil {
			t.Errorf("%+v", result)
		}
	}
	if n := w.issuer.calls(); n != 1 {
		t.Errorf("%d token calls, want 1", n)
	}
}

func TestMixUp(t *testing.T) {
	a, evil := newIssuer(t), newIssuer(t)
	w := newWorldOf(t, a, Config{Default: "a", Providers: map[string]*Provider{"a": own(a), "evil": foreign(evil)}})
	b := w.browser()
	to, err := w.login.Begin(t.Context(), w.site, b.request(SignInPath+"?provider=evil"), Attempt{ReturnTo: "/"})
	if err != nil || !strings.HasPrefix(to.URL, evil.url) {
		t.Fatalf("%v, %v", to.URL, err)
	}
	b.take(to.Cookies)
	// The evil issuer sends the browser on to a; a's answer comes back.
	answer := a.approve(to.URL, "alice")
	_, err = b.callback(answer)
	wantCode(t, "answer of another issuer", err, CodeIssuer)
	for what, iss := range map[string][]string{"no iss": nil, "empty iss": {""}, "iss with a slash": {a.url + "/"}} {
		q := a.approve(b.begin("/"), "alice")
		if q["iss"] = iss; iss == nil {
			q.Del("iss")
		}
		_, err = b.callback(q)
		wantCode(t, what, err, CodeIssuer)
	}
	if a.calls()+evil.calls() != 0 {
		t.Errorf("a code was sent: %d, %d", a.calls(), evil.calls())
	}
	if got := w.login.Names(); !slices.Equal(got, []string{"a", "evil"}) {
		t.Errorf("names %v", got)
	}
	// An issuer that does not promise iss may leave it out.
	quiet := newIssuer(t)
	quiet.meta = func(doc map[string]any) { delete(doc, "authorization_response_iss_parameter_supported") }
	w = newWorldOf(t, quiet, Config{Providers: map[string]*Provider{"x": own(quiet)}})
	b = w.browser()
	q := quiet.approve(b.begin("/"), "alice")
	q.Del("iss")
	if _, err := b.callback(q); err != nil {
		t.Error(err)
	}
}

func TestErrorsOfTheIssuer(t *testing.T) {
	w := newWorld(t, own)
	for failed, code := range map[string]string{
		"access_denied": CodeDenied, "server_error": CodeRefused, "<script>alert(1)</script>": CodeRefused, "login_required": CodeRefused,
	} {
		b := w.browser()
		q := w.issuer.approve(b.begin("/"), "alice")
		q.Del("code")
		q.Set("error", failed)
		q.Set("error_description", "<script>secret</script>")
		_, err := b.callback(q)
		wantCode(t, failed, err, code)
		if strings.Contains(fmt.Sprint(err), "script") || b.attempts() != 0 {
			t.Errorf("%s: %v, %d attempts", failed, err, b.attempts())
		}
	}
	b := w.browser()
	q := w.issuer.approve(b.begin("/"), "alice")
	q.Set("code", "invented")
	_, err := b.callback(q)
	wantCode(t, "code refused", err, CodeGrant)
	b = w.browser()
	q = w.issuer.approve(b.begin("/"), "alice")
	q.Del("code")
	_, err = b.callback(q)
	wantCode(t, "no code", err, CodeRequest)
	w.login.standard.Provider.ClientSecret = "wrong"
	b = w.browser()
	_, err = b.callback(w.issuer.approve(b.begin("/"), "alice"))
	wantCode(t, "our secret is wrong", err, CodeRefused)
}

// TestUsedAttemptsAreRememberedBriefly: whoever needs no account can have
// attempts used up, so little is kept of them and not for long.
func TestUsedAttemptsAreRememberedBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := away(t, own)
		b := w.browser()
		good := w.issuer.approve(b.begin("/page"), "alice")
		bad := w.issuer.approve(b.begin("/other"), "alice")
		bad.Set("code", "invented")
		copied := map[string]*http.Request{}
		for what, q := range map[string]url.Values{"good": good, "bad": bad} {
			copied[what] = b.request(CallbackPath + "?" + q.Encode())
		}
		if _, err := b.callback(good); err != nil {
			t.Fatal(err)
		}
		_, err := b.callback(bad)
		wantCode(t, "invented code", err, CodeGrant)
		if n := w.login.used.len(); n != 2 {
			t.Errorf("%d attempts remembered, want 2", n)
		}
		key := func(r *http.Request) string {
			a, ok := w.login.openAttempt(w.site, r, r.URL.Query().Get("state"))
			if !ok {
				t.Fatal("the copied attempt does not open")
			}
			return a.usedKey()
		}
		for what, r := range copied {
			if f, known := w.login.used.get(key(r)); !known || f != nil {
				t.Errorf("%s: remembered %v, %v, want only that it is used", what, f, known)
			}
			_, err := w.login.Callback(t.Context(), w.site, r)
			if _, signedIn := w.cookie.Open(w.site, r); signedIn != session.None {
				t.Fatal("the copy was made too late")
			}
			wantCode(t, what+" again", err, CodeUsed)
		}
		// Signed in, a copy leads to the page it was for.
		again := copied["good"].Clone(t.Context())
		again.AddCookie(&http.Cookie{Name: w.site.CookieName(), Value: b.jar[w.site.CookieName()]})
		if result, err := w.login.Callback(t.Context(), w.site, again); err != nil || result.Location != "/page" || result.Session != nil {
			t.Errorf("again, signed in: %+v, %v", result, err)
		}
		if n := w.issuer.calls(); n != 2 {
			t.Errorf("%d token calls, want 2", n)
		}
		time.Sleep(usedKept)
		for what, r := range copied {
			if _, known := w.login.used.get(key(r)); known {
				t.Errorf("%s: remembered after %v", what, usedKept)
			}
			// By then the attempt is too old for a token call: it starts over.
			result, err := w.login.Callback(t.Context(), w.site, r)
			if err != nil || result.Session != nil || !strings.HasPrefix(result.Location, w.issuer.url) || w.issuer.calls() != 2 {
				t.Errorf("%s, forgotten: %+v, %v after %d token calls", what, result, err, w.issuer.calls())
			}
		}
	})
}

// TestFloodOfAnswersIsForgotten: a second callback is refused by the issuer
// even when we have forgotten the first one, as its code works once.
func TestFloodOfAnswersIsForgotten(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	answer := w.issuer.approve(b.begin("/page"), "alice")
	copied := b.request(CallbackPath + "?" + answer.Encode())
	if _, err := b.callback(answer); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * maxRemembered {
		w.login.used.put(fmt.Sprint(i), nil)
	}
	if n := w.login.used.len(); n > maxRemembered {
		t.Errorf("%d attempts remembered, want %d at most", n, maxRemembered)
	}
	_, err := w.login.Callback(t.Context(), w.site, copied)
	wantCode(t, "a forgotten attempt", err, CodeGrant)
}
