package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// The client that users sign in to, and its redirect URI, where nobody is.
const (
	usersClient = "users"
	usersSecret = "bench-secret-of-the-users-client-0"
	usersBack   = "http://127.0.0.1:9/callback"
	// usersVerifier is everybody's PKCE verifier (RFC 7636 §4.1).
	usersVerifier = "a-code-verifier-of-at-least-43-characters-00000"
)

// users is a gateway with the built-in provider and many people in it, all with
// one password, who come from one address.
type users struct {
	*gateway
	via  *http.Transport
	next atomic.Int64 // who signs in next
}

// withUsers starts a gateway on SQLite with n people of import.go in it.
func (w *world) withUsers(ctx context.Context, n int) (*users, error) {
	return w.usersOf(ctx, setup{}, n)
}

// usersOf starts such a gateway on the database, and of the build, that s names.
func (w *world) usersOf(ctx context.Context, s setup, n int) (*users, error) {
	s.idp, s.users = true, true
	c, err := w.configure(s)
	if err != nil {
		return nil, err
	}
	g, err := w.launch(ctx, c)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(filepath.Dir(c.file), "people.jsonl")
	if err := writePeople(file, n, hashOf(personPassword)); err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, c.program(w).path, "user", "import", file, "--config", c.file, "--progress", "never").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("import %d people: %w\n%s", n, err, bytes.TrimSpace(out))
	}
	return &users{gateway: g, via: &http.Transport{MaxIdleConnsPerHost: 256}}, nil
}

// end ends the gateway.
func (c *users) end() {
	c.via.CloseIdleConnections()
	c.proc.end()
}

// visit is a browser before the form of a sign-in.
type visit struct {
	client *http.Client
	form   url.Values
	action *url.URL
}

// begin opens a sign-in page in a new browser.
func (c *users) begin(ctx context.Context) (*visit, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	v := &visit{client: &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: c.via, CheckRedirect: stayHere}}
	a, err := sendWith(ctx, v.client, http.MethodGet, c.issuer+"/oauth2/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {usersClient}, "redirect_uri": {usersBack}, "scope": {"openid"},
		"state": {"s-0123456789"}, "nonce": {"n-0123456789"},
		"code_challenge": {challengeOf(usersVerifier)}, "code_challenge_method": {"S256"},
	}.Encode(), nil, http.Header{"Accept": {"text/html"}})
	if err != nil {
		return nil, fmt.Errorf("open the sign-in page: %w", err)
	}
	v.action, v.form, err = filled(a)
	return v, err
}

// stayHere follows redirects but to the client, where nobody is.
func stayHere(r *http.Request, _ []*http.Request) error {
	if strings.HasPrefix(r.URL.String(), usersBack) {
		return http.ErrUseLastResponse
	}
	return nil
}

// post answers the form, and returns the response, whose body has been read.
func (v *visit) post(ctx context.Context, name, password string) (*http.Response, error) {
	v.form.Set("username", name)
	v.form.Set("password", password)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.action.String(), strings.NewReader(v.form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		"Accept": {"text/html"}, "Content-Type": {"application/x-www-form-urlencoded"},
		"Origin": {v.action.Scheme + "://" + v.action.Host},
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	return resp, drain(resp)
}

// signIn signs somebody in, and returns the authorization code.
func (c *users) signIn(ctx context.Context, name string) (code string, err error) {
	v, err := c.begin(ctx)
	if err != nil {
		return "", err
	}
	resp, err := v.post(ctx, name, personPassword)
	if err != nil {
		return "", err
	}
	to, err := resp.Location()
	if err != nil || to.Query().Get("code") == "" {
		return "", fmt.Errorf("%s signs in with %s at %s", name, resp.Status, resp.Request.URL)
	}
	return to.Query().Get("code"), nil
}

// grant asks the token endpoint with that client, and returns the refresh
// token.
func (c *users) grant(ctx context.Context, form url.Values) (string, error) {
	form.Set("client_id", usersClient)
	form.Set("client_secret", usersSecret)
	client := &http.Client{Timeout: 30 * time.Second, Transport: c.via}
	a, err := sendWith(ctx, client, http.MethodPost, c.issuer+"/oauth2/token", strings.NewReader(form.Encode()),
		http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	if err != nil {
		return "", fmt.Errorf("ask for tokens: %w", err)
	}
	var got struct {
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Refresh == "" {
		return "", fmt.Errorf("ask for tokens: %d %s", a.status, a.body)
	}
	return got.Refresh, nil
}

// exchange exchanges an authorization code.
func (c *users) exchange(ctx context.Context, code string) (string, error) {
	return c.grant(ctx, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {usersBack}, "code_verifier": {usersVerifier},
	})
}

func (c *users) refresh(ctx context.Context, token string) (string, error) {
	return c.grant(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}
