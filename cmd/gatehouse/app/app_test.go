package app

import (
	"context"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"gatehouse/idp/store"
	"gatehouse/internal/conf"
	"gatehouse/internal/keyring"
)

func TestPeopleReturnToThePageTheyAskedFor(t *testing.T) {
	w := newWorld(t)
	alice := w.browser()
	const path = "/reports?month=5&name=%C3%A4+b"
	if page := alice.open(path); !strings.Contains(page.body, "Sign in") || page.Request.URL.RequestURI() == path {
		t.Fatalf("GET %s ends at %s, want the sign-in page", path, page.Request.URL)
	}
	page := alice.signIn(path, "alice")
	if got := page.Request.URL.RequestURI(); page.StatusCode != http.StatusOK || got != path {
		t.Fatalf("signing in ends at %s with %d, want %s with 200:\n%s", got, page.StatusCode, path, page.body)
	}
	if page := alice.open("/headers"); !strings.Contains(page.body, `"X-Forwarded-User"`) || !strings.Contains(page.body, `"alice"`) {
		t.Errorf("the application is not told of alice:\n%s", page.body)
	}
	if got := alice.open("/admin/").StatusCode; got != http.StatusOK {
		t.Errorf("GET /admin/ as alice = %d, want 200", got)
	}
}

func TestBobIsRefusedWhatIsForAdmins(t *testing.T) {
	w := newWorld(t)
	bob := w.browser()
	if page := bob.signIn("/admin/", "bob@example.com"); page.StatusCode != http.StatusForbidden {
		t.Errorf("GET /admin/ as bob = %d, want 403", page.StatusCode)
	}
	if got := bob.open("/").StatusCode; got != http.StatusOK {
		t.Errorf("GET / as bob = %d, want 200", got)
	}
	if got := w.browser().fetch("/"); got != http.StatusUnauthorized {
		t.Errorf("fetch of / by nobody = %d, want 401", got)
	}
}

func TestSignOutKillsACopiedCookieForGood(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.browser(), w.browser()
	alice.signIn("/", "alice")
	bob.signIn("/", "bob")
	thief := alice.copied()
	if got := thief.fetch("/"); got != http.StatusOK {
		t.Fatalf("a copied cookie before sign-out = %d, want 200: this test would show nothing", got)
	}
	page, err := alice.submit(alice.open("/_gatehouse/sign-out"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if page.StatusCode != http.StatusOK {
		t.Fatalf("sign-out = %d:\n%s", page.StatusCode, page.body)
	}
	for _, when := range []string{"after sign-out", "after sign-out and a restart"} {
		if got := thief.fetch("/"); got != http.StatusUnauthorized {
			t.Errorf("a copied cookie %s = %d, want 401", when, got)
		}
		if got := bob.fetch("/"); got != http.StatusOK {
			t.Errorf("bob's cookie %s = %d, want 200", when, got)
		}
		w.restart()
	}
}

// TestSignOutReachesTheProviderWithoutASessionHere: the session at the gateway
// may have ended while the one at the provider lives.
func TestSignOutReachesTheProviderWithoutASessionHere(t *testing.T) {
	w := newWorld(t)
	alice := w.browser()
	alice.signIn("/", "alice")
	here, err := url.Parse(w.origin)
	if err != nil {
		t.Fatal(err)
	}
	forget := func() {
		for _, c := range alice.http.Jar.Cookies(here) {
			alice.http.Jar.SetCookies(here, []*http.Cookie{{Name: c.Name, Path: "/", MaxAge: -1}})
		}
	}
	forget()
	if a := alice.open("/"); a.StatusCode != http.StatusOK {
		t.Fatalf("with a session at the provider alone = %d, want a silent sign-in", a.StatusCode)
	}
	forget()
	link := regexp.MustCompile(`href="([^"]+/logout[^"]*)"`).FindStringSubmatch(alice.open("/_gatehouse/sign-out").body)
	if link == nil {
		t.Fatal("the page leads nowhere, and the person believes to be signed out")
	}
	ask, err := alice.do(html.UnescapeString(link[1]), nil, navigation)
	if err != nil {
		t.Fatal(err)
	}
	end, err := alice.submit(ask, nil)
	if err != nil {
		t.Fatal(err)
	}
	if end.StatusCode != http.StatusOK || end.Request.URL.Path != "/_gatehouse/sign-out" || strings.Contains(end.body, "/logout") {
		t.Errorf("the provider leads to %d at %s:\n%s", end.StatusCode, end.Request.URL, end.body)
	}
	if a := alice.open("/"); !strings.Contains(a.body, `name="password"`) {
		t.Errorf("after it, / = %d:\n%s", a.StatusCode, a.body)
	}
}

func TestSessionOutlivesItsAccessToken(t *testing.T) {
	w := newWorld(t, "  bootstrap:\n", "  gateway_token_ttl: 1s\n  bootstrap:\n")
	alice := w.browser()
	alice.signIn("/", "alice")
	for range 2 {
		time.Sleep(1100 * time.Millisecond) // the provider's clock is the real one
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if got := alice.fetch("/headers"); got != http.StatusOK {
					t.Errorf("GET /headers with an expired access token = %d, want 200", got)
				}
			})
		}
		wg.Wait()
	}
}

