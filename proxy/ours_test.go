package proxy

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"gatehouse/session"
)

func TestOurPathsNeverReachTheApplication(t *testing.T) {
	w := newWorld(t, `
  - { name: all, match: { path: "/**" }, allow: anyone }
`)
	for _, path := range []string{"/_gatehouse/x", "/_gatehouse", "/_gatehouse/", "//_gatehouse//x", "/_gatehouse/auth", "/_gatehouse/keys/x"} {
		w.status(404, "GET", path)
	}
	w.status(405, "POST", "/oauth2/idpresponse")
	before := w.app.hits.Load()
	if res := w.ask("GET", "/_gatehouse/health"); res.StatusCode != 200 || w.app.hits.Load() != before {
		t.Errorf("GET /_gatehouse/health = %d, want 200 from the gate", res.StatusCode)
	}
}

func TestCallbackTellsThePersonWhatWentWrong(t *testing.T) {
	w := newWorld(t, baseRoutes)
	res := w.ask("GET", "/oauth2/idpresponse?state=good")
	if res.StatusCode != 302 || res.Header.Get("Location") != "/back?x=1" {
		t.Errorf("callback = %d to %q, want 302 to the page first asked for", res.StatusCode, res.Header.Get("Location"))
	}
	res = w.ask("GET", "/oauth2/idpresponse?state=bad&error_description=<script>", "Accept: text/html")
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != 400 || !strings.Contains(string(body), "&lt;b&gt;Try again") || strings.Contains(string(body), "<script>") {
		t.Errorf("failed callback = %d %s, want 400 with the escaped sentence", res.StatusCode, body)
	}
}

func TestMeTellsWhoIsSignedIn(t *testing.T) {
	w := newWorld(t, baseRoutes)
	if res := w.ask("GET", "/_gatehouse/me.json"); res.StatusCode != 401 {
		t.Errorf("me.json of a stranger = %d, want 401", res.StatusCode)
	}
	if res := w.ask("GET", "/_gatehouse/me", navigate); res.StatusCode != 302 {
		t.Errorf("me of a stranger = %d, want a redirect to sign in", res.StatusCode)
	}
	res := w.ask("GET", "/_gatehouse/me.json", "Cookie: "+w.session("bob", "staff"))
	var got me
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Username != "bob" || len(got.Groups) != 1 || got.Groups[0] != "staff" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("me.json = %+v, Cache-Control %q", got, res.Header.Get("Cache-Control"))
	}
	page, _ := io.ReadAll(w.ask("GET", "/_gatehouse/me", "Cookie: "+w.session("<i>bob", "staff")).Body)
	if !strings.Contains(string(page), "&lt;i&gt;bob") {
		t.Errorf("me does not escape the name: %s", page)
	}
}

var tokenField = regexp.MustCompile(`name="token" value="([^"]+)"`)

// signOut posts the form of the confirmation page.
func (w *world) signOut(cookie string, headers ...string) *http.Response {
	w.t.Helper()
	page, _ := io.ReadAll(w.ask("GET", "/_gatehouse/sign-out", "Cookie: "+cookie).Body)
	m := tokenField.FindSubmatch(page)
	if m == nil {
		w.t.Fatalf("no form on the page: %s", page)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), "POST", w.server.URL+"/_gatehouse/sign-out", strings.NewReader(url.Values{"token": {string(m[1])}}.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", cookie)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestCopiedCookieIsDeadAfterSignOut(t *testing.T) {
	w := newWorld(t, baseRoutes)
	cookie := w.session("alice", "admins")
	w.status(200, "GET", "/admin/", "Cookie: "+cookie)
	res := w.signOut(cookie, "Origin: "+w.site.Origin)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "https://issuer.test/logout" {
		t.Fatalf("sign-out = %d to %q, want 303 to the issuer", res.StatusCode, res.Header.Get("Location"))
	}
	w.status(401, "GET", "/admin/", "Cookie: "+cookie)
	// Once signed out, the page says so.
	page, _ := io.ReadAll(w.ask("GET", "/_gatehouse/sign-out", "Cookie: "+cookie).Body)
	if !strings.Contains(string(page), "You are signed out") {
		t.Errorf("sign-out page without a session: %s", page)
	}
}

// A browser whose session here has ended may have one where people sign in:
// "signed out" alone would be believed, and the next page opens by itself.
func TestSignedOutPageLeadsToTheIssuer(t *testing.T) {
	w := newWorld(t, baseRoutes)
	for path, leads := range map[string]bool{"/_gatehouse/sign-out": true, "/_gatehouse/sign-out?state=signed-out": false} {
		res := w.ask("GET", path)
		page, _ := io.ReadAll(res.Body)
		if has := strings.Contains(string(page), `href="https://issuer.test/logout?client_id=gate"`); res.StatusCode != 200 || has != leads {
			t.Errorf("%s: %d, leads to the issuer: %v, want %v\n%s", path, res.StatusCode, has, leads, page)
		}
	}
}

func TestForeignPagesCannotSignOut(t *testing.T) {
	w := newWorld(t, baseRoutes)
	cookie := w.session("alice", "admins")
	for _, headers := range [][]string{
		{}, {"Origin: https://evil.test"}, {"Origin: null"}, {"Origin: " + w.site.Origin, "Sec-Fetch-Site: cross-site"},
	} {
		if res := w.signOut(cookie, headers...); res.StatusCode != 403 {
			t.Errorf("sign-out with %q = %d, want 403", headers, res.StatusCode)
		}
	}
	other := w.session("bob")
	page, _ := io.ReadAll(w.ask("GET", "/_gatehouse/sign-out", "Cookie: "+other).Body)
	token := tokenField.FindSubmatch(page)[1]
	r, _ := http.NewRequestWithContext(t.Context(), "POST", w.server.URL+"/_gatehouse/sign-out", strings.NewReader("token="+string(token)))
	r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Cookie": {cookie}, "Origin": {w.site.Origin}}
	if res, err := http.DefaultTransport.RoundTrip(r); err != nil || res.StatusCode != 403 {
		t.Errorf("sign-out with another session's form = %v, %v, want 403", res.Status, err)
	}
	w.ask("GET", "/_gatehouse/sign-out", "Cookie: "+cookie)
	w.status(200, "GET", "/admin/", "Cookie: "+cookie)
}

func TestRenewedSessionReachesTheBrowserAndEndedOneIsCleared(t *testing.T) {
	w := newWorld(t, baseRoutes)
	cookie := w.session("alice", "staff")
	w.signIn.renew = func(s *session.Session) (*session.Session, error) {
		fresh := *s
		fresh.Groups = []string{"admins"}
		return &fresh, nil
	}
	res := w.status(200, "GET", "/admin/", "Cookie: "+cookie)
	if len(res.Cookies()) == 0 || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("renewed session: cookies %v, Cache-Control %q", res.Cookies(), res.Header.Get("Cache-Control"))
	}
	w.signIn.renew = func(*session.Session) (*session.Session, error) { return nil, ErrSessionEnded }
	if res := w.status(401, "GET", "/x", "Cookie: "+cookie); len(res.Cookies()) == 0 || res.Cookies()[0].MaxAge >= 0 {
		t.Errorf("ended session was not cleared: %v", res.Cookies())
	}
	w.signIn.renew = func(*session.Session) (*session.Session, error) { return nil, errors.New("down") }
	w.status(503, "GET", "/x", "Cookie: "+cookie)
	w.status(200, "GET", "/maybe/x", "Cookie: "+cookie)
}

