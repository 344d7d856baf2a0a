package login

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/inproc"
	"gatehouse/session"
)

// Paths of ours on every site.
const (
	// CallbackPath is where issuers send browsers back to.
	CallbackPath = "/oauth2/idpresponse"
	// SignInPath begins a sign-in; ?provider=NAME chooses where.
	SignInPath = "/_gatehouse/sign-in"
	// SignedOutPath is where issuers send browsers after signing out.
	SignedOutPath = "/_gatehouse/sign-out"
	// MePath shows who one is signed in as: the one page of ours that a sign-in
	// may lead to.
	MePath = "/_gatehouse/me"

	ownPrefix = "/_gatehouse/"
)

const (
	callTimeout = 10 * time.Second // one step at an issuer
	// remembered is how long requests with an old cookie get the session that
	// replaced it.
	remembered = 5 * time.Minute
	// outlive is how long a session outlives its access token while the issuer
	// is down.
	outlive = 5 * time.Minute
	// early is how long before its end an access token is renewed.
	early = 10 * time.Second
	// pause is how long a session whose refresh failed is not tried again, and
	// no session of an issuer that is down, unless it cannot live on without.
	pause = 5 * time.Second
)

// Parts are what a Login works with besides its configuration.
type Parts struct {
	Cookies *session.Cookies
	Feed    *session.Feed
	// ClientFor returns the client that reaches an issuer. It is bounded here
	// to ten seconds, one MiB and no redirects.
	ClientFor func(issuer string) *http.Client
	// Claims names the ID token claims that rules and headers read. Nil keeps
	// all but those that only the protocol needs: simpler, but cookies grow.
	Claims []string
	// KeepAccessToken keeps the access token in the session, for upstreams
	// that are to get it. It costs a kilobyte of cookie.
	KeepAccessToken bool
	// Log may be nil.
	Log *slog.Logger
}

// Login signs people in, renews their sessions and signs them out. It is safe
// for concurrent use.
type Login struct {
	has       Parts
	providers map[string]*provider
	standard  *provider
	attempts  *session.Box
	log       *slog.Logger

	used    *memory[*flight[Result]]             // by attempt; nil: used, and done with
	newest  *memory[*session.Session]            // by session id
	tired   *memory[struct{}]                    // session ids whose refresh just failed
	mu      sync.Mutex                           // guards flights
	flights map[string]*flight[*session.Session] // refreshes under way, by session id
}

// flight is something that is done once for all who ask at the same time.
type flight[T any] struct {
	done  chan struct{} // closed when value and err are set
	value T
	err   error
}

// New compiles cfg. It calls no issuer: see Run.
func New(cfg Config, p Parts) (*Login, error) {
	if p.Cookies == nil || p.Feed == nil || p.ClientFor == nil {
		return nil, errors.New("new login: a part is missing")
	}
	box, err := p.Cookies.Box("login attempt", attemptSize, attemptKept)
	if err != nil {
		return nil, fmt.Errorf("new login: %w", err)
	}
	l := &Login{
		has: p, attempts: box, log: p.Log,
		used: newMemory[*flight[Result]](usedKept), newest: newMemory[*session.Session](remembered), tired: newMemory[struct{}](pause),
		providers: map[string]*provider{}, flights: map[string]*flight[*session.Session]{},
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	for name, c := range cfg.Providers {
		l.providers[name] = newProvider(name, c, inproc.Bounded(p.ClientFor(c.Issuer)), l.log)
	}
	l.standard = l.providers[cfg.Default]
	if cfg.Default == "" && len(l.providers) == 1 {
		for _, only := range l.providers {
			l.standard = only
		}
	}
	if l.standard == nil {
		return nil, errors.New("new login: no default provider")
	}
	return l, nil
}

// Names returns the names of the providers in alphabetical order.
func (l *Login) Names() []string { return slices.Sorted(maps.Keys(l.providers)) }

// Run probes every issuer now and then every 30 s, more often after a failure,
// until ctx ends.
func (l *Login) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, p := range l.providers {
		group.Go(func() { p.run(ctx) })
	}
	group.Wait()
}

// Healthy tells whether the last probe of the default issuer succeeded.
func (l *Login) Healthy() bool { return l.standard.healthy() }

// pick returns the provider a request asks for by name on our own sign-in
// page, else the default one.
func (l *Login) pick(r *http.Request) *provider {
	if r.URL.Path == SignInPath {
		if p := l.providers[r.URL.Query().Get("provider")]; p != nil {
			return p
		}
	}
	return l.standard
}
