package policy

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/conf"
	"gatehouse/session"
)

// clockSkew is how far in the future a sign-in may lie; beyond that its time is
// unknown.
const clockSkew = 60 * time.Second

// Require is a route's key `require`: how a person who may must have signed in.
// It is judged on what the issuer said when they did; what is missing leads to
// another sign-in (RFC 9470), not to a refusal. Machines cannot meet it.
type Require struct {
	Pos conf.Pos `yaml:"-"`
	// MFA asks for a second factor: the issuer says mfa among the amr (RFC 8176
	// §2), or an acr that login.providers.NAME.mfa_acr lists. Default false.
	MFA bool `yaml:"mfa"`
	// ACR asks for one of these authentication context classes (OpenID Connect
	// Core §2), the preferred one first. Default any.
	ACR []string `yaml:"acr"`
	// SignedInWithin asks for a sign-in at most so long ago; one without a known
	// time is too old. At least 1s. Default any time.
	SignedInWithin time.Duration `yaml:"signed_in_within"`
}

// Check reports a require that asks for nothing, or for what cannot be.
func (q *Require) Check(r *conf.Report) {
	if r.Failed(&q.MFA) || r.Failed(&q.ACR) || r.Failed(&q.SignedInWithin) {
		return // what was meant cannot be judged
	}
	if r.Has(&q.SignedInWithin) && q.SignedInWithin < time.Second {
		r.Errorf(&q.SignedInWithin, "signed_in_within is %s, want at least 1s", q.SignedInWithin)
		return
	}
	if problem := q.problem(); problem != "" {
		r.Errorf(q, "%s", problem)
	}
}

// problem returns what is wrong with q, "" if nothing.
func (q *Require) problem() string {
	if !q.MFA && len(q.ACR) == 0 && q.SignedInWithin == 0 {
		return "require is empty; give mfa: true, acr or signed_in_within, or leave it out"
	}
	if q.SignedInWithin != 0 && q.SignedInWithin < time.Second {
		return fmt.Sprintf("signed_in_within is %s, want at least 1s", q.SignedInWithin)
	}
	for _, class := range q.ACR {
		// acr_values separates them by spaces (OpenID Connect Core §3.1.2.1).
		if class == "" || !utf8.ValidString(class) || strings.ContainsAny(class, " \t\r\n") {
			return fmt.Sprintf("acr names %q, which is no class: it is empty or has a space", class)
		}
	}
	return ""
}

// required returns what r.Require asks for as a tree, in the order in which what
// is missing is told; nil for nothing.
func required(r Rule) (*node, error) {
	q := r.Require
	if q == nil {
		return nil, nil
	}
	pos := q.Pos
	if pos.Line == 0 {
		pos = r.pos()
	}
	if r.Allow.Word == WordAnyone || r.Allow.Word == WordNobody {
		return nil, &Error{pos, fmt.Errorf("require stands beside allow: %s, where nobody is judged; write allow: signed-in or conditions", string(r.Allow.Word))}
	}
	if problem := q.problem(); problem != "" {
		return nil, &Error{pos, errors.New(problem)}
	}
	var all []*node
	if q.MFA {
		all = append(all, leaf(kMFA, pos))
	}
	if len(q.ACR) > 0 {
		all = append(all, leaf(kACR, pos, q.ACR...))
	}
	if q.SignedInWithin > 0 {
		n := leaf(kSignedInWithin, pos, duration(q.SignedInWithin))
		n.within = q.SignedInWithin
		all = append(all, n)
	}
	return join(kAllOf, pos, all), nil
}

// duration writes 1h0m0s as people do: 1h.
func duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// stepReason is the word for a sign-in that lacks n.
func stepReason(n *node) Reason {
	switch n.kind {
	case kMFA:
		return MFARequired
	case kACR:
		return ACRRequired
	default:
		return ReauthRequired
	}
}

// notAPerson is the word for somebody who cannot sign in anew.
func notAPerson(id *session.Identity) Reason {
	if id.Person {
		return BearerNotListed
	}
	return PersonRequired
}

// bodyReason returns the word for a body that the route does not take, "" for one
// that it does, or if it does not judge bodies. A body that nobody has read is
// no body that the route takes.
func (rt *route) bodyReason(state BodyState) Reason {
	if rt.bodies == nil {
		return ""
	}
	for _, s := range rt.bodies {
		if s == state && state != BodyUnread {
			return ""
		}
	}
	switch state {
	case BodyCut:
		return BodyTruncated
	case BodyBroken, BodyParsed:
		return BodyUnparsable
	default:
		return BodyAbsent
	}
}
