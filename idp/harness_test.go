package idp_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/html"

	"gatehouse/idp"
	"gatehouse/idp/store"
	"gatehouse/internal/conf"
	"gatehouse/internal/keyring"
)

// The fixture's client, and where its codes go.
const (
	webSecret = "web-secret-0123456789-0123456789"
	callback  = "https://app.test/cb"
	goodbye   = "https://app.test/bye"
	password  = "correct horse battery"
)

// fixture is a provider behind a real listener and over a real store.
type fixture struct {
	t      *testing.T
	p      *idp.Provider
	db     *store.DB
	cfg    idp.Config
	origin string
	issuer string
	log    *bytes.Buffer
	sealer *keyring.Sealer
	offset atomic.Int64
	// serving answers requests: p, or who came after it.
	serving atomic.Pointer[idp.Provider]
}

func (f *fixture) now() time.Time { return time.Now().Add(time.Duration(f.offset.Load())) }

// later moves the provider's clock.
func (f *fixture) later(d time.Duration) { f.offset.Add(int64(d)) }

const bootstrapYAML = `
mfa: { groups: [] }
bootstrap:
  groups:
    - { name: admins, precedence: 1 }
    - { name: staff, precedence: 5 }
  users:
    - { username: alice, email: Alice@example.com, email_verified: true, name: Alice A, groups: [staff, admins], password: correct horse battery }
    - { username: bob, email: bob@example.com, password: correct horse battery }
  resource_servers:
    - id: orders
      scopes: [{ name: orders.read }, { name: orders.admin, groups: [admins] }]
  clients:
    - { id: web, name: Web shop, secret: web-secret-0123456789-0123456789, redirect_uris: ["https://app.test/cb", "https://app.test/cb?x=1"], sign_out_uris: ["https://app.test/bye"], scopes: [openid, email, profile, orders.read, orders.admin] }
    - { id: other, secret: other-secret-0123456789-01234567, redirect_uris: ["https://other.test/cb"], sign_out_uris: ["https://other.test/bye"], scopes: [openid] }
    - { id: phone, public: true, redirect_uris: ["http://127.0.0.1/cb", "com.example.app:/cb"], scopes: [openid] }
    - { id: job, secret: job-secret-0123456789-0123456789, scopes: [orders.read, orders.admin, openid] }
`

// start runs a provider at the root of a host, or below prefix.
func start(t *testing.T, prefix string, edit ...func(*idp.Config)) *fixture {
	t.Helper()
	return startWith(t, prefix, idp.Deps{}, edit...)
}

