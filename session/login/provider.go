package login

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
)

const (
	probeEvery = 30 * time.Second
	firstRetry = time.Second
)

// provider is one issuer and what is known of it.
type provider struct {
	*Provider
	name   string
	client *http.Client
	log    *slog.Logger

	meta   atomic.Pointer[metadata] // what the last good probe found
	flight singleflight.Group       // one probe at a time
	paused atomic.Int64             // Unix nanoseconds until which refreshes wait, as the issuer is down

	mu     sync.Mutex
	probed time.Time // when the last probe ended; zero: never
	err    error     // of the last probe
}

// metadata is a discovery document put to use. It is immutable.
type metadata struct {
	doc      document
	endpoint oauth2.Endpoint
	verifier *oidc.IDTokenVerifier
}

// document holds the members of the discovery document that go-oidc does not
// read (OpenID Connect Discovery §3, RFC 8414 §2, RP-Initiated Logout §2.1,
// RFC 9207 §3).
type document struct {
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Keys          string   `json:"jwks_uri"`
	EndSession    string   `json:"end_session_endpoint"`
	Revocation    string   `json:"revocation_endpoint"`
	TokenAuth     []string `json:"token_endpoint_auth_methods_supported"`
	IssInResponse bool     `json:"authorization_response_iss_parameter_supported"`
	TakesClaims   bool     `json:"claims_parameter_supported"`
}

func (d document) equal(o document) bool {
	return d.Authorization == o.Authorization && d.Token == o.Token && d.Keys == o.Keys && d.EndSession == o.EndSession &&
		d.Revocation == o.Revocation && d.IssInResponse == o.IssInResponse &&
		d.TakesClaims == o.TakesClaims && slices.Equal(d.TokenAuth, o.TokenAuth)
}

func newProvider(name string, cfg *Provider, client *http.Client, log *slog.Logger) *provider {
	return &provider{Provider: cfg, name: name, client: client, log: log}
}

// context returns ctx as go-oidc and oauth2 take a client from it.
func (p *provider) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.client)
}

// run probes until ctx ends.
func (p *provider) run(ctx context.Context) {
	retry := firstRetry
	for {
		wait := probeEvery
		// It ends with ctx, so wait for its end: nothing is left behind.
		if err := p.probe(context.WithoutCancel(ctx), ctx); err != nil {
			wait, retry = retry, min(2*retry, probeEvery)
		} else {
			retry = firstRetry
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

func (p *provider) healthy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.probed.IsZero() && p.err == nil
}

// ready returns what is known of the issuer, or ErrIssuerDown while the last
// probe failed. Before the first probe, and when nobody probes, it probes.
func (p *provider) ready(ctx context.Context) (*metadata, error) {
	p.mu.Lock()
	err, recent := p.err, !p.probed.IsZero() && time.Since(p.probed) < probeEvery
	p.mu.Unlock()
	if m := p.meta.Load(); m != nil && err == nil {
		return m, nil
	}
	if err == nil || !recent {
		err = p.probe(ctx, context.WithoutCancel(ctx))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIssuerDown, err)
	}
	return p.meta.Load(), nil
}

// probe fetches the discovery document, once for all who ask at the same time.
// wait is the patience of this caller, work that of the call if it is the first.
func (p *provider) probe(wait, work context.Context) error {
	result := p.flight.DoChan("", func() (any, error) {
		call, cancel := context.WithTimeout(work, callTimeout)
		defer cancel()
		m, err := p.discover(call)
		if work.Err() == nil {
			p.note(work, m, err)
		}
		return nil, err
	})
	select {
	case r := <-result:
		return r.Err
	case <-wait.Done():
		return wait.Err()
	}
}

// note keeps the outcome of a probe and logs when it differs from the one before.
func (p *provider) note(ctx context.Context, m *metadata, err error) {
	p.mu.Lock()
	was, first := p.err, p.probed.IsZero()
	p.probed, p.err = time.Now(), err
	p.mu.Unlock()
	if old := p.meta.Load(); err == nil && (old == nil || !old.doc.equal(m.doc)) {
		p.meta.Store(m)
	}
	switch {
	case err != nil && (was == nil || first):
		p.log.WarnContext(ctx, "issuer cannot be reached; signing in answers 503 until it can", "issuer", p.Issuer, "error", err)
	case err == nil && was != nil:
		p.log.InfoContext(ctx, "issuer can be reached again", "issuer", p.Issuer)
	}
}

func (p *provider) discover(ctx context.Context) (*metadata, error) {
	found, err := oidc.NewProvider(p.context(ctx), p.Issuer)
	if err != nil {
		return nil, discoveryError(err)
	}
	m := &metadata{endpoint: found.Endpoint()}
	if err := found.Claims(&m.doc); err != nil {
		return nil, errors.New("discovery document has members of the wrong kind")
	}
	insecure := strings.HasPrefix(p.Issuer, "http:")
	for name, address := range map[string]string{
		"authorization_endpoint": m.doc.Authorization, "token_endpoint": m.doc.Token, "jwks_uri": m.doc.Keys,
		"end_session_endpoint": m.doc.EndSession, "revocation_endpoint": m.doc.Revocation,
	} {
		optional := name == "end_session_endpoint" || name == "revocation_endpoint"
		if address == "" && optional {
			continue
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !insecure) {
			return nil, fmt.Errorf("discovery document: %s is no https URL", name)
		}
	}
	m.endpoint.AuthStyle = p.authStyle(m.doc.TokenAuth)
	m.verifier = found.VerifierContext(p.context(context.WithoutCancel(ctx)), &oidc.Config{
		ClientID:             p.ClientID,
		SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256, oidc.EdDSA},
	})
	return m, nil
}