// TestDisabledUserIsOutWithinASecond changes the pool as the command line
// does: on its own connection to the same file.
func TestDisabledUserIsOutWithinASecond(t *testing.T) {
	w := newWorld(t)
	bob, alice := w.browser(), w.browser()
	bob.signIn("/", "bob")
	alice.signIn("/", "alice")
	socket := bob.socket(t)
	st, err := OpenStore(t.Context(), w.plan)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	u, err := st.Pool.Find(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Pool.Disable(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	second, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, _, err := socket.Read(second); errors.Is(err, context.DeadlineExceeded) {
		t.Error("bob's web socket is open a second after he was disabled")
	}
	for bob.fetch("/") != http.StatusUnauthorized {
		if second.Err() != nil {
			t.Fatal("bob's session is good a second after he was disabled")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if got := alice.fetch("/"); got != http.StatusOK {
		t.Errorf("alice's session = %d, want 200: only bob was disabled", got)
	}
	if page := bob.signIn("/", "bob"); !strings.Contains(page.body, "password") || page.Request.URL.Path == "/" {
		t.Errorf("bob, disabled, signs in and gets to %s", page.Request.URL)
	}
}

// socket opens the application's web socket and shows that it answers.
func (b *browser) socket(t *testing.T) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(b.w.origin, "http")+"/ws", &websocket.DialOptions{
		HTTPClient: &http.Client{Jar: b.http.Jar, Transport: b.http.Transport},
		HTTPHeader: http.Header{"Origin": {b.w.origin}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, echo, err := c.Read(t.Context()); err != nil || string(echo) != "hello" {
		t.Fatalf("web socket answers %q, %v, want hello", echo, err)
	}
	return c
}

func TestTenTabsSignInAtOnce(t *testing.T) {
	w := newWorld(t)
	alice := w.browser()
	var pages, ends [10]answer
	atOnce := func(do func(tab int) error) {
		t.Helper()
		var wg sync.WaitGroup
		for tab := range ends {
			wg.Go(func() {
				if err := do(tab); err != nil {
					t.Errorf("tab %d: %v", tab, err)
				}
			})
		}
		wg.Wait()
	}
	atOnce(func(tab int) (err error) {
		pages[tab], err = alice.do(fmt.Sprintf("%s/tab?n=%d", w.origin, tab), nil, navigation)
		return err
	})
	if t.Failed() {
		return
	}
	atOnce(func(tab int) (err error) {
		ends[tab], err = alice.submit(pages[tab], map[string]string{"username": "alice", "password": demoPassword})
		return err
	})
	for tab, end := range ends {
		want := fmt.Sprintf("/tab?n=%d", tab)
		if end.Response == nil {
			continue // told above
		}
		if got := end.Request.URL.RequestURI(); end.StatusCode != http.StatusOK || got != want {
			t.Errorf("tab %d ends at %s with %d, want %s with 200", tab, got, end.StatusCode, want)
		}
	}
}

func TestIssuerOnTheApplicationsOriginNeedsTheFlag(t *testing.T) {
	const text = `public_url: https://app.example.com
upstreams: { app: http://127.0.0.1:3000 }
trusted_proxies: [127.0.0.1]
routes: [{ name: all, match: { path: /** }, allow: signed-in }]
idp:
  issuer: https://APP/_gatehouse/idp
`
	shared := strings.Replace(text, "APP", "app.example.com", 1)
	_, err := Parse("gatehouse.yaml", []byte(shared))
	var list *conf.Problems
	if !errors.As(err, &list) || !strings.Contains(err.Error(), "gatehouse.yaml:6:11") || !strings.Contains(err.Error(), "insecure_shared_origin") {
		t.Errorf("Parse() = %v, want a mistake at 6:11 that names insecure_shared_origin", err)
	}
	p, err := Parse("gatehouse.yaml", []byte(shared+"  insecure_shared_origin: true\n"))
	if err != nil {
		t.Fatal(err)
	}
	if w := p.Summary().Warnings; len(w) != 1 {
		t.Errorf("warnings = %q, want one: the sign-in page is not safe there", w)
	}
	elsewhere := strings.Replace(text, "APP", "login.example.com", 1)
	if _, err := Parse("gatehouse.yaml", []byte(elsewhere)); err != nil {
		t.Errorf("Parse() = %v, want nil: the issuer has a host of its own", err)
	}
}

func TestOpenThatFailsEndsWhatItBegan(t *testing.T) {
	taken := listen(t, "127.0.0.1:0")
	defer taken.Close()
	dir := t.TempDir()
	text := fmt.Sprintf(`public_url: http://app.localhost
listen: %s
data_dir: %s/data
upstreams: { app: "http://127.0.0.1:9" }
routes: [{ name: all, match: { path: /** }, allow: signed-in }]
idp: { issuer: "http://login.localhost" }
`, taken.Addr(), dir)
	p, err := Parse("gatehouse.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second opens what the first has made and closed
		a, err := Open(t.Context(), p, Options{Log: slog.New(slog.DiscardHandler)})
		if a != nil || !errors.Is(err, ErrTaken) {
			t.Errorf("Open() = %v, %v, want ErrTaken", a, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "secrets", "sealing.key")); err != nil {
		t.Fatal(err)
	}
	if a, err := Open(t.Context(), p, Options{Log: slog.New(slog.DiscardHandler)}); a != nil || !errors.Is(err, keyring.ErrNoKey) {
		t.Errorf("Open() without the sealing key of its database = %v, %v, want ErrNoKey", a, err)
	}
}

func TestLookingIntoAPoolThatIsNotThereMakesNothing(t *testing.T) {
	dir := t.TempDir()
	p, err := Parse(filepath.Join(dir, "gatehouse.yaml"), []byte(`public_url: http://app.localhost
upstreams: { app: "http://127.0.0.1:9" }
routes: [{ name: all, match: { path: /** }, allow: signed-in }]
idp: { issuer: "http://login.localhost" }
`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(t.Context(), p); !errors.Is(err, store.ErrNoStore) {
		t.Errorf("OpenStore() = %v, want ErrNoStore", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("it has made %v, %v, want nothing", left, err)
	}
}

func TestAFrontThatIsNotTrustedIsWarnedOf(t *testing.T) {
	const text = `public_url: https://app.example.com
upstreams: { app: http://127.0.0.1:3000 }
routes: [{ name: all, match: { path: /public/** }, allow: anyone }]
`
	p, err := Parse("gatehouse.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if w := p.Summary().Warnings; len(w) != 1 || !strings.Contains(w[0].Message, "trusted_proxies") {
		t.Errorf("warnings = %q, want one that names trusted_proxies", w)
	}
	p, err = Parse("gatehouse.yaml", []byte(text+"trusted_proxies: [127.0.0.1]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if w := p.Summary().Warnings; len(w) != 0 {
		t.Errorf("warnings = %q, want none", w)
	}
}