// startWith is start with some of what the provider is made of.
func startWith(t *testing.T, prefix string, d idp.Deps, edit ...func(*idp.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, log: &bytes.Buffer{}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serving.Load().ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	f.origin = srv.URL
	f.issuer = srv.URL + prefix
	if _, err := conf.Parse("test.yaml", []byte("issuer: "+f.issuer+bootstrapYAML), &f.cfg); err != nil {
		t.Fatal(err)
	}
	for _, e := range edit {
		e(&f.cfg)
	}
	// An edit may have given the provider a name instead of an address.
	f.origin, f.issuer = f.cfg.Issuer.Scheme+"://"+f.cfg.Issuer.Host, f.cfg.Issuer.String()
	var err error
	if d.Sealer == nil {
		if d.Sealer, err = keyring.NewSealer(bytes.Repeat([]byte{7}, 32)); err != nil {
			t.Fatal(err)
		}
	}
	f.sealer = d.Sealer
	f.db, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "gatehouse.db"), store.Options{Create: true, Migrate: true, Sealer: f.sealer, Now: f.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.db.Close() })
	d.DB, d.Now, d.Log = f.db, f.now, slog.New(slog.NewTextHandler(f.log, nil))
	f.p, err = idp.New(f.cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	f.serving.Store(f.p)
	if err := f.p.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

// location returns where the answer redirects to.
func (a answer) location(t *testing.T) *url.URL {
	t.Helper()
	u, err := a.Location()
	if err != nil {
		t.Fatalf("%s %s: status %d, want a redirect; body: %s", a.Request.Method, a.Request.URL, a.StatusCode, a.body)
	}
	return u
}

// browser is a person's browser: it keeps cookies, sends what browsers send,
// and follows no redirect by itself.
type browser struct {
	f    *fixture
	http *http.Client
}

func (f *fixture) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return &browser{f, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (b *browser) do(method, address string, form url.Values, header http.Header) answer {
	b.f.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(context.Background(), method, address, body)
	if err != nil {
		b.f.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.f.origin)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, values := range header {
		r.Header[name] = values
		if len(values) == 1 && values[0] == "" {
			r.Header.Del(name)
		}
	}
	res, err := b.http.Do(r)
	if err != nil {
		b.f.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.f.t.Fatal(err)
	}
	return answer{res, string(text)}
}

func (b *browser) get(address string) answer { b.f.t.Helper(); return b.do("GET", address, nil, nil) }

// form is the one form of a page.
type form struct {
	action string
	fields url.Values
}

// formOf parses the form of a page as a browser would.
func (a answer) form(t *testing.T) form {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	got := form{fields: url.Values{}}
	for n := range doc.Descendants() {
		attr := map[string]string{}
		for _, at := range n.Attr {
			attr[at.Key] = at.Val
		}
		switch n.Data {
		case "form":
			u, err := a.Request.URL.Parse(attr["action"])
			if err != nil {
				t.Fatal(err)
			}
			got.action = u.String()
		case "input":
			got.fields.Set(attr["name"], attr["value"])
		}
	}
	if got.action == "" {
		t.Fatalf("%s: status %d, no form in: %s", a.Request.URL, a.StatusCode, a.body)
	}
	return got
}

// request is an authorization request that is right in everything.
type request struct {
	query    url.Values
	verifier string
}

func newRequest(edit ...string) request {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	verifier := base64.RawURLEncoding.EncodeToString(raw)
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {"web"}, "redirect_uri": {callback}, "scope": {"openid email profile"},
		"state": {"st%te & +\"1"}, "nonce": {"n-1"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(edit); i += 2 {
		if edit[i+1] == "" {
			q.Del(edit[i])
		} else {
			q.Set(edit[i], edit[i+1])
		}
	}
	return request{q, verifier}
}

func (f *fixture) authorizeURL(r request) string {
	return f.issuer + "/oauth2/authorize?" + r.query.Encode()
}

// open begins a sign-in and returns its page.
func (b *browser) open(r request) answer {
	b.f.t.Helper()
	return b.get(b.get(b.f.authorizeURL(r)).location(b.f.t).String())
}

// submit fills in the page's form and sends it.
func (b *browser) submit(page answer, username, pass string) answer {
	b.f.t.Helper()
	form := page.form(b.f.t)
	form.fields.Set("username", username)
	form.fields.Set("password", pass)
	return b.do("POST", form.action, form.fields, nil)
}

// fill sends the page's form with further fields.
func (b *browser) fill(page answer, pairs ...string) answer {
	b.f.t.Helper()
	form := page.form(b.f.t)
	for i := 0; i < len(pairs); i += 2 {
		form.fields.Set(pairs[i], pairs[i+1])
	}
	return b.do("POST", form.action, form.fields, nil)
}

// signIn signs alice in for r and returns where the browser is sent with a code.
func (b *browser) signIn(r request) *url.URL {
	b.f.t.Helper()
	to := b.submit(b.open(r), "alice", password).location(b.f.t)
	if to.Query().Get("code") == "" {
		b.f.t.Fatalf("sign-in ended at %s, want a code", to)
	}
	return to
}

// reply is an answer of an endpoint for programs.
type reply struct {
	status int
	header http.Header
	json   map[string]any
}

func (r reply) text(name string) string { s, _ := r.json[name].(string); return s }

// post sends a form as a program: no cookies, no Origin.
func (f *fixture) post(path string, form url.Values, header http.Header) reply {
	f.t.Helper()
	r, err := http.NewRequest("POST", f.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, values := range header {
		r.Header[name] = values
	}
	return f.send(r)
}

func (f *fixture) send(r *http.Request) reply {
	f.t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	out := reply{status: res.StatusCode, header: res.Header}
	_ = json.Unmarshal(body, &out.json)
	return out
}

// as adds credentials to a form.
func as(id, secret string, pairs ...string) url.Values {
	v := url.Values{"client_id": {id}, "client_secret": {secret}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// redeem exchanges the code in to, as the client web.
func (f *fixture) redeem(to *url.URL, r request) reply {
	f.t.Helper()
	return f.post("/oauth2/token", as("web", webSecret, "grant_type", "authorization_code", "code", to.Query().Get("code"),
		"redirect_uri", r.query.Get("redirect_uri"), "code_verifier", r.verifier), nil)
}

// claims reads a token without checking it; the mint's own tests do.
func claims(t *testing.T, compact string) map[string]any {
	t.Helper()
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		t.Fatalf("token has %d parts", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func (f *fixture) userID(name string) string {
	f.t.Helper()
	u, err := f.p.Pool.Find(f.t.Context(), name)
	if err != nil {
		f.t.Fatal(err)
	}
	return u.ID
}

// bothMounts runs a test at the root of a host and below a path.
func bothMounts(t *testing.T, test func(t *testing.T, f *fixture)) {
	for name, prefix := range map[string]string{"host": "", "prefix": "/_gatehouse/idp"} {
		t.Run(name, func(t *testing.T) { test(t, start(t, prefix)) })
	}
}
