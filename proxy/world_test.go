package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"gatehouse/internal/conf"
	"gatehouse/policy"
	"gatehouse/proxy/body"
	"gatehouse/proxy/identity"
	"gatehouse/proxy/principal"
	"gatehouse/proxy/upstream"
	"gatehouse/session"
)

// world is a gate in front of a real application, with a sign-in that needs no
// issuer.
type world struct {
	t      testing.TB
	public string // the public URL; that of the server if there is one
	server *httptest.Server
	site   session.Site
	cookie *session.Cookies
	feed   *session.Feed
	signIn *fakeSignIn
	tokens *fakeTokens
	app    *application
	// principals are remembered for the feed.
	principals *principal.Cache
	stale      atomic.Bool // the feed of revocations cannot be read
	// handler is what the server answers with.
	handler *Handler
	setup   setup
}

// setup is what a world has that others have not.
type setup struct {
	// rego is a module of the operator.
	rego     string
	recorder Recorder
	bodies   *body.Reader
	// forgetful gates remember no credentials.
	forgetful bool
}

// feed is the real one, which can be made to look stale.
type feed struct {
	*session.Feed
	stale *atomic.Bool
}

func (f feed) Fresh(now time.Time) bool { return !f.stale.Load() && f.Feed.Fresh(now) }

// application is an upstream that tells what it got.
type application struct {
	hits atomic.Int64
	mu   sync.Mutex
	last received
	url  string
	// answer, if set, adds to the headers of every answer.
	answer http.Header
}

