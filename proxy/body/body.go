package body

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"gatehouse/policy"
)

// Limits bound what bodies may cost. Zero fields mean the defaults.
type Limits struct {
	// Time is how long a client may take to send what is read. Default 10s.
	Time time.Duration
	// Bytes is how much memory all bodies may take that are held at once, with
	// what they were parsed into. Default 64 MiB. One person may hold a sixteenth
	// of it, or one body.
	Bytes int64
}

// Errors of Read, besides those of the connection.
var (
	// ErrSlow: the client did not send the body in time.
	ErrSlow = errors.New("the body did not come in time")
	// ErrBusy: the memory for bodies is in use.
	ErrBusy = errors.New("too many bodies are held at once")
)

// Reader reads bodies. It is safe for concurrent use. Several gates share one,
// or each has its own memory.
type Reader struct {
	time time.Duration
	room *room
}

// New returns a Reader.
func New(l Limits) *Reader {
	if l.Time == 0 {
		l.Time = 10 * time.Second
	}
	if l.Bytes == 0 {
		l.Bytes = 64 << 20
	}
	return &Reader{time: l.Time, room: newRoom(l.Bytes)}
}

// Taken is a body of which as much has been read as rules may see. The nil Taken
// is a body that nobody asked for.
type Taken struct {
	seen policy.Body
	head []byte
	rest io.ReadCloser
	// whole is true once the body has been read to its end.
	whole bool
	lease lease
}

// Of returns a body that was read elsewhere, to be judged and not passed on.
func Of(seen policy.Body) *Taken {
	return &Taken{seen: seen, rest: http.NoBody, whole: true}
}

// Read reads the body of r, at most limit bytes and one more, and parses it. who
// is whose body it is, for their share of the memory. pace is where the connection gets its deadline while that lasts; nil for a
// request without one. The error is ErrSlow, ErrBusy, or that of reading; after
// ErrSlow the connection can no longer be read. Release must be called on what
// comes back.
func (rd *Reader) Read(r *http.Request, who string, limit int, pace *http.ResponseController) (*Taken, error) {
	t := &Taken{rest: r.Body, lease: lease{room: rd.room, who: who}}
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		t.rest, t.whole, t.seen.State = http.NoBody, true, policy.BodyNone
		return t, nil
	}
	if err := rd.fill(t, limit, pace); err != nil {
		t.Release()
		return nil, err
	}
	switch {
	case len(t.head) > limit:
		t.seen.State = policy.BodyCut
	case len(t.head) == 0:
		t.seen.State = policy.BodyNone
	case !announced(r.Header):
		t.seen.State = policy.BodyBroken
	default:
		if err := t.parse(); err != nil {
			t.Release()
			return nil, err
		}
	}
	return t, nil
}

// fill reads to the end of the body, or one byte more than limit.
func (rd *Reader) fill(t *Taken, limit int, pace *http.ResponseController) error {
	// What has no deadlines, as a recorder in a test, has no connection.
	deadline := func(at time.Time) {
		if pace != nil {
			_ = pace.SetReadDeadline(at)
		}
	}
	end := time.Now().Add(rd.time)
	deadline(end)
	for len(t.head) <= limit && !t.whole {
		if err := t.grow(limit + 1); err != nil {
			return err
		}
		n, err := t.rest.Read(t.head[len(t.head):cap(t.head)])
		t.head = t.head[:len(t.head)+n]
		switch {
		case err == io.EOF:
			t.whole = true
		case errors.Is(err, os.ErrDeadlineExceeded), err == nil && time.Now().After(end):
			// The deadline stays: what still comes is not waited for.
			return ErrSlow
		case err != nil:
			return err
		}
	}
	// What is left of the body may take its time, and so may the answer.
	deadline(time.Time{})
	return nil
}

// grow makes room for one byte at least, and for most at most.
func (t *Taken) grow(most int) error {
	if len(t.head) < cap(t.head) {
		return nil
	}
	size := min(max(2*cap(t.head), 1024), most)
	if !t.lease.take(int64(size)) {
		return ErrBusy
	}
	head := make([]byte, len(t.head), size)
	copy(head, t.head)
	t.lease.give(int64(cap(t.head)))
	t.head = head
	return nil
}

// parse sets what rules see of a body that has been read whole.
func (t *Taken) parse() error {
	p := parser{text: t.head, lease: &t.lease}
	value, err := p.document()
	switch {
	case errors.Is(err, ErrBusy):
		return err
	case err != nil:
		t.seen.State = policy.BodyBroken
	default:
		t.seen = policy.Body{State: policy.BodyParsed, Value: value}
	}
	return nil
}

// Seen returns what rules may see.
func (t *Taken) Seen() policy.Body {
	if t == nil {
		return policy.Body{}
	}
	return t.seen
}

// Whole tells whether the body has been read to its end.
func (t *Taken) Whole() bool { return t != nil && t.whole }

// Body returns the whole body as it came: what was read, then what is left.
// Only one of the bodies that it returns can be read.
func (t *Taken) Body() io.ReadCloser {
	if len(t.head) == 0 {
		return t.rest
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(t.head), t.rest), t.rest}
}

// Release gives the memory back, once nobody looks at the body any longer.
// Calling it again, or on nil, has no effect.
func (t *Taken) Release() {
	if t != nil {
		t.lease.give(t.lease.held)
	}
}
