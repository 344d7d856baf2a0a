package principal

import (
	"encoding/json"
	"sync/atomic"
	"time"
	"unsafe"

	"gatehouse/policy"
	"gatehouse/proxy/identity"
	"gatehouse/session"
)

const (
	// decisionTTL is how long a decision is remembered. What it depends on is
	// bound to the entry or part of its name; this bounds what a mistake in that
	// would cost.
	decisionTTL = 5 * time.Second
	// clockStep is how far the clock may be set back before what was verified in
	// what is now the future is verified again.
	clockStep = time.Second

	decisionSlots = 8
	headerSlots   = 2

	// rewriteApart is the least time between two new cookies for one old one.
	rewriteApart = 15 * time.Second

	// maxCost is the most that an entry may take to be kept; a shard holds four.
	maxCost = 64 << 10
)

// Entry is one remembered credential. Its exported fields never change. It is
// safe for concurrent use.
type Entry struct {
	// Identity is who the credential speaks for.
	Identity *session.Identity
	// Session is the session of a cookie; nil for a bearer.
	Session *session.Session

	key         Key
	cache       *Cache
	kind        Kind
	from, until int64 // Unix nanoseconds
	keys        uint64
	revocations atomic.Uint64
	used        atomic.Bool
	rewritten   atomic.Int64 // Unix nanoseconds

	decisions [decisionSlots]atomic.Pointer[decision]
	headers   [headerSlots]atomic.Pointer[identity.Told]
	turn      atomic.Uint32 // whose turn it is among headers

	// The shard's lock guards these.
	cost int64
	at   int // in the ring
	kept bool
}

// decision is what a policy said about a route.
type decision struct {
	epoch uint64
	route int
	at    int64 // Unix nanoseconds
	policy.Decision
}

func newEntry(k Key, at Moment, id *session.Identity, s *session.Session) *Entry {
	now := at.Now.UnixNano()
	e := &Entry{
		Identity: id, Session: s, key: k, keys: at.Keys,
		from: now - int64(clockStep), until: min(now+int64(Life), id.Expires.UnixNano()),
		cost: int64(unsafe.Sizeof(Entry{})) + overhead + sizeOf(id, s),
	}
	e.revocations.Store(at.Revocations)
	return e
}

// Who returns the identity; nil for a nil Entry.
func (e *Entry) Who() *session.Identity {
	if e == nil {
		return nil
	}
	return e.Identity
}

// Rewrite tells whether the browser of a cookie whose rewriting is due should get
// a new one with this answer: once in 15 seconds, not with each that is on its
// way meanwhile. A nil Entry does not know, so it says yes.
func (e *Entry) Rewrite(now time.Time) bool {
	if e == nil {
		return true
	}
	last := e.rewritten.Load()
	return now.UnixNano()-last >= int64(rewriteApart) && e.rewritten.CompareAndSwap(last, now.UnixNano())
}

// Decision returns what was decided about a route less than 5 s before now, in
// the epoch of a policy; nil for nothing.
func (e *Entry) Decision(epoch uint64, route int, now time.Time) *policy.Decision {
	if e == nil {
		return nil
	}
	d := e.decisions[uint(route)%decisionSlots].Load()
	if d == nil || d.epoch != epoch || d.route != route {
		return nil
	}
	if age := now.UnixNano() - d.at; age >= int64(decisionTTL) || age <= -int64(decisionTTL) {
		return nil
	}
	return &d.Decision
}

// Decided remembers a decision about a route that depends on the identity, the
// route and the epoch, and on nothing else. It takes the place of that about
// another route, now and then. What could not be decided is not remembered.
func (e *Entry) Decided(epoch uint64, route int, now time.Time, d policy.Decision) {
	if e == nil || d.Err != nil || d.Reason == policy.OPAError {
		return
	}
	slot := &e.decisions[uint(route)%decisionSlots]
	if slot.Swap(&decision{epoch, route, now.UnixNano(), d}) == nil {
		e.charge(int64(unsafe.Sizeof(decision{})))
	}
}

// Headers returns the identity headers that plan makes for the identity: those
// that are remembered and good at this time, or new ones, remembered from then
// on. The error is that of identity.Plan.Tell. Entries that are nil have none:
// ask the plan.
func (e *Entry) Headers(plan *identity.Plan, now time.Time) (*identity.Told, error) {
	for i := range e.headers {
		if t := e.headers[i].Load(); t != nil && t.Of(plan) && t.Good(now) {
			return t, nil
		}
	}
	t, err := plan.Tell(e.Identity, now)
	if err != nil {
		return nil, err
	}
	e.remember(t, plan)
	return t, nil
}

// remember puts t in the place of older headers of its plan, or of another's.
func (e *Entry) remember(t *identity.Told, plan *identity.Plan) {
	slot := int(e.turn.Add(1)) % headerSlots
	for i := range e.headers {
		if old := e.headers[i].Load(); old == nil || old.Of(plan) {
			slot = i
			break
		}
	}
	old := e.headers[slot].Swap(t)
	e.charge(t.Size() - old.Size())
}

func (e *Entry) charge(n int64) {
	if e.cache != nil {
		e.cache.shard(e.key).charge(e, n, e.cache.max)
	}
}

// overhead is what an entry takes in map and ring, about.
const overhead = 2 * int64(unsafe.Sizeof(Key{})+unsafe.Sizeof(uintptr(0)))

// sizeOf estimates what identity and session take in memory.
func sizeOf(id *session.Identity, s *session.Session) int64 {
	n := int64(unsafe.Sizeof(*id)) + textsSize(id.Groups) + textsSize(id.Scopes) + textsSize(id.AMR)
	for _, text := range []string{
		id.Issuer, id.Subject, id.Username, id.Email, id.Name, id.ClientID, id.ACR,
		id.SID, id.IssuerSID, id.JTI, id.OriginJTI, id.AccessToken,
	} {
		n += textSize(text)
	}
	n += valueSize(id.Claims)
	if s != nil { // its other texts are the identity's
		n += int64(unsafe.Sizeof(*s)) + textSize(s.Host) + textSize(s.Provider) + textSize(s.RefreshToken) + textSize(s.IDToken)
	}
	return n
}

// textSize is the size of a text's bytes, rounded up as the allocator does.
func textSize(s string) int64 { return int64(len(s)+15) &^ 15 }

func textsSize(list []string) int64 {
	n := int64(len(list)) * int64(unsafe.Sizeof(""))
	for _, s := range list {
		n += textSize(s)
	}
	return n
}

// boxSize is what a value takes as an interface, besides its bytes.
const boxSize = int64(unsafe.Sizeof(""))

func valueSize(v any) int64 {
	switch v := v.(type) {
	case string:
		return boxSize + textSize(v)
	case json.Number:
		return boxSize + textSize(string(v))
	case []any:
		n := boxSize + int64(unsafe.Sizeof(v))
		for _, item := range v {
			n += valueSize(item)
		}
		return n
	case map[string]any:
		// A map has a head, and groups of eight places that are seven eighths full at
		// most.
		const head, group = 48, 8 + 8*4*int64(unsafe.Sizeof(uintptr(0)))
		n := head + group*int64((len(v)+6)/7)
		for name, item := range v {
			n += textSize(name) + valueSize(item)
		}
		return n
	}
	return boxSize
}
