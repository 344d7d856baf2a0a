package login

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/session"
)

const (
	// attemptLife is how long a person may take to sign in.
	attemptLife = 10 * time.Minute
	// attemptKept is how long the cookie lives on, so that whoever comes back
	// too late is sent round once more instead of to an error page.
	attemptKept = time.Hour
	// usedKept is how long an attempt is known to be used: until it is too old
	// for a token call, by any clock that we believe.
	usedKept = attemptLife + clockApart
	// clockApart is how far in the future an attempt may have been begun: by a
	// replica whose clock is ahead.
	clockApart = time.Minute
	// attemptSize is the longest sealed attempt: name and value of a cookie
	// have 4,096 bytes.
	attemptSize = 4000
	// maxAttempts are kept at one site; the oldest give way.
	maxAttempts = 10
)

// attempt is one try to sign in, as sealed into a cookie of its own.
type attempt struct {
	id       string // 8 hex digits, part of the cookie's name and of state
	provider string
	returnTo string
	created  time.Time
	// state, nonce and verifier are 128, 128 and 256 random bits.
	state    [16]byte
	nonce    [16]byte
	verifier [32]byte
	// again is true for an attempt that replaced one that failed by itself: it
	// is not replaced a second time.
	again bool
	// force asks the issuer to have the person sign in anew.
	force bool
	// demand is what was asked for besides.
	demand
}

// newAttempt returns an attempt with fresh secrets.
func newAttempt(provider, returnTo string, now time.Time) attempt {
	a := attempt{provider: provider, returnTo: returnTo, created: now}
	var id [4]byte
	for _, b := range [][]byte{id[:], a.state[:], a.nonce[:], a.verifier[:]} {
		_, _ = rand.Read(b) // never fails (crypto/rand)
	}
	a.id = hex.EncodeToString(id[:])
	return a
}

var b64 = base64.RawURLEncoding.EncodeToString

// stateParam is the state of the request: it names the attempt's cookie and
// proves that the answer belongs to it.
func (a *attempt) stateParam() string { return a.id + "." + b64(a.state[:]) }

func (a *attempt) nonceParam() string { return b64(a.nonce[:]) }

// usedKey is what the attempt is remembered by when it has been used: 16 bytes
// that nobody can choose.
func (a *attempt) usedKey() string { return string(a.state[:]) }

func (a *attempt) verifierParam() string { return b64(a.verifier[:]) }

var stateForm = regexp.MustCompile(`^([0-9a-f]{8})\.[A-Za-z0-9_-]{22}$`)

// attemptOf returns the attempt that a state names, "" for what is no state of
// ours.
func attemptOf(state string) string {
	if m := stateForm.FindStringSubmatch(state); m != nil {
		return m[1]
	}
	return ""
}

// answers tells whether state is this attempt's.
func (a *attempt) answers(state string) bool {
	return subtle.ConstantTimeCompare([]byte(a.stateParam()), []byte(state)) == 1
}

// openAttempt returns the attempt that the answer's state names, if this
// browser began it.
func (l *Login) openAttempt(site session.Site, r *http.Request, state string) (attempt, bool) {
	id := attemptOf(state)
	if id == "" {
		return attempt{}, false
	}
	name, value, count := site.AttemptPrefix()+id, "", 0
	session.EachCookie(r, name, func(n, v string) {
		if n == name {
			value = v
			count++
		}
	})
	if count != 1 {
		return attempt{}, false
	}
	a, ok := l.unseal(site, id, value)
	return a, ok && a.answers(state)
}

// unseal opens the cookie of the attempt with the given id.
func (l *Login) unseal(site session.Site, id, value string) (attempt, bool) {
	plain, ok := l.attempts.Open(site.Host, value)
	if !ok {
		return attempt{}, false
	}
	a, err := decodeAttempt(plain)
	return a, err == nil && a.id == id
}

// attemptCookies returns the cookies that add a to what the browser carries:
// one for a, and the removal of the oldest and of what is none.
func (l *Login) attemptCookies(site session.Site, r *http.Request, a attempt) ([]*http.Cookie, error) {
	value, err := l.attempts.Seal(site.Host, a.encode())
	if err != nil {
		return nil, err
	}
	type known struct {
		name    string
		created time.Time // zero for what is no attempt
	}
	var all []known
	prefix := site.AttemptPrefix()
	session.EachCookie(r, prefix, func(name, value string) {
		k := known{name: name}
		if old, ok := l.unseal(site, strings.TrimPrefix(name, prefix), value); ok && time.Since(old.created) < attemptKept {
			k.created = old.created
		}
		all = append(all, k)
	})
	slices.SortStableFunc(all, func(a, b known) int { return b.created.Compare(a.created) })
	cookies := []*http.Cookie{site.Lasting(prefix+a.id, value, attemptKept)}
	for i, k := range all {
		if i >= maxAttempts-1 || k.created.IsZero() {
			cookies = append(cookies, site.Expired(k.name))
		}
	}
	return cookies, nil
}