// discoveryError drops the response body that go-oidc puts into errors.
func discoveryError(err error) error {
	var mismatch *oidc.IssuerMismatchError
	var network *url.Error
	switch {
	case errors.As(err, &mismatch):
		return errors.New("discovery document is another issuer's")
	case errors.As(err, &network):
		return fmt.Errorf("fetch discovery document: %w", network.Err)
	}
	return errors.New("fetch discovery document: not the answer of an issuer")
}

// authStyle chooses how we prove who we are. It is never left to trial: a
// second try would use the code up.
func (p *provider) authStyle(supported []string) oauth2.AuthStyle {
	// Absent means client_secret_basic (Discovery §3).
	if p.ClientSecret != "" && (len(supported) == 0 || slices.Contains(supported, "client_secret_basic")) {
		return oauth2.AuthStyleInHeader
	}
	return oauth2.AuthStyleInParams
}

// oauth returns our registration, for requests from one site.
func (p *provider) oauth(m *metadata, redirect string) *oauth2.Config {
	scopes := p.Scopes
	if !slices.Contains(scopes, oidc.ScopeOpenID) {
		scopes = append([]string{oidc.ScopeOpenID}, scopes...)
	}
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret.Reveal(),
		Endpoint: m.endpoint, RedirectURL: redirect, Scopes: scopes,
	}
}

// tokenError tells an issuer's refusal from trouble on the way. The answer of
// a token endpoint never gets into an error.
func tokenError(err error) (code string, cause error) {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		status := 0
		if refused.Response != nil {
			status = refused.Response.StatusCode
		}
		if status >= 400 && status < 500 && status != http.StatusTooManyRequests && refused.ErrorCode != "" {
			return refused.ErrorCode, fmt.Errorf("token endpoint answered %d %s", status, word(refused.ErrorCode))
		}
		return "", fmt.Errorf("%w: token endpoint answered %d", ErrIssuerDown, status)
	}
	var network *url.Error
	if errors.As(err, &network) {
		return "", fmt.Errorf("%w: %w", ErrIssuerDown, network.Err)
	}
	return "", fmt.Errorf("%w: token endpoint's answer cannot be read", ErrIssuerDown)
}
