package bearer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/inproc"
	"gatehouse/internal/jose"
	"gatehouse/session"
)

// Verifier turns access tokens into identities. It is safe for concurrent use.
type Verifier struct {
	issuers map[string]*issuer
	now     func() time.Time
	id      string
	// changes counts how often an issuer's keys were others than before.
	changes atomic.Uint64
}

// issuer is a configured issuer with its keys.
type issuer struct {
	*Issuer
	algs    []jose.Alg
	clients map[string]bool
	keys    *keys
}

// New compiles cfg. own is the embedded provider (see Own), nil when there is
// none. clientFor returns the client that reaches an issuer; it is bounded
// here to ten seconds, one MiB and no redirects. log may be nil. New fetches
// nothing: an issuer that is down delays only those who show its tokens.
func New(cfg Config, own *Issuer, clientFor func(issuer string) *http.Client, log *slog.Logger) (*Verifier, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{issuers: map[string]*issuer{}, now: time.Now, id: rand.Text()}
	all := cfg.Issuers
	if own != nil {
		mine := *own
		mine.Clients, mine.own = cfg.Clients, true
		all = append([]*Issuer{&mine}, all...)
	}
	for _, i := range all {
		if v.issuers[i.Issuer] != nil {
			return nil, fmt.Errorf("new token verifier: issuer %s is configured twice", i.Issuer)
		}
		if !i.own && len(i.Audiences) == 0 {
			return nil, fmt.Errorf("new token verifier: issuer %s has no audiences", i.Issuer)
		}
		v.issuers[i.Issuer] = v.newIssuer(i, inproc.Bounded(clientFor(i.Issuer)), log)
	}
	return v, nil
}

func (v *Verifier) newIssuer(cfg *Issuer, client *http.Client, log *slog.Logger) *issuer {
	i := &issuer{Issuer: cfg, clients: map[string]bool{}, keys: &keys{issuer: cfg.Issuer, client: client, log: log, changes: &v.changes}}
	for _, a := range cfg.Algorithms {
		i.algs = append(i.algs, jose.Alg(a))
	}
	if len(i.algs) == 0 {
		i.algs = jose.Algs()
	}
	for _, c := range cfg.Clients {
		if c != "" {
			i.clients[c] = true
		}
	}
	if cfg.JWKSURL != nil {
		i.keys.jwks = cfg.JWKSURL.String()
	}
	return i
}

// Run fetches each issuer's keys now and every hour, sooner after a failure,
// until ctx ends, so that no request waits for it. It is not needed for
// correctness.
func (v *Verifier) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, i := range v.issuers {
		group.Go(func() { i.keys.run(ctx) })
	}
	group.Wait()
}

func (k *keys) run(ctx context.Context) {
	for {
		k.refresh(ctx)
		wait := fetchApart
		if set, age, _ := k.current(); set != nil && age < keysFresh {
			wait = max(keysFresh-age, fetchApart)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// ID names the verifier and so its configuration; no other has the same.
func (v *Verifier) ID() string { return v.id }

// Generation changes when an issuer's keys do. What was verified in an earlier
// generation may have been signed with a key that was taken back since.
func (v *Verifier) Generation() uint64 { return v.changes.Load() }

// Verify returns whose access token this is. The error is an *Error. The
// identity has not been checked against revocations.
func (v *Verifier) Verify(ctx context.Context, token string) (*session.Identity, error) {
	u, err := jose.Parse(token)
	if err != nil {
		if errors.Is(err, jose.ErrAlg) {
			return nil, &Error{BadKey, err}
		}
		return nil, &Error{Malformed, err}
	}
	// Only a string, and only exactly: a list that also holds a good issuer is
	// nobody's token.
	iss, _ := u.Claim("iss").(string)
	i := v.issuers[iss]
	if i == nil || iss == "" {
		return nil, &Error{WrongIssuer, nil}
	}
	set, err := i.keys.find(ctx, u.KeyID())
	if err != nil {
		return nil, &Error{Unavailable, err}
	}
	verified, err := u.Verify(set, i.algs...)
	if err != nil {
		return nil, &Error{BadKey, err}
	}
	if err := i.judge(verified, v.now()); err != nil {
		return nil, err
	}
	return i.identity(verified.Claims, token)
}

// judge checks type, audience and time of a token whose signature holds.
func (i *issuer) judge(t *jose.Token, now time.Time) error {
	if reason := i.wrongType(t); reason != "" {
		return &Error{WrongType, errors.New(reason)}
	}
	if !i.forUs(t.Claims["aud"]) {
		return &Error{Audience, nil}
	}
	return i.inTime(t.Claims, now)
}

// wrongType returns why a token is not an access token, "" if it is one.
func (i *issuer) wrongType(t *jose.Token) string {
	if typ, found := t.Header["typ"]; found {
		s, _ := typ.(string)
		switch strings.TrimPrefix(strings.ToLower(s), "application/") {
		case "jwt", "at+jwt":
		default:
			return "typ header of another kind"
		}
	}
	if use, found := t.Claims["token_use"]; i.TokenUse != "" && use != any(i.TokenUse) || found && use == any("id") {
		return "token_use of another kind"
	}
	// Claims that only other kinds of token carry: nonce and the hashes an ID
	// token (OpenID Connect Core §2, §3.3.2.11), events a logout token or
	// another security event (RFC 8417). Keycloak writes the kind into typ.
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash", "events"} {
		if _, found := t.Claims[name]; found {
			return "claim " + name
		}
	}
	if kind, ok := t.Claims["typ"].(string); ok && slices.Contains([]string{"id", "refresh", "offline", "logout"}, strings.ToLower(kind)) {
		return "typ claim of another kind"
	}
	return ""
}

// forUs tells whether an aud claim (RFC 7519 §4.1.3) names this gateway. Only
// our own provider may leave it out.
func (i *issuer) forUs(aud any) bool {
	switch aud := aud.(type) {
	case nil:
		return i.own
	case string:
		return aud != "" && slices.Contains(i.Audiences, aud)
	case []any:
		for _, a := range aud {
			if s, ok := a.(string); ok && s != "" && slices.Contains(i.Audiences, s) {
				return true
			}
		}
	}
	return false
}

// inTime checks exp, which must be there, and nbf and iat, which must not lie
// in the future (RFC 7519 §4.1.4–6).
func (i *issuer) inTime(claims map[string]any, now time.Time) error {
	exp, err := numericDate(claims, "exp")
	if err != nil || exp.IsZero() {
		return &Error{Expired, errors.New("exp is missing or no time")}
	}
	if !now.Before(exp.Add(i.Leeway)) {
		return &Error{Expired, errors.New("past exp")}
	}
	for _, name := range []string{"nbf", "iat"} {
		at, err := numericDate(claims, name)
		if err != nil {
			return &Error{Expired, errors.New(name + " is no time")}
		}
		if at.After(now.Add(i.Leeway)) {
			return &Error{Expired, errors.New(name + " is in the future")}
		}
	}
	return nil
}
