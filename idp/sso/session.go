package sso

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound is returned when there is no such session, or no longer.
var ErrNotFound = errors.New("provider session not found")

// Session is one sign-in at the provider: what makes the second application of
// a browser silent. The browser holds a ticket, the store only its hash.
type Session struct {
	// ID is the sid claim of every ID token of this session; public.
	ID string
	// TicketHash is the SHA-256 of the 256-bit ticket in the cookie.
	TicketHash []byte
	// UserID is the sub of the person.
	UserID string
	// AuthTime is when the person last proved who they are.
	AuthTime time.Time
	// Created, Seen and Expires bound the session: Expires is its absolute end;
	// the idle time is counted from Seen by whoever finds it.
	Created, Seen, Expires time.Time
	// AMR are the methods of authentication (RFC 8176), in the order used.
	AMR []string
	// IP and UserAgent are what the sign-in came from, for the person to read.
	IP, UserAgent string
}

// Sessions keeps provider sessions. All methods are safe for concurrent use and
// take part in the transaction of their context.
type Sessions interface {
	// Insert adds a session.
	Insert(ctx context.Context, s Session) error
	// FindByTicket returns the session with that ticket hash, expired or not,
	// or ErrNotFound. A session whose ID has been revoked counts as none.
	FindByTicket(ctx context.Context, ticketHash []byte) (Session, error)
	// OfUser returns the sessions of a user, expired or not, the newest first;
	// those whose ID has been revoked are none.
	OfUser(ctx context.Context, userID string) ([]Session, error)
	// Touch moves Seen forward; never back. ErrNotFound if the session ended.
	Touch(ctx context.Context, id string, seen time.Time) error
	// Delete removes a session that another one takes the place of; removing one
	// that is gone is no error. It records nothing and ends nothing that was
	// issued: token.Mint.EndSession does.
	Delete(ctx context.Context, id string) error
	// DeleteForUser ends every session of a user.
	DeleteForUser(ctx context.Context, userID string) error
}
