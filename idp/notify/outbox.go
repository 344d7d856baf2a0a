package notify

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/keyring"
)

var (
	// ErrNoChannel means that nothing is configured that reaches people this
	// way, so that the message was not taken.
	ErrNoChannel = errors.New("no way to send this message is configured")
	// ErrEmpty means that no message is due.
	ErrEmpty = errors.New("no message is due")
)

// sealPurpose and the names of table and column bind a sealed message to its
// place.
const (
	sealPurpose = "message"
	sealTable   = "outbox"
	sealColumn  = "sealed"
)

// Row is a message in the store. What it says, and to whom, is sealed.
type Row struct {
	// ID names the message: 26 characters, made at random.
	ID      string
	Kind    Kind
	Channel Channel
	// UserID is whom it is about; "" for nobody yet.
	UserID string
	Sealed []byte
	// Created is when it was enqueued, Due when it may be claimed, Expires when
	// it has become worthless.
	Created, Due, Expires time.Time
	// Tries is how often it was claimed. It tells claims apart.
	Tries int64
}

// Waiting is what waits on a channel.
type Waiting struct {
	Messages int64
	// Due is when the first may be claimed; zero when nothing waits.
	Due time.Time
}

// Rows keeps the outbox. It is implemented by idp/store and safe for concurrent
// use, by several processes too.
type Rows interface {
	// Insert adds a row, in the transaction of ctx if there is one.
	Insert(ctx context.Context, r Row) error
	// Claim returns the row of a channel that has been due longest at now and
	// has not expired, and makes it due again at until; ErrEmpty if there is
	// none. Of callers at once one gets it, the others get another or ErrEmpty.
	Claim(ctx context.Context, c Channel, now, until time.Time) (Row, error)
	// Postpone makes a claimed row due at another time, unless it was claimed
	// again or deleted since; tries is that of the claim.
	Postpone(ctx context.Context, id string, tries int64, due time.Time) error
	// Delete removes a row and reports whether it was there.
	Delete(ctx context.Context, id string) (bool, error)
	// Expire removes what has expired at now and returns it.
	Expire(ctx context.Context, now time.Time) ([]Row, error)
	// Waiting tells what waits on a channel and has not expired at now.
	Waiting(ctx context.Context, c Channel, now time.Time) (Waiting, error)
}

// Sender delivers letters over one channel. It is safe for concurrent use.
type Sender interface {
	// Send delivers a letter, once, and returns what the other side answered,
	// for the operator's eyes: it may name the recipient. It ends soon after ctx
	// does. The error is a *DeliveryError.
	Send(ctx context.Context, l Letter) (answer string, err error)
	// Rest ends connections that are kept for the next letter.
	Rest()
}

// Parts are what an outbox is made of.
type Parts struct {
	Rows    Rows
	Sealer  *keyring.Sealer
	Journal audit.Journal
	// Senders deliver; a channel without one takes no messages.
	Senders map[Channel]Sender
	// Templates are the texts; mandatory for Run.
	Templates *Templates
	// Changed returns a channel that is closed when this process next commits a
	// change; nil polls only.
	Changed func() <-chan struct{}
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Log gets what failed; nil discards it.
	Log *slog.Logger
}

// Outbox takes messages and delivers them. It is safe for concurrent use.
type Outbox struct {
	parts  Parts
	counts map[Channel]*counts
}

type counts struct {
	sent, postponed, failed atomic.Uint64
	waiting                 atomic.Int64
}

// New returns an outbox; it starts nothing.
func New(p Parts) *Outbox {
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	o := &Outbox{parts: p, counts: map[Channel]*counts{}}
	for _, c := range Channels() {
		o.counts[c] = &counts{}
	}
	return o
}

// Has tells whether messages can be sent over a channel.
func (o *Outbox) Has(c Channel) bool { return o.parts.Senders[c] != nil }

// Enqueue takes a message, in the transaction of ctx if there is one: it is sent
// when that commits, and otherwise never was. ErrNoChannel, ErrInvalid. It does
// not wait for any server.
func (o *Outbox) Enqueue(ctx context.Context, m Message) error {
	if err := m.Check(); err != nil {
		return fmt.Errorf("enqueue message: %w", err)
	}
	if !o.Has(m.Channel) {
		return fmt.Errorf("enqueue message %s by %s: %w", m.Kind, m.Channel, ErrNoChannel)
	}
	now := o.parts.Now()
	r := Row{ID: rand.Text(), Kind: m.Kind, Channel: m.Channel, UserID: m.UserID, Created: now, Due: now, Expires: m.Expires}
	if latest := now.Add(MaxWait); r.Expires.IsZero() || r.Expires.After(latest) {
		r.Expires = latest
	}
	var err error
	if r.Sealed, err = o.seal(m, r.ID); err != nil {
		return fmt.Errorf("enqueue message %s: %w", m.Kind, err)
	}
	err = o.parts.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := o.parts.Rows.Insert(ctx, r); err != nil {
			return err
		}
		// The event also wakes Run, once it is committed.
		return o.parts.Journal.Append(ctx, r.event("message.queued"))
	})
	if err != nil {
		return fmt.Errorf("enqueue message %s: %w", m.Kind, err)
	}
	return nil
}

// event is what happened to the row; the actor is filled in from the context.
func (r Row) event(what string) audit.Event {
	return audit.Event{Type: what, Target: r.UserID, Detail: map[string]string{
		"message": r.ID, "kind": string(r.Kind), "channel": string(r.Channel),
	}}
}

func (o *Outbox) seal(m Message, id string) ([]byte, error) {
	plain, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return o.parts.Sealer.Seal(plain, sealPurpose, sealTable, sealColumn, id)
}

func (o *Outbox) open(r Row) (Message, error) {
	plain, err := o.parts.Sealer.Open(r.Sealed, sealPurpose, sealTable, sealColumn, r.ID)
	if err != nil {
		return Message{}, err
	}
	var m Message
	if err := json.Unmarshal(plain, &m); err != nil {
		return Message{}, err
	}
	// The columns in clear decide where it goes; they must be those it was
	// sealed with.
	if m.Kind != r.Kind || m.Channel != r.Channel {
		return Message{}, fmt.Errorf("%w: it was changed", ErrInvalid)
	}
	return m, m.Check()
}

// Stats are the figures of one channel since the process began.
type Stats struct {
	// Sent were delivered, Postponed are tries that failed and are repeated,
	// Failed were given up.
	Sent, Postponed, Failed uint64
	// Waiting are in the outbox now, as last looked at.
	Waiting uint64
}

// Stats returns the figures of the channels that have a sender.
func (o *Outbox) Stats() map[Channel]Stats {
	all := map[Channel]Stats{}
	for c, n := range o.counts {
		if o.Has(c) {
			all[c] = Stats{n.sent.Load(), n.postponed.Load(), n.failed.Load(), uint64(max(0, n.waiting.Load()))}
		}
	}
	return all
}
