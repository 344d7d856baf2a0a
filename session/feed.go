package session

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// pollEvery is how often the journal is read: other processes write it too.
	pollEvery = 500 * time.Millisecond
	// staleAfter is how long the journal may be unreadable before nobody who
	// shows a credential can be believed any more.
	staleAfter = 30 * time.Second
)

// Feed knows what has been revoked. Looking an identity up reads one immutable
// snapshot and locks nothing. It is safe for concurrent use.
type Feed struct {
	journal Journal
	log     *slog.Logger
	boot    string
	wake    chan struct{}

	mu     sync.Mutex // held while the journal is read and the snapshot replaced
	seq    int64
	now    atomic.Pointer[snapshot]
	polled atomic.Int64 // Unix nanoseconds of the start of the last good read
}

// handle is one thing that can be revoked.
type handle struct {
	kind   RevocationKind
	issuer string
	value  string
}

// mark says until when what carries a handle is dead, and how long that
// matters. An ended handle is dead whenever it was issued.
type mark struct {
	notBefore time.Time
	expires   time.Time
	ended     bool
}

// snapshot is one generation. Most revocations stand in old, which generations
// share; recent is small and copied with each change.
type snapshot struct {
	old, recent map[handle]mark
	generation  uint64
	changed     chan struct{} // closed when the next generation is there
}

// maxRecent is how large recent may grow before it is merged into old.
const maxRecent = 256

// NewFeed reads journal and returns a feed that knows all of it. A nil journal
// means that there is no durable one: revocations then live in memory, and
// Boot returns an id that must be sealed into cookies. log may be nil.
func NewFeed(ctx context.Context, journal Journal, log *slog.Logger) (*Feed, error) {
	f := &Feed{journal: journal, log: log, wake: make(chan struct{}, 1)}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.journal == nil {
		f.journal, f.boot = &memoryJournal{}, rand.Text()
	}
	f.now.Store(&snapshot{changed: make(chan struct{})})
	if err := f.poll(ctx); err != nil {
		return nil, fmt.Errorf("read revocations: %w", err)
	}
	return f, nil
}

// Boot returns "" when revocations survive a restart, else an id of this run
// of the process, for Options.Boot.
func (f *Feed) Boot() string { return f.boot }

// Revoked tells whether any handle of the identity has been revoked. Nobody
// (nil) has nothing to revoke. The cost is a few map look-ups, no allocation.
func (f *Feed) Revoked(id *Identity) bool {
	if id == nil {
		return false
	}
	s := f.now.Load()
	if len(s.old) == 0 && len(s.recent) == 0 {
		return false
	}
	return s.dead(RevokeSID, "", id.SID, id) ||
		s.dead(RevokeIssuerSID, id.Issuer, id.IssuerSID, id) ||
		s.dead(RevokeSubject, id.Issuer, id.Subject, id) ||
		s.dead(RevokeClient, id.Issuer, id.ClientID, id) ||
		s.dead(RevokeOriginJTI, id.Issuer, id.OriginJTI, id) ||
		s.dead(RevokeJTI, id.Issuer, id.JTI, id)
}

func (s *snapshot) dead(kind RevocationKind, issuer, value string, id *Identity) bool {
	if value == "" {
		return false
	}
	h := handle{kind, issuer, value}
	return s.old[h].covers(id) || s.recent[h].covers(id)
}

// covers tells whether an identity was issued at or before the mark. A token's
// IssuedAt is cut to whole seconds (RFC 7519 §2), so one issued within the
// second of the revocation is refused: doubt is a refusal.
func (m mark) covers(id *Identity) bool {
	if m.ended {
		return true
	}
	return !m.notBefore.IsZero() && !id.IssuedAt.After(m.notBefore)
}

// ErrRevocation means that a revocation names nothing, or not for how long.
var ErrRevocation = errors.New("incomplete revocation")

// Revoke makes revocations durable and then known here, in that order: when it
// returns nil, Revoked says true at once, and after a restart too. When it
// returns an error nothing may be told to be revoked.
func (f *Feed) Revoke(ctx context.Context, rs ...Revocation) error {
	for _, r := range rs {
		if err := r.check(); err != nil {
			return err
		}
	}
	if err := f.journal.Append(ctx, rs...); err != nil {
		return fmt.Errorf("record revocation: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// They are durable; they count here even if reading them back fails. The
	// next read finds them again, which changes nothing.
	f.apply(rs)
	return nil
}

// check refuses what would revoke nothing.
func (r Revocation) check() error {
	switch r.Kind {
	case RevokeSID, RevokeIssuerSID, RevokeOriginJTI, RevokeJTI:
	case RevokeSubject, RevokeClient:
		if r.NotBefore.IsZero() {
			return fmt.Errorf("revoke %s: %w: no not-before", r.Kind, ErrRevocation)
		}
	default:
		return fmt.Errorf("revoke: %w: unknown kind", ErrRevocation)
	}
	if r.Value == "" || r.Expires.IsZero() || r.Issuer == "" && r.Kind != RevokeSID {
		return fmt.Errorf("revoke %s: %w", r.Kind, ErrRevocation)
	}
	return nil
}

// Run reads the journal every 500 ms, and when woken, until ctx ends.
func (f *Feed) Run(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-f.wake:
		}
		err := f.poll(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			f.log.ErrorContext(ctx, "revocations cannot be read; sessions and tokens stop being believed in 30 s", "error", err)
		case err == nil && failing:
			f.log.InfoContext(ctx, "revocations can be read again")
		}
		failing = err != nil
	}
}