func TestWebSocketNeedsASessionAndOurOrigin(t *testing.T) {
	w := newWorld(t, baseRoutes)
	dial := func(headers http.Header) (*websocket.Conn, int) {
		c, res, err := websocket.Dial(t.Context(), w.server.URL+"/ws", &websocket.DialOptions{HTTPHeader: headers})
		if err != nil {
			return nil, res.StatusCode
		}
		return c, res.StatusCode
	}
	cookie := w.session("bob", "staff")
	for _, refused := range []struct {
		want    int
		headers http.Header
	}{
		{401, http.Header{}},
		{401, http.Header{"Cookie": {"x=y"}, "Origin": {w.site.Origin}}},
		{403, http.Header{"Cookie": {cookie}}},
		{403, http.Header{"Cookie": {cookie}, "Origin": {"https://evil.test"}}},
		{403, http.Header{"Cookie": {cookie}, "Origin": {"null"}}},
		{403, http.Header{"Cookie": {cookie}, "Origin": {w.site.Origin + ".evil.test"}}},
	} {
		if c, got := dial(refused.headers); c != nil || got != refused.want {
			t.Errorf("dial with %v = %d, want %d", refused.headers, got, refused.want)
		}
	}
	c, _ := dial(http.Header{"Cookie": {cookie}, "Origin": {w.site.Origin}})
	if c == nil {
		t.Fatal("no web socket with a session")
	}
	defer c.CloseNow()
	if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, msg, err := c.Read(t.Context()); err != nil || string(msg) != "hello" {
		t.Fatalf("echo = %q, %v", msg, err)
	}
	w.signOut(cookie, "Origin: "+w.site.Origin)
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("after sign-out the web socket ends with %v, want close status 1008", err)
	}
}

func TestEventStreamEndsWithTheSession(t *testing.T) {
	w := newWorld(t, baseRoutes)
	cookie := w.session("bob", "staff")
	w.status(401, "GET", "/events")
	res := w.ask("GET", "/events", "Cookie: "+cookie)
	lines := bufio.NewReader(res.Body)
	if first, err := lines.ReadString('\n'); err != nil || first != "data: 0\n" {
		t.Fatalf("first event = %q, %v", first, err)
	}
	w.signOut(cookie, "Origin: "+w.site.Origin)
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, lines); ended <- err }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the stream ended as if it were complete, want it cut off")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the stream goes on after sign-out")
	}
}

func TestRequestIDComesFromTrustedProxiesOnly(t *testing.T) {
	w := newWorld(t, baseRoutes)
	res := w.status(200, "GET", "/public/x", "X-Request-Id: mine")
	if got := res.Header.Get("X-Request-Id"); got == "mine" || got == "" || got != w.app.got().Headers.Get("X-Request-Id") {
		t.Errorf("X-Request-Id = %q, upstream's %q, want one of our own for both", got, w.app.got().Headers.Get("X-Request-Id"))
	}
}

func TestMeIsNobodyWithASessionOfAnUnknownProvider(t *testing.T) {
	w := newWorld(t, baseRoutes)
	cookie := "Cookie: " + w.session("bob", "staff")
	if res := w.ask("GET", pathMeJSON, cookie); res.StatusCode != http.StatusOK {
		t.Errorf("%s = %d, want 200", pathMeJSON, res.StatusCode)
	}
	w.signIn.knows = func(*session.Identity) bool { return false }
	if res := w.ask("GET", pathMeJSON, cookie); res.StatusCode != http.StatusUnauthorized || len(res.Cookies()) == 0 || res.Cookies()[0].MaxAge >= 0 {
		t.Errorf("%s = %d with cookies %v, want 401 and the cookie cleared", pathMeJSON, res.StatusCode, res.Cookies())
	}
}
