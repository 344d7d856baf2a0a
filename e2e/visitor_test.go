package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// dial connects to localhost over IPv4, where the demos of these tests listen.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "localhost" {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return (&net.Dialer{Timeout: patience}).DialContext(ctx, network, addr)
}

// noRedirects makes a client answer with the redirect itself.
func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// trusted are the certificates of the test's own authority, once there is one.
var trusted = x509.NewCertPool()

func transport() *http.Transport {
	return &http.Transport{
		DialContext:         dial,
		TLSClientConfig:     &tls.Config{RootCAs: trusted},
		MaxIdleConnsPerHost: 64,
		DisableCompression:  true,
	}
}

// plain is a client without cookies that follows nothing.
var plain = &http.Client{Transport: transport(), CheckRedirect: noRedirects, Timeout: patience}

// visitor is a browser without scripts: cookies, redirects and forms.
type visitor struct {
	t      *testing.T
	base   string // the gateway's public URL
	client *http.Client
	jar    *cookiejar.Jar
}

func newVisitor(t *testing.T, base string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: transport(), CheckRedirect: noRedirects, Jar: jar, Timeout: patience}
	t.Cleanup(client.CloseIdleConnections)
	return &visitor{t: t, base: base, client: client, jar: jar}
}

// answer is one response, read whole.
type answer struct {
	status int
	header http.Header
	body   string
	url    *url.URL // asked for, after redirects
	hops   []string // every URL asked for, this one last
}

func (a *answer) contains(text string) bool { return strings.Contains(a.body, text) }

// do sends one request with the header lines of pairs, follows nothing.
func (v *visitor) do(method, target string, body io.Reader, pairs ...string) *answer {
	v.t.Helper()
	a, err := v.try(method, target, body, pairs...)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}

func (v *visitor) try(method, target string, body io.Reader, pairs ...string) (*answer, error) {
	req, err := http.NewRequest(method, v.absolute(target), body)
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		req.Header.Add(pairs[i], pairs[i+1])
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &answer{
		status: resp.StatusCode, header: resp.Header, body: string(text),
		url: req.URL, hops: []string{req.URL.String()},
	}, nil
}

func (v *visitor) absolute(target string) string {
	if strings.HasPrefix(target, "/") {
		return v.base + target
	}
	return target
}

// navigation is what a browser sends with a page the person asked for.
var navigation = []string{
	"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
	"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none", "Sec-Fetch-User", "?1",
	"Upgrade-Insecure-Requests", "1",
}

// fetching is what a browser sends with a script's fetch().
var fetching = []string{"Accept", "*/*", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "same-origin"}

// fetch asks as a script of the page would.
func (v *visitor) fetch(target string) *answer {
	v.t.Helper()
	return v.do(http.MethodGet, target, nil, fetching...)
}

// step sends one navigation and follows nothing.
func (v *visitor) step(target string) *answer {
	v.t.Helper()
	return v.do(http.MethodGet, target, nil, navigation...)
}

// open navigates to target and follows redirects to the end.
func (v *visitor) open(target string) *answer {
	v.t.Helper()
	return v.follow(v.step(target))
}

func (v *visitor) follow(a *answer) *answer {
	v.t.Helper()
	hops := a.hops
	for range 20 {
		if a.status < 300 || a.status > 399 || a.header.Get("Location") == "" {
			a.hops = hops
			return a
		}
		next, err := a.url.Parse(a.header.Get("Location"))
		if err != nil {
			v.t.Fatalf("redirect of %s to %q: %v", a.url, a.header.Get("Location"), err)
		}
		a = v.step(next.String())
		hops = append(hops, a.hops...)
	}
	v.t.Fatalf("more than 20 redirects:\n%s", strings.Join(hops, "\n"))
	return nil
}

// form is the first form of a page, with the values it came with.
type form struct {
	action   *url.URL
	method   string
	values   url.Values
	name     string // of the field for the username, "" if there is none
	password string // of the field for the password, "" if there is none
}

