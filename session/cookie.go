package session

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// partSize is the length of each cookie but the last: browsers keep 4,096
	// bytes of name and value, and half a kilobyte is left for what else counts.
	partSize = 3800
	// rewriteAfter is how old the time of the last request in a cookie may get.
	rewriteAfter = time.Minute
	// refreshSoon is how long before its access token ends a session is not
	// rewritten any more: the answer might overtake the one that brings the
	// renewed session, and put the old refresh token back.
	refreshSoon = 90 * time.Second
	// clockSkew is how far in the future a cookie may have been written: the
	// clock was set back, or a replica's is ahead.
	clockSkew = time.Minute
)

// State is what a request says about a session.
type State int

const (
	// None: no session cookie at all.
	None State = iota
	// Valid: exactly one session, within its limits. Not yet asked: whether it
	// was revoked.
	Valid
	// Invalid: something of our name that is no session; treat as None and
	// clear it.
	Invalid
)

// Options are what Cookies needs besides configuration and keys.
type Options struct {
	// Boot is sealed into each cookie, and cookies of another Boot are dead:
	// Feed.Boot, which is "" when revocations survive a restart.
	Boot string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Cookies writes sessions into cookies and reads them back. It is immutable
// and safe for concurrent use.
type Cookies struct {
	cfg  Config
	keys []CookieKey
	box  *Box
	boot string
	id   string
	now  func() time.Time
}

// NewCookies takes 1 to 3 keys, newest first: the first one seals, all open.
func NewCookies(cfg Config, keys []CookieKey, o Options) (*Cookies, error) {
	if cfg.Idle <= 0 || cfg.Lifetime <= 0 {
		return nil, errors.New("new session cookies: no time limits")
	}
	for i := range keys {
		for j := range i {
			if equalKeys(keys[i], keys[j]) {
				return nil, errors.New("new session cookies: a key is listed twice")
			}
		}
	}
	box, err := newBox(keys, "session", maxParts*partSize, cfg.Lifetime)
	if err != nil {
		return nil, err
	}
	c := &Cookies{cfg: cfg, keys: keys, box: box, boot: o.Boot, id: identify(cfg, keys, o.Boot), now: o.Now}
	if c.now == nil {
		c.now = time.Now
	}
	return c, nil
}

// identify names all that decides whether a cookie opens, but for site and time.
func identify(cfg Config, keys []CookieKey, boot string) string {
	h := sha256.New()
	fmt.Fprintf(h, "gatehouse session cookies\n%d %d %q %d\n", cfg.Idle, cfg.Lifetime, boot, len(keys))
	for _, k := range keys {
		h.Write(k.Hash) // of a fixed length, as Block is
		h.Write(k.Block)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// ID names limits, keys and Boot: what one Cookies opens, another of the same ID
// opens too, at the same site and time. It tells nothing of the keys.
func (c *Cookies) ID() string { return c.id }

// Box returns a sealer for another purpose under the same ring: values of at
// most maxLength bytes that live at most maxAge.
func (c *Cookies) Box(purpose string, maxLength int, maxAge time.Duration) (*Box, error) {
	if purpose == c.box.purpose {
		return nil, errors.New("new cookie box: this purpose is taken")
	}
	return newBox(c.keys, purpose, maxLength, maxAge)
}

// Lifetime returns how long a session lives at most.
func (c *Cookies) Lifetime() time.Duration { return c.cfg.Lifetime }

// Carried is what a request carries as its session cookie, still sealed.
type Carried struct {
	// Value is the sealed value, its parts put together.
	Value string

	parts   int // that Value was put together from
	present int // that the browser has, needed or not
}

// Find returns what r carries as the session cookie of site. The state is Valid
// for exactly one value in whole parts, which is not opened yet.
func (c *Cookies) Find(site Site, r *http.Request) (Carried, State) {
	var f found
	f.find(r, site.CookieName())
	if !f.any {
		return Carried{}, None
	}
	if f.twice() || f.count[0] == 0 {
		return Carried{}, Invalid
	}
	value, parts, ok := f.join()
	if !ok {
		return Carried{}, Invalid
	}
	return Carried{value, parts, f.present()}, Valid
}

// Unseal opens what Find found at site, and tells whether it is a session within
// its limits. Tampered, cut, exchanged, foreign, old and idle cookies are none.
// Whether the session was revoked is for the feed to say.
func (c *Cookies) Unseal(site Site, k Carried) (s *Session, ok bool) {
	plain, ok := c.box.Open(site.Host, k.Value)
	if !ok {
		return nil, false
	}
	s, sealed, boot, err := decode(plain)
	if err != nil || sealed != k.parts || boot != c.boot || s.Host != site.Host || !c.Live(s) {
		return nil, false
	}
	s.parts = k.present
	return s, true
}

// Open is Find and Unseal: the session of a request to site. The session is nil
// unless the state is Valid.
func (c *Cookies) Open(site Site, r *http.Request) (*Session, State) {
	k, state := c.Find(site, r)
	if state != Valid {
		return nil, state
	}
	s, ok := c.Unseal(site, k)
	if !ok {
		return nil, Invalid
	}
	return s, Valid
}

// join puts the parts together. All but the last have exactly partSize bytes,
// so that one value can be cut in one way only; what stands behind a shorter
// part is left over from a longer session and does not count.
func (f *found) join() (value string, parts int, ok bool) {
	if len(f.value[0]) < partSize {
		return f.value[0], 1, true
	}
	var b strings.Builder
	for i := range maxParts {
		if f.count[i] == 0 {
			return b.String(), i, true
		}
		// An empty part would be another spelling of the value without it.
		if n := len(f.value[i]); n > partSize || n == 0 {
			return "", 0, false
		}
		b.WriteString(f.value[i])
		if len(f.value[i]) < partSize {
			return b.String(), i + 1, true
		}
	}
	return b.String(), maxParts, true
}

// Live tells whether a session is within its limits now.
func (c *Cookies) Live(s *Session) bool {
	now := c.now()
	return now.Before(s.Expires) && now.Sub(s.Created) < c.cfg.Lifetime && now.Sub(s.Seen) < c.cfg.Idle &&
		s.Created.Sub(now) <= clockSkew && s.Seen.Sub(now) <= clockSkew
}

// Due tells whether the cookie should be written again so that its idle time
// starts anew: once a minute at most, and not shortly before a refresh writes
// it anyway.
func (c *Cookies) Due(s *Session) bool {
	now := c.now()
	if now.Sub(s.Seen) < rewriteAfter {
		return false
	}
	return s.RefreshToken == "" || s.AccessExpires.IsZero() || s.AccessExpires.Sub(now) > refreshSoon
}

// Seal returns the cookies that make a browser carry s at site, last seen now.
// Parts that s was read from and does not need any more are cleared. It
// returns ErrTooLarge when s does not fit into four cookies.
func (c *Cookies) Seal(site Site, s *Session) ([]*http.Cookie, error) {
	if s.Host != site.Host {
		return nil, fmt.Errorf("seal session of %s for %s: another host", s.Host, site.Host)
	}
	value, parts, err := c.seal(s, 1)
	if err == nil && parts != 1 {
		// The number of parts has one byte, so the length stays.
		value, parts, err = c.seal(s, parts)
	}
	if err != nil {
		return nil, err
	}
	cookies := make([]*http.Cookie, 0, max(parts, s.parts))
	for i := range parts {
		end := min(len(value), (i+1)*partSize)
		cookies = append(cookies, site.cookie(partName(site, i), value[i*partSize:end]))
	}
	for i := parts; i < s.parts; i++ {
		cookies = append(cookies, site.Expired(partName(site, i)))
	}
	return cookies, nil
}

func (c *Cookies) seal(s *Session, guess int) (value string, parts int, err error) {
	value, err = c.box.Seal(s.Host, s.encode(guess, c.boot, c.now()))
	// A value that ends exactly at the end of a part has no shorter one.
	return value, (len(value) + partSize - 1) / partSize, err
}

// Replace is Seal for a browser that may carry another session already: parts
// of the old one that are not overwritten are cleared.
func (c *Cookies) Replace(site Site, r *http.Request, s *Session) ([]*http.Cookie, error) {
	var f found
	f.find(r, site.CookieName())
	over := *s
	over.parts = f.present()
	return c.Seal(site, &over)
}

// Clear returns cookies that take the session cookies of r from the browser;
// none when it carries none.
func (c *Cookies) Clear(site Site, r *http.Request) []*http.Cookie {
	var f found
	f.find(r, site.CookieName())
	var cookies []*http.Cookie
	for i, n := range f.count {
		if n > 0 {
			cookies = append(cookies, site.Expired(partName(site, i)))
		}
	}
	return cookies
}

// partName returns the name of the i-th part, counted from 0.
func partName(site Site, i int) string {
	if i == 0 {
		return site.CookieName()
	}
	return site.CookieName() + "-" + strconv.Itoa(i)
}

// cookie returns a cookie of ours that lives as long as the browser runs: host
// only, invisible to scripts, not sent along with cross-site posts.
func (s Site) cookie(name, value string) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", Secure: s.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// Lasting returns a cookie of ours that the browser forgets after age.
func (s Site) Lasting(name, value string, age time.Duration) *http.Cookie {
	c := s.cookie(name, value)
	c.MaxAge = int(age / time.Second)
	return c
}

// Expired returns a cookie that removes the one of this name.
func (s Site) Expired(name string) *http.Cookie {
	c := s.cookie(name, "")
	c.MaxAge = -1
	return c
}
