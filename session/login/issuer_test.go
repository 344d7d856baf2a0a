package login

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/inproc"
	"gatehouse/internal/jose"
)

// issuer is a small OpenID provider over real HTTP: RS256, PKCE demanded,
// codes and refresh tokens work once.
type issuer struct {
	t      testing.TB
	server *httptest.Server
	url    string

	mu       sync.Mutex
	key      *jose.Key
	signer   *jose.Key // signs instead of key, without being published
	codes    map[string]grant
	refresh  map[string]grant
	revoked  []string
	tokens   int           // calls of the token endpoint
	delay    time.Duration // before the token endpoint answers
	down     bool          // every endpoint answers 502
	lifetime time.Duration // of access tokens
	mutate   func(claims map[string]any)
	meta     func(doc map[string]any)
	answer   func(w http.ResponseWriter) bool // instead of the token endpoint
	noID     bool                             // no ID token on refresh
	scope    string                           // of token answers, "" for the usual
}

type grant struct {
	user, nonce, challenge, redirect, client, sid, family string
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := newIssuerAt(t, "")
	i.server = httptest.NewServer(i)
	t.Cleanup(i.server.Close)
	i.url = i.server.URL
	return i
}

// newIssuerAt returns an issuer that no network reaches.
func newIssuerAt(t testing.TB, address string) *issuer {
	t.Helper()
	der, err := firstKey()
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.ParsePKCS8("k1", jose.RS256, der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{t: t, url: address, key: key, codes: map[string]grant{}, refresh: map[string]grant{}, lifetime: 10 * time.Minute}
}

// firstKey is what every issuer begins with: making an RSA key takes longer
// than most tests.
var firstKey = sync.OnceValues(func() ([]byte, error) {
	k, err := jose.GenerateKey(jose.RS256, "k1")
	if err != nil {
		return nil, err
	}
	return k.MarshalPKCS8()
})

func (i *issuer) rotate(kid string) {
	k, err := jose.GenerateKey(jose.RS256, kid)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key = k
}

// with changes knobs under the lock.
func (i *issuer) with(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *issuer) calls() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.tokens
}

const clientID, clientSecret = "gatehouse", "s3cret&%"

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	down := i.down
	i.mu.Unlock()
	if down {
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		doc := map[string]any{
			"issuer": i.url, "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token",
			"jwks_uri": i.url + "/jwks", "end_session_endpoint": i.url + "/logout", "revocation_endpoint": i.url + "/revoke",
			"id_token_signing_alg_values_supported":          []string{"RS256", "none", "HS256"},
			"token_endpoint_auth_methods_supported":          []string{"client_secret_post", "client_secret_basic"},
			"authorization_response_iss_parameter_supported": true,
		}
		i.mu.Lock()
		meta := i.meta
		i.mu.Unlock()
		if meta != nil {
			meta(doc)
		}
		reply(w, http.StatusOK, doc)
	case "/jwks":
		i.mu.Lock()
		set := jose.NewKeySet(i.key.Public())
		i.mu.Unlock()
		reply(w, http.StatusOK, set)
	case "/token":
		i.token(w, r)
	case "/revoke":
		if user, pass, _ := r.BasicAuth(); user != clientID || pass != url.QueryEscape(clientSecret) {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		i.mu.Lock()
		i.revoked = append(i.revoked, r.FormValue("token"))
		delete(i.refresh, r.FormValue("token"))
		i.mu.Unlock()
	default:
		http.NotFound(w, r)
	}
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// approve is the person signing in: it takes the address Begin gave and
// returns the callback's query.
func (i *issuer) approve(address, user string) url.Values {
	i.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		i.t.Fatal(err)
	}
	q := u.Query()
	if q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 ||
		q.Get("nonce") == "" || !strings.Contains(q.Get("scope"), "openid") || q.Get("client_id") != clientID {
		i.t.Fatalf("authorization request %v", q)
	}
	code := rand.Text()
	i.mu.Lock()
	sid := "sid-" + user
	if q.Get("prompt") == "login" {
		sid = "sid-" + rand.Text()
	}
	i.codes[code] = grant{user, q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri"), clientID, sid, "family-" + rand.Text()}
	i.mu.Unlock()
	return url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.url}}
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.tokens++
	delay, answer := i.delay, i.answer
	i.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		if delay > time.Minute {
			return // an issuer that never gets to the request
		}
	}
	if answer != nil && answer(w) {
		return
	}
	if user, pass, _ := r.BasicAuth(); user != clientID || pass != url.QueryEscape(clientSecret) {
		reply(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	var g grant
	var ok bool
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		g, ok = i.codes[r.PostFormValue("code")]
		delete(i.codes, r.PostFormValue("code"))
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		ok = ok && base64.RawURLEncoding.EncodeToString(sum[:]) == g.challenge && r.PostFormValue("redirect_uri") == g.redirect
	case "refresh_token":
		g, ok = i.refresh[r.PostFormValue("refresh_token")]
		delete(i.refresh, r.PostFormValue("refresh_token"))
		g.nonce = ""
	}
	if !ok {
		reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	reply(w, http.StatusOK, i.mint(g, r.PostFormValue("grant_type") == "refresh_token"))
}

// mint answers a token request; mu is held.
func (i *issuer) mint(g grant, refreshed bool) map[string]any {
	access, next := rand.Text(), rand.Text()
	i.refresh[next] = g
	out := map[string]any{
		"access_token": access, "refresh_token": next, "token_type": "Bearer", "expires_in": int(i.lifetime.Seconds()), "scope": "openid email",
	}
	if i.scope != "" {
		out["scope"] = i.scope
	}
	if refreshed && i.noID {
		return out
	}
	sum := sha256.Sum256([]byte(access))
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": i.url, "sub": "id-of-" + g.user, "aud": clientID, "exp": now + 3600, "iat": now, "auth_time": now,
		"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]), "token_use": "id", "sid": g.sid, "origin_jti": g.family,
		"email": g.user + "@example.com", "email_verified": true, "name": strings.ToUpper(g.user),
		"cognito:username": g.user, "cognito:groups": []string{"staff"}, "amr": []string{"pwd"},
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	if i.mutate != nil {
		i.mutate(claims)
	}
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	signer := i.key
	if i.signer != nil {
		signer = i.signer
	}
	token, err := jose.Sign(signer, nil, claims)
	if err != nil {
		i.t.Error(err)
	}
	out["id_token"] = token
	return out
}

// client reaches the issuer over the network, or in process when it has none.
func (i *issuer) client(address string) *http.Client {
	if i.server != nil {
		return &http.Client{}
	}
	u, err := url.Parse(address)
	if err != nil {
		i.t.Fatal(err)
	}
	return inproc.Client(u, i)
}