// Wake makes Run read the journal now: whoever wrote to it in this process
// need not wait half a second to be heard.
func (f *Feed) Wake() {
	select {
	case f.wake <- struct{}{}:
	default: // a read is due anyway
	}
}

// Fresh tells whether revocations are known up to 30 s before now. When it is
// false nobody who shows a credential can be believed.
func (f *Feed) Fresh(now time.Time) bool {
	return now.UnixNano()-f.polled.Load() <= int64(staleAfter)
}

// Changed returns a channel that is closed at the next change.
func (f *Feed) Changed() <-chan struct{} { return f.now.Load().changed }

// Generation counts changes. What was computed from an older generation is to
// be computed again.
func (f *Feed) Generation() uint64 { return f.now.Load().generation }

// poll reads what is new in the journal.
func (f *Feed) poll(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	start := time.Now()
	rs, seq, err := f.journal.Since(ctx, f.seq)
	if err != nil {
		return err
	}
	f.apply(rs)
	f.seq = max(f.seq, seq)
	f.polled.Store(start.UnixNano())
	return nil
}

// apply makes a new generation that knows rs as well; mu is held.
func (f *Feed) apply(rs []Revocation) {
	if len(rs) == 0 {
		return
	}
	was := f.now.Load()
	next := &snapshot{old: was.old, recent: maps.Clone(was.recent), generation: was.generation + 1, changed: make(chan struct{})}
	if next.recent == nil {
		next.recent = map[handle]mark{}
	}
	added := false
	for _, r := range rs {
		h := handle{r.Kind, r.Issuer, r.Value}
		m := was.old[h].or(next.recent[h]).or(r.mark())
		if next.recent[h] != m && was.old[h] != m {
			next.recent[h], added = m, true
		}
	}
	if !added {
		return
	}
	if len(next.recent) > maxRecent && len(next.recent) > len(next.old)/8 {
		next.merge(time.Now())
	}
	f.now.Store(next)
	close(was.changed)
}

// mark returns what the snapshot remembers of r.
func (r Revocation) mark() mark {
	ended := r.Kind != RevokeSubject && r.Kind != RevokeClient
	// Round and UTC make equal instants equal values.
	m := mark{expires: r.Expires.Round(0).UTC(), ended: ended}
	if !ended {
		m.notBefore = r.NotBefore.Round(0).UTC()
	}
	return m
}

// or returns the mark that covers what either covers.
func (m mark) or(n mark) mark {
	if n.notBefore.After(m.notBefore) {
		m.notBefore = n.notBefore
	}
	if n.expires.After(m.expires) {
		m.expires = n.expires
	}
	m.ended = m.ended || n.ended
	return m
}

// merge moves recent into a new old and forgets what has expired.
func (s *snapshot) merge(now time.Time) {
	all := make(map[handle]mark, len(s.old)+len(s.recent))
	for _, part := range []map[handle]mark{s.old, s.recent} {
		for h, m := range part {
			if m.expires.After(now) {
				all[h] = m
			}
		}
	}
	s.old, s.recent = all, map[handle]mark{}
}

// memoryJournal is the journal of a process that has none on disk.
type memoryJournal struct {
	mu        sync.Mutex
	all       []Revocation
	seq       int64
	compactAt int // drop what has expired at this length
}

// Append implements Journal.
func (m *memoryJournal) Append(_ context.Context, rs ...Revocation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.all) >= m.compactAt {
		now := time.Now()
		m.all = slices.DeleteFunc(slices.Clone(m.all), func(r Revocation) bool { return !r.Expires.After(now) })
		m.compactAt = max(2*len(m.all), maxRecent)
	}
	for _, r := range rs {
		m.seq++
		r.Seq = m.seq
		m.all = append(m.all, r)
	}
	return nil
}

// Since implements Journal.
func (m *memoryJournal) Since(_ context.Context, seq int64) ([]Revocation, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(after(m.all, seq)), m.seq, nil
}

// after returns the revocations with a number above seq; all are in order.
func after(all []Revocation, seq int64) []Revocation {
	at, _ := slices.BinarySearchFunc(all, seq+1, func(r Revocation, n int64) int { return cmp.Compare(r.Seq, n) })
	return all[at:]
}
