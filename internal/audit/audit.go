package audit

import (
	"context"
	"time"
)

// Event is one thing that happened. It is never changed or deleted.
type Event struct {
	// Seq orders events: from 1, without gaps, assigned when appended.
	Seq int64
	// At is when it happened; the journal fills in now when zero.
	At time.Time
	// Type is what happened: the noun and a past participle with a dot between,
	// such as "user.disabled".
	Type string
	// Actor is who did it: a username, "client:ID", "os:NAME" for the command
	// line. Empty is filled in from the context, see [WithActor].
	Actor string
	// ActorIP is the address the actor came from, "" if it had none.
	ActorIP string
	// Target is what it was done to: a user's id, a group's name, a key's id.
	Target string
	// Client is the app client concerned, "" if none.
	Client string
	// Detail has whatever else helps a reader. Never a secret, a token, a code
	// or a password.
	Detail map[string]string
	// Revoke are the credentials that end with this event.
	Revoke []Revoke
}

// The handles by which credentials are revoked; session.RevocationKind has the
// same words.
const (
	KindSID       = "sid"        // one session of a gateway
	KindIssuerSID = "issuer_sid" // one sign-in at the provider: the sid claim
	KindSubject   = "sub"        // all that was issued to a user until NotBefore
	KindClient    = "client"     // all that was issued to an app client until NotBefore
	KindOriginJTI = "origin_jti" // one refresh family and all its tokens
	KindJTI       = "jti"        // one token
)

// Revoke says that what carries Value under Kind is dead. Kinds sub and client
// end what was issued at or before NotBefore; the other kinds end for good.
type Revoke struct {
	// Seq orders revocations of one store: from 1, assigned when appended.
	Seq int64
	// Kind is one of the Kind constants.
	Kind string
	// Issuer namespaces Value; "" means the provider that owns the store.
	Issuer string
	Value  string
	// NotBefore counts for the kinds sub and client only; the journal fills in
	// the time of the event when zero.
	NotBefore time.Time
	// Expires is when every credential it could touch has ended by itself, so
	// that it may be forgotten. The journal fills in a safe time when zero.
	Expires time.Time
}

// Journal is where the domain packages record what they change. It is
// implemented by idp/store and safe for concurrent use.
type Journal interface {
	// InTx runs do in one transaction, which do's context carries: every call
	// of a store with that context is part of it. It commits when do returns
	// nil and rolls back otherwise. Inside another transaction it joins it.
	InTx(ctx context.Context, do func(ctx context.Context) error) error
	// Append records e in the transaction of ctx, or in one of its own.
	Append(ctx context.Context, e Event) error
}

// Actor is who acts, for the record only.
type Actor struct {
	Name string
	IP   string
}

type actorKey struct{}

// WithActor returns a context whose events are recorded as done by a.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf returns the actor of ctx; the zero Actor when nobody named one.
func ActorOf(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}
