package oidc

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/idp/signin"
	"gatehouse/internal/httpx"
)

// Limits of an authorization request; more than anybody needs, less than what
// would fill a database.
const (
	maxState  = 4 << 10
	maxNonce  = 512
	maxHint   = 256
	maxScopes = 50
)

// Request is an authorization request (RFC 6749 §4.1.1, OpenID Connect Core
// §3.1.2.1) that has been checked as far as it can be without knowing who is
// asking. It is kept, as JSON, while the person signs in: what was checked is
// what is answered, whatever the browser sends later.
type Request struct {
	ClientID    string `json:"client_id"`
	RedirectURI string `json:"redirect_uri"`
	// State is echoed byte by byte; HasState tells an empty one from none.
	State    string `json:"state,omitempty"`
	HasState bool   `json:"has_state,omitempty"`
	Nonce    string `json:"nonce,omitempty"`
	// Challenge is the S256 code challenge, 43 characters (RFC 7636 §4.2).
	Challenge string `json:"code_challenge"`
	// Scopes are what was asked for; never empty: who asks for nothing asks
	// for all that the client may have.
	Scopes []string `json:"scopes"`
	// Silent is prompt=none: answer without showing anything.
	Silent bool `json:"silent,omitempty"`
	// Again is prompt=login or select_account: the person proves anew who
	// they are.
	Again bool `json:"again,omitempty"`
	// MaxAge is how long ago the person may have signed in; nil for any time.
	MaxAge *time.Duration `json:"max_age,omitempty"`
	// Strong asks for the one class of sign-in there is, that with a second
	// factor; Essential refuses an answer without it.
	Strong    bool `json:"strong,omitempty"`
	Essential bool `json:"essential,omitempty"`
	// LoginHint fills in the name on the sign-in page.
	LoginHint string `json:"login_hint,omitempty"`
	// Subject is the sub of a valid id_token_hint, or the one that the claims
	// parameter demands: only this user may be the answer; "" for any.
	Subject string `json:"subject,omitempty"`
}

// protocolError is an answer to the client by redirect (RFC 6749 §4.1.2.1).
type protocolError struct {
	code        string
	description string
}

func refuse(code, description string) *protocolError {
	return &protocolError{code: code, description: description}
}

// target returns the fields that decide where an answer may go at all. Until they
// are checked against the client nothing is redirected (RFC 6749 §4.1.2.1).
func target(f httpx.Form) (clientID, redirectURI string) {
	return f.Get("client_id"), f.Get("redirect_uri")
}

// parseRequest reads the rest of an authorization request, once client_id and
// redirect_uri are known to be good. allowed are the scopes of the client.
func parseRequest(f httpx.Form, allowed []string) (*Request, *protocolError) {
	req := &Request{State: f.Get("state"), HasState: f.Has("state"), Nonce: f.Get("nonce")}
	req.ClientID, req.RedirectURI = target(f)
	if len(req.State) > maxState {
		// It cannot be echoed, so the client could not tell whose answer it is.
		req.State, req.HasState = "", false
		return req, refuse("invalid_request", "state is too long")
	}
	if len(req.Nonce) > maxNonce {
		return req, refuse("invalid_request", "nonce is too long")
	}
	if hint := f.Get("login_hint"); len(hint) <= maxHint {
		req.LoginHint = hint
	}
	for _, parse := range []func(httpx.Form, *Request) *protocolError{parseResponse, parsePKCE, parsePrompt, parseMaxAge, parseACR, parseClaims} {
		if err := parse(f, req); err != nil {
			return req, err
		}
	}
	scopes, err := parseScopes(f.Get("scope"), allowed)
	req.Scopes = scopes
	return req, err
}

func parseResponse(f httpx.Form, _ *Request) *protocolError {
	switch {
	case f.Has("request"):
		return refuse("request_not_supported", "request objects are not supported")
	case f.Has("request_uri"):
		return refuse("request_uri_not_supported", "request_uri is not supported")
	case f.Get("response_type") == "":
		return refuse("invalid_request", "response_type is missing")
	case f.Get("response_type") != "code":
		return refuse("unsupported_response_type", "response_type must be code")
	case f.Has("response_mode") && f.Get("response_mode") != "query":
		return refuse("invalid_request", "response_mode must be query")
	}
	return nil
}

// parsePKCE demands S256 of every client, also of those with a secret
// (RFC 9700 §2.1.1). Without a method the default would be plain.
func parsePKCE(f httpx.Form, req *Request) *protocolError {
	req.Challenge = f.Get("code_challenge")
	switch {
	case req.Challenge == "":
		return refuse("invalid_request", "code_challenge is missing: PKCE is required")
	case f.Get("code_challenge_method") != "S256":
		return refuse("invalid_request", "code_challenge_method must be S256")
	case len(req.Challenge) != 43 || strings.Trim(req.Challenge, base64URL) != "":
		return refuse("invalid_request", "code_challenge must be 43 characters of base64url")
	}
	return nil
}