type received struct {
	Method  string
	Target  string
	Host    string
	Headers http.Header
	Body    string
}

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.hits.Add(1)
	content, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	got := received{r.Method, r.RequestURI, r.Host, r.Header.Clone(), string(content)}
	a.mu.Lock()
	a.last = got
	for name, values := range a.answer {
		w.Header()[name] = values
	}
	a.mu.Unlock()
	switch r.URL.Path {
	case "/ws":
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, msg, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, msg) != nil {
				return
			}
		}
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 0; ; i++ {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	if r.URL.Path == "/slow" {
		w.Header().Set("Content-Length", "10000000")
		for range 1000 {
			w.Write(bytes.Repeat([]byte("."), 10000))
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	json.NewEncoder(w).Encode(got)
}

func (a *application) got() received {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// fakeSignIn keeps the promises of SignIn: Begin returns a place on the
// issuer, SignOut revokes before it returns, Renew returns the session itself
// unless told otherwise.
type fakeSignIn struct {
	feed  *session.Feed
	down  atomic.Bool
	renew func(*session.Session) (*session.Session, error)
	knows func(*session.Identity) bool
	mu    sync.Mutex
	begun []Attempt
}

// attempts returns what has been begun since it was asked last.
func (f *fakeSignIn) attempts() []Attempt {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.begun
	f.begun = nil
	return all
}

func (f *fakeSignIn) Begin(_ context.Context, site session.Site, _ *http.Request, a Attempt) (string, []*http.Cookie, error) {
	if f.down.Load() {
		return "", nil, ErrIssuerDown
	}
	f.mu.Lock()
	f.begun = append(f.begun, a)
	f.mu.Unlock()
	return "https://issuer.test/authorize?return=" + a.ReturnTo, []*http.Cookie{{Name: site.AttemptPrefix() + "01234567", Value: "x"}}, nil
}

func (f *fakeSignIn) Callback(_ context.Context, _ session.Site, r *http.Request) (string, []*http.Cookie, error) {
	if r.FormValue("state") != "good" {
		return "", nil, &CallbackError{Status: http.StatusBadRequest, Code: "bad_state", Text: "<b>Try again</b>", Err: errors.New("state")}
	}
	return "/back?x=1", nil, nil
}

func (f *fakeSignIn) Renew(_ context.Context, _ session.Site, s *session.Session) (*session.Session, error) {
	if f.renew != nil {
		return f.renew(s)
	}
	return s, nil
}

func (f *fakeSignIn) Knows(id *session.Identity) bool { return f.knows == nil || f.knows(id) }

func (f *fakeSignIn) SignOut(ctx context.Context, _ session.Site, s *session.Session) (SignedOut, error) {
	err := f.feed.Revoke(ctx, session.Revocation{Kind: session.RevokeSID, Value: s.ID, Expires: s.Expires})
	return SignedOut{Location: "https://issuer.test/logout"}, err
}

func (f *fakeSignIn) Elsewhere(context.Context, session.Site) string {
	return "https://issuer.test/logout?client_id=gate"
}

// fakeTokens accepts "scope:NAME" for a machine and "alice" for her own token.
type fakeTokens struct {
	edit       func(*session.Identity)
	generation atomic.Uint64
}

// believe lets edit change whom tokens speak for from now on.
func (f *fakeTokens) believe(edit func(*session.Identity)) {
	f.edit = edit
	f.generation.Add(1)
}

func (f *fakeTokens) ID() string         { return fmt.Sprintf("fake %p", f) }
func (f *fakeTokens) Generation() uint64 { return f.generation.Load() }

func (f *fakeTokens) Verify(_ context.Context, token string) (*session.Identity, error) {
	id := &session.Identity{
		Credential: session.Bearer, Issuer: "https://issuer.test", Subject: "job", ClientID: "job", JTI: token,
		IssuedAt: time.Now().Add(-time.Minute), Expires: time.Now().Add(time.Hour), AccessToken: token,
	}
	if f.edit != nil {
		f.edit(id)
	}
	if scope, ok := strings.CutPrefix(token, "scope:"); ok {
		id.Scopes = []string{scope}
		return id, nil
	}
	if token == "alice" {
		id.Subject, id.Username, id.Person, id.Listed, id.Groups = "sub-alice", "alice", true, false, []string{"admins"}
		return id, nil
	}
	return nil, errors.New("invalid token")
}

const baseRoutes = `
  - { name: open, match: { path: [/healthz, "/public/**"] }, allow: anyone }
  - { name: maybe, match: { path: "/maybe/**" }, allow: anyone, on_unauthenticated: allow }
  - { name: closed, match: { path: "/closed/**" }, allow: nobody }
  - { name: admin, match: { path: "/admin/**" }, allow: { groups: [admins] } }
  - { name: api, match: { path: "/api/**" }, allow: { scopes: [orders.read] }, on_unauthenticated: deny }
  - { name: people, match: { path: "/people/**" }, allow: signed-in, credentials: [session] }
  - { name: files, match: { path: "/files/**" }, allow: anyone, odd: [encoded_slash] }
  - { name: rest, match: { path: "/**" }, allow: signed-in }
`

func newWorld(t testing.TB, routes string) *world {
	t.Helper()
	return newWorldWith(t, routes, setup{})
}

func newWorldWith(t testing.TB, routes string, with setup) *world {
	t.Helper()
	w := &world{t: t, app: &application{}, tokens: &fakeTokens{}, setup: with}
	w.server = httptest.NewUnstartedServer(nil)
	var plain http.Protocols
	plain.SetHTTP1(true)
	plain.SetUnencryptedHTTP2(true)
	w.server.Config.Protocols = &plain
	w.public = "http://" + w.server.Listener.Addr().String()
	app := httptest.NewServer(w.app)
	t.Cleanup(app.Close)
	w.app.url = app.URL
	cfg := w.parse(routes)
	var err error
	if w.site, err = session.NewSite(cfg.PublicURL[0]); err != nil {
		t.Fatal(err)
	}
	w.openSessions()
	w.handler = NewHandler(w.gate(cfg), nil, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.handler.Run(ctx) })
	wg.Go(func() { w.feed.Run(ctx) })
	w.server.Config.Handler = w.handler
	w.server.Start()
	t.Cleanup(func() { stop(); wg.Wait(); w.server.Close() })
	return w
}

// parse reads a configuration with these routes.
func (w *world) parse(routes string) *Config {
	w.t.Helper()
	cfg := &Config{}
	text := "public_url: " + w.public + "\nupstreams: { app: \"" + w.app.url + "\" }\nroutes:" + routes
	if _, err := conf.Parse("gatehouse.yaml", []byte(text), cfg); err != nil {
		w.t.Fatal(err)
	}
	return cfg
}

func (w *world) openSessions() {
	w.openFeed()
	var sc session.Config
	sc.Defaults()
	key := session.CookieKey{Hash: []byte(strings.Repeat("h", 64)), Block: []byte(strings.Repeat("b", 32))}
	var err error
	if w.cookie, err = session.NewCookies(sc, []session.CookieKey{key}, session.Options{Boot: w.feed.Boot()}); err != nil {
		w.t.Fatal(err)
	}
	w.signIn = &fakeSignIn{feed: w.feed}
}

// openFeed makes the feed that the gates from now on hear.
func (w *world) openFeed() {
	var err error
	if w.feed, err = session.NewFeed(w.t.Context(), nil, nil); err != nil {
		w.t.Fatal(err)
	}
	w.principals = principal.New(1<<20, w.feed.Revoked)
}

// request is a request as net/http would hand it to the handler.
func (w *world) request(method, target string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Host, r.RemoteAddr = w.site.Host, w.client().String()+":1"
	return r
}

// client is the address of whoever makes such a request.
func (w *world) client() netip.Addr { return netip.MustParseAddr("192.0.2.7") }

func (w *world) gate(cfg *Config) *Gate {
	w.t.Helper()
	var plans []*identity.Plan
	for _, rt := range cfg.Routes {
		plan, err := cfg.IdentityHeaders.Compile(nil, rt.Upstream)
		if err != nil {
			w.t.Fatal(err)
		}
		plans = append(plans, plan)
	}
	var pc policy.Config
	pc.Defaults()
	if w.setup.rego != "" {
		file := filepath.Join(w.t.TempDir(), "custom.rego")
		if err := os.WriteFile(file, []byte(w.setup.rego), 0o600); err != nil {
			w.t.Fatal(err)
		}
		pc.Custom = []policy.Custom{{Path: file}}
	}
	p, err := policy.Compile(w.t.Context(), pc, cfg.Rules())
	if err != nil {
		w.t.Fatal(err)
	}
	up, err := upstream.New("app", *cfg.Upstreams["app"], nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(up.Close)
	memory := w.principals
	if w.setup.forgetful {
		memory = nil
	}
	g, err := NewGate(cfg, Parts{
		Sites: []session.Site{w.site}, Cookies: w.cookie, Tokens: w.tokens, SignIn: w.signIn, Policy: p,
		Revocations: feed{w.feed, &w.stale}, Upstreams: map[string]*upstream.Upstream{"app": up}, Headers: plans,
		Recorder: w.setup.recorder, Bodies: w.setup.bodies, Principals: memory,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// session returns the Cookie header of somebody who is signed in.
func (w *world) session(username string, groups ...string) string {
	w.t.Helper()
	return w.sessionWith(username, func(s *session.Session) { s.Groups = groups })
}

// sessionWith is session with what edit changes.
func (w *world) sessionWith(username string, edit func(*session.Session)) string {
	w.t.Helper()
	now := time.Now()
	s := &session.Session{
		ID: session.NewID(), Host: w.site.Host, Issuer: "https://issuer.test", ClientID: "gatehouse", Subject: "sub-" + username,
		Username: username, Email: username + "@example.com", EmailVerified: true,
		Created: now, Seen: now, Expires: now.Add(time.Hour),
	}
	edit(s)
	cookies, err := w.cookie.Seal(w.site, s)
	if err != nil {
		w.t.Fatal(err)
	}
	var parts []string
	for _, c := range cookies {
		parts = append(parts, c.Name+"="+c.Value)
	}
	return strings.Join(parts, "; ")
}

// ask makes a request; headers are "Name: value" lines.
func (w *world) ask(method, target string, headers ...string) *http.Response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+target, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, target, err)
	}
	w.t.Cleanup(func() { res.Body.Close() })
	return res
}

// status asks and wants a status.
func (w *world) status(want int, method, target string, headers ...string) *http.Response {
	w.t.Helper()
	before := w.app.hits.Load()
	res := w.ask(method, target, headers...)
	if res.StatusCode != want {
		body, _ := io.ReadAll(res.Body)
		w.t.Errorf("%s %s %q = %d, want %d\n%s", method, target, headers, res.StatusCode, want, body)
	}
	if passed := w.app.hits.Load() > before; passed != (want == http.StatusOK) {
		w.t.Errorf("%s %s %q: reached the application %t, want %t", method, target, headers, passed, want == http.StatusOK)
	}
	return res
}

const navigate = "Sec-Fetch-Mode: navigate"
