package login

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestAttemptCookie(t *testing.T) {
	w := newWorld(t, own)
	to, err := w.login.Begin(t.Context(), w.site, w.browser().request("/"), Attempt{ReturnTo: "/" + strings.Repeat("x", 2047)})
	if err != nil || len(to.Cookies) != 1 {
		t.Fatalf("%v, %v", to.Cookies, err)
	}
	c := to.Cookies[0]
	if !strings.HasPrefix(c.Name, "__Host-gatehouse-login-") || len(c.Name) != len("__Host-gatehouse-login-")+8 || !c.HttpOnly || !c.Secure ||
		c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || len(c.Name)+len(c.Value) > 4096 {
		t.Errorf("%d bytes: %+v", len(c.Name)+len(c.Value), c)
	}
}

func TestTenTabsAtOnce(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	var addresses []string
	for i := range 10 {
		addresses = append(addresses, b.begin(fmt.Sprintf("/tab/%d", i)))
	}
	slices.Reverse(addresses)
	for i, address := range addresses {
		result, err := b.callback(w.issuer.approve(address, "alice"))
		if want := fmt.Sprintf("/tab/%d", 9-i); err != nil || result.Location != want {
			t.Fatalf("%s: %+v, %v", want, result, err)
		}
	}
	if b.attempts() != 0 || b.session() == nil {
		t.Errorf("%d attempts left", b.attempts())
	}
}

func TestOldAttemptsGiveWay(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	first := b.begin("/first")
	time.Sleep(2 * time.Millisecond)
	b.jar[w.site.AttemptPrefix()+"junk"] = "junk"
	for range 25 {
		b.begin("/x")
		time.Sleep(time.Millisecond)
	}
	if n := b.attempts(); n != maxAttempts {
		t.Errorf("%d attempts kept", n)
	}
	_, err := b.callback(w.issuer.approve(first, "alice"))
	wantCode(t, "the oldest of many", err, CodeUnknown)
	if _, err := b.callback(w.issuer.approve(b.begin("/"), "alice")); err != nil {
		t.Error(err)
	}
}

func TestStateIsBoundToTheBrowser(t *testing.T) {
	w := newWorld(t, own)
	alice, eve := w.browser(), w.browser()
	answer := w.issuer.approve(eve.begin("/"), "eve")
	alice.begin("/")
	_, err := alice.callback(answer) // login CSRF
	wantCode(t, "another browser's answer", err, CodeUnknown)

	address := alice.begin("/")
	good := w.issuer.approve(address, "alice")
	state := good.Get("state")
	for what, q := range map[string]url.Values{
		"no state":      {"code": good["code"], "iss": good["iss"]},
		"empty state":   {"code": good["code"], "iss": good["iss"], "state": {""}},
		"cut state":     {"code": good["code"], "iss": good["iss"], "state": {state[:len(state)-1]}},
		"other secret":  {"code": good["code"], "iss": good["iss"], "state": {state[:9] + strings.Repeat("A", 22)}},
		"only the name": {"code": good["code"], "iss": good["iss"], "state": {state[:8]}},
		"path in state": {"code": good["code"], "iss": good["iss"], "state": {"../../x"}},
	} {
		_, err := alice.callback(q)
		wantCode(t, what, err, CodeUnknown)
	}
	for _, name := range []string{"state", "code", "iss", "error"} {
		q := url.Values{"code": good["code"], "iss": good["iss"], "state": good["state"]}
		q[name] = append(slices.Clone(q[name]), "x", "y")
		_, err := alice.callback(q)
		wantCode(t, "doubled "+name, err, CodeRequest)
	}
	if w.issuer.calls() != 0 {
		t.Errorf("%d token calls", w.issuer.calls())
	}
	// The cookie of the attempt twice, or of another host.
	name := w.site.AttemptPrefix() + state[:8]
	r := alice.request(CallbackPath + "?" + good.Encode())
	r.AddCookie(&http.Cookie{Name: name, Value: alice.jar[name]})
	_, err = w.login.Callback(t.Context(), w.site, r)
	wantCode(t, "attempt twice", err, CodeUnknown)
	_, err = w.login.Callback(t.Context(), siteOf(t, "https://other.example.com"), alice.request(CallbackPath+"?"+good.Encode()))
	wantCode(t, "another host", err, CodeUnknown)
	if _, err := alice.callback(good); err != nil {
		t.Errorf("the good answer: %v", err)
	}
}

func TestInterleavedSignInsAreNeverCrossed(t *testing.T) {
	w := newWorld(t, own)
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			alice, eve := w.browser(), w.browser()
			for i := range 15 {
				page := fmt.Sprintf("/%d/%d", n, i)
				a, e := alice.begin(page+"/alice"), eve.begin(page+"/eve")
				ra, err1 := alice.callback(w.issuer.approve(a, "alice"))
				re, err2 := eve.callback(w.issuer.approve(e, "eve"))
				if err1 != nil || err2 != nil || ra.Location != page+"/alice" || re.Location != page+"/eve" ||
					alice.session().Username != "alice" || eve.session().Username != "eve" {
					t.Errorf("crossed: %v %v %+v %+v", err1, err2, ra, re)
				}
			}
		})
	}
	group.Wait()
}

func TestLateCallbackStartsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := away(t, own)
		b := w.browser()
		address := b.begin("/page?x=1")
		time.Sleep(11 * time.Minute)
		result, err := b.callback(w.issuer.approve(address, "alice"))
		if err != nil || !strings.HasPrefix(result.Location, w.issuer.url+"/authorize?") || w.issuer.calls() != 0 {
			t.Fatalf("%+v, %v", result, err)
		}
		if b.attempts() != 1 {
			t.Errorf("%d attempts", b.attempts())
		}
		late := w.issuer.approve(result.Location, "alice")
		if again, err := b.callback(late); err != nil || again.Location != "/page?x=1" || b.session() == nil {
			t.Errorf("%+v, %v", again, err)
		}
		// Only once.
		b = w.browser()
		address = b.begin("/")
		time.Sleep(11 * time.Minute)
		result, _ = b.callback(w.issuer.approve(address, "alice"))
		time.Sleep(11 * time.Minute)
		_, err = b.callback(w.issuer.approve(result.Location, "alice"))
		wantCode(t, "late twice", err, CodeExpired)
		// Far too late.
		address = b.begin("/")
		time.Sleep(61 * time.Minute)
		_, err = b.callback(w.issuer.approve(address, "alice"))
		wantCode(t, "an hour late", err, CodeUnknown)
	})
}
