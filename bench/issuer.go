package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// Registrations at bench's issuer. They open nothing else.
const (
	loginClient = "gatehouse"
	loginSecret = "bench-secret-of-the-gateway-0000"
	// tokenIssuer does not depend on a port, so that tokens outlive a run; its
	// keys are where the configuration says.
	tokenIssuer   = "https://tokens.bench.example"
	tokenAudience = "bench"
)

const (
	tokenLife = 24 * time.Hour
	tokenKey  = "tokens" // kid, RS256
	loginKey  = "login"  // kid, EdDSA: signing costs next to nothing
)

// issuer is an OpenID provider that lets everybody in and asks nobody. Access
// tokens it signs with RSA 2048, ID tokens with Ed25519.
type issuer struct {
	url    string
	server *http.Server
	rsa    *rsa.PrivateKey
	ed     ed25519.PrivateKey

	mu    sync.Mutex
	codes map[string]grant
}

// grant is a code that has not been exchanged.
type grant struct{ subject, nonce string }

// openIssuer starts an issuer on the loopback.
func openIssuer() (*issuer, error) {
	i := &issuer{codes: map[string]grant{}}
	var err error
	if i.rsa, err = keptKey(); err != nil {
		return nil, err
	}
	if _, i.ed, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return nil, fmt.Errorf("open issuer: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open issuer: %w", err)
	}
	i.url = "http://" + l.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /keys", i.keys)
	mux.HandleFunc("POST /token", i.exchange)
	i.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go i.server.Serve(l)
	return i, nil
}

func (i *issuer) close() { _ = i.server.Close() }

func (i *issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{
		"issuer": i.url, "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token", "jwks_uri": i.url + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"EdDSA"},
		"authorization_response_iss_parameter_supported": true,
	})
}

func (i *issuer) keys(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{"keys": []any{
		map[string]any{
			"kty": "RSA", "kid": tokenKey, "alg": "RS256", "use": "sig",
			"n": b64(i.rsa.N.Bytes()), "e": b64(big.NewInt(int64(i.rsa.E)).Bytes()),
		},
		map[string]any{
			"kty": "OKP", "crv": "Ed25519", "kid": loginKey, "alg": "EdDSA", "use": "sig",
			"x": b64(i.ed.Public().(ed25519.PublicKey)),
		},
	}})
}

// approve is the person at the issuer: it returns the code that the browser
// would carry back.
func (i *issuer) approve(subject, nonce string) string {
	code := rand.Text()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.codes[code] = grant{subject, nonce}
	return code
}

// exchange is the token endpoint. Who asks, and with which verifier, it leaves
// open: that is no part of the measurement.
func (i *issuer) exchange(w http.ResponseWriter, r *http.Request) {
	code := r.PostFormValue("code")
	i.mu.Lock()
	g, ok := i.codes[code]
	delete(i.codes, code)
	i.mu.Unlock()
	if !ok {
		reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	now := time.Now().Unix()
	token, err := i.signEdDSA(map[string]any{
		"iss": i.url, "aud": loginClient, "sub": g.subject, "nonce": g.nonce, "iat": now, "auth_time": now, "exp": now + 3600,
		"email": g.subject + "@example.com", "email_verified": true, "name": "Bench " + g.subject,
		"preferred_username": g.subject, "groups": []string{"staff"},
	})
	if err != nil {
		reply(w, http.StatusInternalServerError, map[string]string{"error": "server_error"})
		return
	}
	reply(w, http.StatusOK, map[string]any{
		"access_token": rand.Text(), "token_type": "Bearer", "expires_in": int(tokenLife.Seconds()), "id_token": token,
	})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // whoever has gone does not matter
}

// accessToken signs a token for a program that may read orders, of the size
// that tokens have. Each subject's is another.
func (i *issuer) accessToken(subject string) (string, error) {
	now := time.Now()
	return i.signRS256(map[string]any{
		"iss": tokenIssuer, "aud": tokenAudience, "sub": subject, "client_id": "partner", "scope": "openid profile orders.read",
		"iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "jti": rand.Text(), "token_use": "access",
		"email": subject + "@example.com", "name": "Bench " + subject, "groups": []string{"staff", "readers"},
	})
}

func (i *issuer) signRS256(claims any) (string, error) {
	signed, err := unsigned("RS256", tokenKey, claims)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.rsa, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed + "." + b64(signature), nil
}

func (i *issuer) signEdDSA(claims any) (string, error) {
	signed, err := unsigned("EdDSA", loginKey, claims)
	if err != nil {
		return "", err
	}
	return signed + "." + b64(ed25519.Sign(i.ed, []byte(signed))), nil
}

// unsigned returns what a JWS signs (RFC 7515 §5.1).
func unsigned(alg, kid string, claims any) (string, error) {
	head, err := json.Marshal(map[string]string{"alg": alg, "kid": kid, "typ": "JWT"})
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return b64(head) + "." + b64(text), nil
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
