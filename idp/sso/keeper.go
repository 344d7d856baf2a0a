package sso

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"gatehouse/internal/opaque"
)

// ticketLength is the length of a ticket: 256 bits in base64url without padding.
const ticketLength = 43

// touchEvery is how often at most the store is told that a session was seen.
const touchEvery = time.Minute

// maxUserAgent is how much of a User-Agent is kept, in bytes.
const maxUserAgent = 256

// Config says how long a session at the provider lasts.
type Config struct {
	// Idle ends a session this long after it was last used. Default 1h.
	Idle time.Duration `yaml:"idle"`
	// Lifetime ends a session this long after the sign-in. Default 12h.
	Lifetime time.Duration `yaml:"lifetime"`
}

// Defaults sets what absent keys mean.
func (c *Config) Defaults() { *c = Config{Idle: time.Hour, Lifetime: 12 * time.Hour} }

// Keeper finds, begins and ends the sessions of browsers. It is safe for
// concurrent use.
type Keeper struct {
	sessions Sessions
	cookie   Cookie
	cfg      Config
	now      func() time.Time
}

// New returns the keeper of an issuer's sessions. A nil now is time.Now.
func New(cfg Config, issuer *url.URL, sessions Sessions, now func() time.Time) *Keeper {
	if now == nil {
		now = time.Now
	}
	return &Keeper{sessions: sessions, cookie: NewCookie(issuer), cfg: cfg, now: now}
}

// Load returns the session of the browser that sent r, or ErrNotFound when it
// has none that is still good. The caller decides whether its user still is.
func (k *Keeper) Load(ctx context.Context, r *http.Request) (Session, error) {
	s, err := k.Find(ctx, r)
	if err != nil {
		return Session{}, err
	}
	now := k.now()
	if !now.Before(s.Expires) || now.Sub(s.Seen) >= k.cfg.Idle {
		return Session{}, ErrNotFound
	}
	if now.Sub(s.Seen) >= touchEvery {
		if err := k.sessions.Touch(ctx, s.ID, now); err != nil {
			// Ended between the two statements: ErrNotFound, as it should be.
			return Session{}, fmt.Errorf("touch provider session: %w", err)
		}
		s.Seen = now
	}
	return s, nil
}

// Find returns the session whose ticket the browser that sent r holds, whether
// or not it is still good, or ErrNotFound. It is for signing out: the sessions
// that it has opened in applications may have lived longer.
func (k *Keeper) Find(ctx context.Context, r *http.Request) (Session, error) {
	ticket := k.cookie.Read(r)
	if len(ticket) != ticketLength {
		return Session{}, ErrNotFound
	}
	s, err := k.sessions.FindByTicket(ctx, hash(ticket))
	if err != nil {
		return Session{}, fmt.Errorf("find provider session: %w", err)
	}
	return s, nil
}

// Start is what a new session is made of.
type Start struct {
	// UserID is the sub of the person who signed in.
	UserID string
	// AuthTime is when they proved who they are.
	AuthTime time.Time
	// AMR are the methods used (RFC 8176).
	AMR []string
	// Expires is when the session ends; zero is Lifetime from now. One that only
	// shows a second factor more must not last longer for it.
	Expires time.Time
	// IP and UserAgent are what the sign-in came from.
	IP, UserAgent string
	// Previous is the session the browser had until now; the zero Session for
	// none. The same person keeps its ID, so that signing out later ends what
	// both sign-ins have opened; its ticket dies in any case. It was found in
	// the same transaction, so that it has not been revoked: a revoked ID must
	// not come back. The session of another person must have been ended by the
	// caller.
	Previous Session
}

// Begin stores a new session and returns it with its ticket, which SetCookie
// hands to the browser. Call it inside the transaction of the sign-in.
func (k *Keeper) Begin(ctx context.Context, start Start) (Session, string, error) {
	now := k.now()
	ticket := opaque.New(32)
	s := Session{
		ID: opaque.New(16), TicketHash: hash(ticket), UserID: start.UserID, AuthTime: start.AuthTime,
		Created: now, Seen: now, Expires: now.Add(k.cfg.Lifetime), AMR: start.AMR, IP: start.IP,
		UserAgent: start.UserAgent[:min(len(start.UserAgent), maxUserAgent)],
	}
	if !start.Expires.IsZero() {
		s.Expires = start.Expires
	}
	if start.Previous.ID != "" {
		if err := k.sessions.Delete(ctx, start.Previous.ID); err != nil {
			return Session{}, "", fmt.Errorf("replace provider session: %w", err)
		}
		if start.Previous.UserID == start.UserID {
			s.ID = start.Previous.ID
		}
	}
	if err := k.sessions.Insert(ctx, s); err != nil {
		return Session{}, "", fmt.Errorf("begin provider session: %w", err)
	}
	return s, ticket, nil
}

// Ticket returns what the browser that sent r holds as its ticket, good or not;
// "" for nothing. Form tokens are bound to it.
func (k *Keeper) Ticket(r *http.Request) string { return k.cookie.Read(r) }

// SetCookie hands a ticket to the browser.
func (k *Keeper) SetCookie(w http.ResponseWriter, ticket string) { k.cookie.Set(w, ticket) }

// ClearCookie takes the ticket from the browser.
func (k *Keeper) ClearCookie(w http.ResponseWriter) { k.cookie.Clear(w) }

// IsNone tells whether err says that there is no session, rather than that
// nobody could look.
func IsNone(err error) bool { return errors.Is(err, ErrNotFound) }

func hash(ticket string) []byte {
	sum := sha256.Sum256([]byte(ticket))
	return sum[:]
}
