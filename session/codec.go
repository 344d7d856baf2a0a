package session

import (
	"encoding/binary"
	"errors"
	"time"
)

// errCodec means that opened bytes are not a session of this version.
var errCodec = errors.New("not a session of this version")

const (
	codecVersion = 4
	codecPurpose = 'S'
)

// encode writes the session: version, purpose, number of cookies, run of the
// process, then the fields in a fixed order. Lengths are uvarints, times
// varints of Unix milliseconds (0 for none), lists begin with 0 for nil and 1 for
// a list. No JSON: opening a cookie is on
// the way of every request.
func (s *Session) encode(parts int, boot string, seen time.Time) []byte {
	w := writer(make([]byte, 0, 512+len(s.AccessToken)+len(s.IDToken)+len(s.RefreshToken)))
	w = append(w, codecVersion, codecPurpose, byte(parts))
	for _, v := range []string{boot, s.ID, s.Host, s.Provider, s.Issuer, s.ClientID, s.Subject, s.Username, s.Email, s.Name} {
		w.string(v)
	}
	w.bool(s.EmailVerified)
	w.bool(s.MFA)
	for _, t := range []time.Time{s.Created, seen, s.Expires, s.AuthTime, s.AccessExpires} {
		w.time(t)
	}
	w.list(s.Groups)
	w.list(s.Scopes)
	w.list(s.AMR)
	for _, v := range []string{s.ACR, s.IssuerSID, s.OriginJTI, s.RefreshToken, s.AccessToken, s.IDToken} {
		w.string(v)
	}
	w.claims(s)
	return w
}

// decode reads what encode wrote, to the last byte.
func decode(text []byte) (s *Session, parts int, boot string, err error) {
	// One copy holds every text of the session: a cookie has some thirty.
	r := reader{rest: string(text)}
	if r.byte() != codecVersion || r.byte() != codecPurpose {
		return nil, 0, "", errCodec
	}
	parts = int(r.byte())
	s = &Session{parts: parts}
	for _, v := range []*string{&boot, &s.ID, &s.Host, &s.Provider, &s.Issuer, &s.ClientID, &s.Subject, &s.Username, &s.Email, &s.Name} {
		*v = r.string()
	}
	s.EmailVerified, s.MFA = r.byte() == 1, r.byte() == 1
	for _, t := range []*time.Time{&s.Created, &s.Seen, &s.Expires, &s.AuthTime, &s.AccessExpires} {
		*t = r.time()
	}
	s.Groups, s.Scopes, s.AMR = r.list(), r.list(), r.list()
	for _, v := range []*string{&s.ACR, &s.IssuerSID, &s.OriginJTI, &s.RefreshToken, &s.AccessToken, &s.IDToken} {
		*v = r.string()
	}
	r.claims(s)
	if r.bad || len(r.rest) != 0 || s.ID == "" || s.Subject == "" {
		return nil, 0, "", errCodec
	}
	return s, parts, boot, nil
}

type writer []byte

func (w *writer) uvarint(n int) { *w = binary.AppendUvarint(*w, uint64(n)) }

func (w *writer) string(s string) {
	w.uvarint(len(s))
	*w = append(*w, s...)
}

func (w *writer) bool(b bool) {
	if b {
		*w = append(*w, 1)
	} else {
		*w = append(*w, 0)
	}
}

func (w *writer) time(t time.Time) {
	var ms int64
	if !t.IsZero() {
		ms = t.UnixMilli()
	}
	*w = binary.AppendVarint(*w, ms)
}

// list keeps nil, which is unknown, and empty apart.
func (w *writer) list(l []string) {
	w.bool(l != nil)
	if l == nil {
		return
	}
	w.uvarint(len(l))
	for _, s := range l {
		w.string(s)
	}
}

// reader reads what writer wrote. After the first mistake everything is zero
// and bad is set.
type reader struct {
	rest string
	bad  bool
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// count reads a length. Every counted thing takes a byte at least, so a count
// above what is left is a mistake, and no allocation is larger than its input.
func (r *reader) count() int {
	n, ok := r.uvarint()
	if !ok || n > uint64(len(r.rest)) {
		r.bad, r.rest = true, ""
		return 0
	}
	return int(n)
}

// uvarint reads what binary.AppendUvarint wrote.
func (r *reader) uvarint() (n uint64, ok bool) {
	var head [binary.MaxVarintLen64]byte
	n, size := binary.Uvarint(head[:copy(head[:], r.rest)])
	if size <= 0 {
		return 0, false
	}
	r.rest = r.rest[size:]
	return n, true
}

func (r *reader) string() string {
	n := r.count()
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) time() time.Time {
	n, ok := r.uvarint()
	if !ok {
		r.bad, r.rest = true, ""
		return time.Time{}
	}
	// Zigzag, as binary.AppendVarint writes it.
	ms := int64(n>>1) ^ -int64(n&1)
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func (r *reader) list() []string {
	if r.byte() != 1 {
		return nil
	}
	l := make([]string, r.count())
	for i := range l {
		l[i] = r.string()
	}
	return l
}