var (
	formTag  = regexp.MustCompile(`(?is)<form\b([^>]*)>(.*?)</form>`)
	inputTag = regexp.MustCompile(`(?is)<(input|button)\b([^>]*)>`)
	attrTag  = regexp.MustCompile(`(?is)([a-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)
)

func attributes(tag string) map[string]string {
	out := map[string]string{}
	for _, m := range attrTag.FindAllStringSubmatch(tag, -1) {
		out[strings.ToLower(m[1])] = html.UnescapeString(m[2] + m[3] + m[4])
	}
	return out
}

var errNoForm = errors.New("page has no form")

// form is the first form of the page.
func (a *answer) form() (*form, error) { return a.formWith("") }

// formWith is the first form of the page that has text in it.
func (a *answer) formWith(text string) (*form, error) {
	var found []string
	for _, candidate := range formTag.FindAllStringSubmatch(a.body, -1) {
		if found == nil && strings.Contains(candidate[2], text) {
			found = candidate
		}
	}
	if found == nil {
		return nil, errNoForm
	}
	head := attributes(found[1])
	action, err := a.url.Parse(head["action"])
	if err != nil {
		return nil, err
	}
	f := &form{action: action, method: strings.ToUpper(head["method"]), values: url.Values{}}
	for _, m := range inputTag.FindAllStringSubmatch(found[2], -1) {
		f.take(strings.ToLower(m[1]), attributes(m[2]))
	}
	// A button may stand elsewhere and name its form.
	for _, m := range inputTag.FindAllStringSubmatch(a.body, -1) {
		if at := attributes(m[2]); head["id"] != "" && at["form"] == head["id"] {
			f.take(strings.ToLower(m[1]), at)
		}
	}
	return f, nil
}

// take adds one field to the form; of several buttons, the first is pressed.
func (f *form) take(tag string, at map[string]string) {
	name := at["name"]
	switch {
	case name == "" || at["type"] == "checkbox":
	case at["type"] == "password":
		f.password = name
	case tag == "button" || at["type"] == "submit":
		if !f.values.Has(name) {
			f.values.Set(name, at["value"])
		}
	case at["type"] == "hidden":
		f.values.Set(name, at["value"])
	default:
		if f.name == "" {
			f.name = name
		}
		f.values.Set(name, at["value"])
	}
}

// submit posts a form as a browser does and follows redirects to the end.
func (v *visitor) submit(f *form) *answer {
	v.t.Helper()
	return v.follow(v.post(f))
}

func (v *visitor) post(f *form) *answer {
	v.t.Helper()
	if f.method != http.MethodPost {
		target := *f.action
		target.RawQuery = f.values.Encode()
		return v.step(target.String())
	}
	return v.do(http.MethodPost, f.action.String(), strings.NewReader(f.values.Encode()),
		"Content-Type", "application/x-www-form-urlencoded",
		"Origin", f.action.Scheme+"://"+f.action.Host,
		"Accept", "text/html,*/*;q=0.8",
		"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "same-origin",
	)
}

// fill answers the sign-in page a with a name and a password.
func (v *visitor) fill(a *answer, user, password string) *form {
	v.t.Helper()
	f, err := a.form()
	if err != nil {
		v.t.Fatalf("sign-in page at %s (%d): %v\n%s", a.url, a.status, err, a.body)
	}
	if f.name == "" || f.password == "" {
		v.t.Fatalf("sign-in page at %s has no field for name or password:\n%s", a.url, a.body)
	}
	f.values.Set(f.name, user)
	f.values.Set(f.password, password)
	return f
}

// signIn opens target, signs in as user on the page that comes and returns
// where that led to.
func (v *visitor) signIn(user, password, target string) *answer {
	v.t.Helper()
	page := v.open(target)
	return v.submit(v.fill(page, user, password))
}

// signOut signs out as a person does: the link, then every question on the way.
func (v *visitor) signOut() *answer {
	v.t.Helper()
	a := v.open("/_gatehouse/sign-out")
	for range 4 {
		f, err := a.form()
		// A page that offers to sign in again is the end of the way.
		if errors.Is(err, errNoForm) || f.password != "" || f.method != http.MethodPost {
			return a
		}
		a = v.submit(f)
	}
	return a
}

// me is the answer of /_gatehouse/me.json.
func (v *visitor) me() (status int, who map[string]any) {
	v.t.Helper()
	a := v.fetch("/_gatehouse/me.json")
	if a.status == http.StatusOK {
		if err := json.Unmarshal([]byte(a.body), &who); err != nil {
			v.t.Fatalf("me.json is %q: %v", a.body, err)
		}
	}
	return a.status, who
}

// cookies are the cookies the visitor would send to the gateway.
func (v *visitor) cookies() string {
	v.t.Helper()
	u, err := url.Parse(v.base)
	if err != nil {
		v.t.Fatal(err)
	}
	var parts []string
	for _, c := range v.jar.Cookies(u) {
		parts = append(parts, c.Name+"="+c.Value)
	}
	return strings.Join(parts, "; ")
}

// session is the visitor's session cookie, all parts of it, as one header.
func (v *visitor) session() string {
	v.t.Helper()
	var parts []string
	for _, c := range strings.Split(v.cookies(), "; ") {
		name, _, _ := strings.Cut(c, "=")
		if sessionName.MatchString(name) {
			parts = append(parts, c)
		}
	}
	return strings.Join(parts, "; ")
}

// forget drops the gateway's session cookie, as a browser may at any time.
func (v *visitor) forget() {
	v.t.Helper()
	u, err := url.Parse(v.base)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range v.jar.Cookies(u) {
		if sessionName.MatchString(c.Name) {
			v.jar.SetCookies(u, []*http.Cookie{{Name: c.Name, Path: "/", MaxAge: -1}})
		}
	}
}

// sessionName are the names of the gateway's session cookie and its parts.
var sessionName = regexp.MustCompile(`^(?:__Host-gatehouse|gatehouse-\d+)(?:-[1-9])?$`)

// seen is what the demo application says of a request.
type seen struct {
	Method  string              `json:"method"`
	Path    string              `json:"path"`
	Query   string              `json:"query"`
	Host    string              `json:"host"`
	Headers map[string][]string `json:"headers"`
}

func (a *answer) seen(t *testing.T) seen {
	t.Helper()
	var s seen
	if err := json.Unmarshal([]byte(a.body), &s); a.status != http.StatusOK || err != nil {
		t.Fatalf("%s answers %d, not what the application saw: %v\n%s", a.url, a.status, err, a.body)
	}
	return s
}

// ask sends a request without a jar.
func ask(t *testing.T, method, target string, pairs ...string) *answer {
	t.Helper()
	v := &visitor{t: t, client: plain}
	return v.do(method, target, nil, pairs...)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var headerRow = regexp.MustCompile(`<th scope="row">([^<]*)</th><td>([^<]*)</td>`)

// page reads the headers that the application's page shows.
func (a *answer) page(t *testing.T) map[string]string {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("%s answers %d\n%s", a.url, a.status, a.body)
	}
	out := map[string]string{}
	for _, m := range headerRow.FindAllStringSubmatch(a.body, -1) {
		out[m[1]] = html.UnescapeString(m[2])
	}
	return out
}

// challenge is the S256 code challenge of a verifier (RFC 7636 §4.2).
func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