// base64URL is the alphabet of RFC 4648 §5.
const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func parsePrompt(f httpx.Form, req *Request) *protocolError {
	words := strings.Fields(f.Get("prompt"))
	for _, word := range words {
		switch word {
		case "none":
			req.Silent = true
		case "login", "select_account":
			req.Again = true
		case "consent":
			// All clients are the operator's own; there is nothing to ask.
		default:
			return refuse("invalid_request", "prompt must be none, login, select_account or consent")
		}
	}
	if req.Silent && len(words) > 1 {
		return refuse("invalid_request", "prompt=none stands alone")
	}
	return nil
}

func parseMaxAge(f httpx.Form, req *Request) *protocolError {
	text := f.Get("max_age")
	if text == "" {
		return nil
	}
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return refuse("invalid_request", "max_age must be a number of seconds")
	}
	age := time.Duration(seconds) * time.Second
	req.MaxAge = &age
	return nil
}

// parseACR reads acr_values: a wish, in order of preference, of which all that
// is not known here is passed over (OpenID Connect Core §3.1.2.1).
func parseACR(f httpx.Form, req *Request) *protocolError {
	req.Strong = slices.Contains(strings.Fields(f.Get("acr_values")), signin.ACR)
	return nil
}

// claim is how the claims parameter asks for one claim (OpenID Connect Core
// §5.5.1).
type claim struct {
	Essential bool     `json:"essential"`
	Value     string   `json:"value"`
	Values    []string `json:"values"`
}

// names tells whether v is a value that the claim may have.
func (c claim) names(v string) bool { return c.Value == v || slices.Contains(c.Values, v) }

// parseClaims reads of the claims parameter what would be wrong to pass over: an
// ID token of one subject and nobody else, and an acr without which the sign-in
// counts as failed (OpenID Connect Core §5.5.1.1). All other claims come by
// scope, so that the parameter is not announced as supported.
func parseClaims(f httpx.Form, req *Request) *protocolError {
	text := f.Get("claims")
	if text == "" {
		return nil
	}
	var claims struct {
		IDToken struct {
			Subject claim `json:"sub"`
			ACR     claim `json:"acr"`
		} `json:"id_token"`
	}
	if err := json.Unmarshal([]byte(text), &claims); err != nil {
		return refuse("invalid_request", "claims is not a JSON object as it should be")
	}
	sub, acr := claims.IDToken.Subject, claims.IDToken.ACR
	switch {
	case len(sub.Values) > 0:
		return refuse("invalid_request", "claims may name one sub, by value")
	case acr.Essential && (acr.Value != "" || len(acr.Values) > 0) && !acr.names(signin.ACR):
		return refuse(codeUnmet, "this issuer has no such authentication context class")
	}
	req.Subject = sub.Value
	if acr.names(signin.ACR) {
		req.Strong, req.Essential = true, acr.Essential
	}
	return nil
}

// parseScopes returns what scope asks for, each once, in the order asked; all
// of allowed when it asks for nothing. A scope the client does not have is
// refused rather than dropped: a client that got less than it asked for fails
// later, and far from the cause.
func parseScopes(scope string, allowed []string) ([]string, *protocolError) {
	asked := strings.Fields(scope)
	if len(asked) > maxScopes {
		return nil, refuse("invalid_scope", "too many scopes")
	}
	if len(asked) == 0 {
		asked = allowed
	}
	if len(asked) == 0 {
		return nil, refuse("invalid_scope", "the client has no scopes")
	}
	has := make(map[string]bool, len(allowed))
	for _, s := range allowed {
		has[s] = true
	}
	var scopes []string
	seen := map[string]bool{}
	for _, s := range asked {
		if s == "offline_access" {
			// Refresh tokens depend on the client, not on this scope (Cognito);
			// many libraries ask for it all the same.
			continue
		}
		if !has[s] {
			return nil, refuse("invalid_scope", "a scope is unknown or not the client's")
		}
		if !seen[s] {
			seen[s] = true
			scopes = append(scopes, s)
		}
	}
	if len(scopes) == 0 {
		return nil, refuse("invalid_scope", "no scope is left")
	}
	return scopes, nil
}

// readParams reads the parameters of an endpoint that takes GET and POST: of
// the query for one, of the body for the other, never of both.
func readParams(w http.ResponseWriter, r *http.Request) (httpx.Form, error) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return httpx.ParseForm(r.URL.RawQuery)
	case http.MethodPost:
		return httpx.ReadForm(w, r, httpx.MaxForm)
	}
	return httpx.Form{}, &httpx.Error{Status: http.StatusMethodNotAllowed}
}
