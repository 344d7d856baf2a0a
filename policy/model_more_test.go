package policy

// The rest of the independent reading: time, require, bodies, and the outcome.

import (
	"slices"
	"strings"
	"time"
)

// open tells whether the window w is open at the time at.
func open(w Window, at time.Time) bool {
	zone := time.UTC
	if w.Zone != "" {
		zone, _ = time.LoadLocation(w.Zone)
	}
	at = at.In(zone)
	if from, err := time.Parse(time.RFC3339, w.From); err == nil && at.Before(from) {
		return false
	}
	if until, err := time.Parse(time.RFC3339, w.Until); err == nil && !at.Before(until) {
		return false
	}
	if w.Hours == "" {
		return onDay(w, at.Weekday())
	}
	begin, end, _ := strings.Cut(w.Hours, "-")
	now := at.Format("15:04")
	if begin < end {
		return onDay(w, at.Weekday()) && begin <= now && now < end
	}
	yesterday := (at.Weekday() + 6) % 7
	return onDay(w, at.Weekday()) && begin <= now || onDay(w, yesterday) && now < end
}

func onDay(w Window, day time.Weekday) bool {
	if w.Days == nil {
		return true
	}
	week := "sun mon tue wed thu fri sat sun mon tue wed thu fri sat "
	name := strings.ToLower(day.String()[:3])
	return slices.ContainsFunc(w.Days, func(text string) bool {
		first, last, span := strings.Cut(text, "-")
		if !span {
			return text == name
		}
		from := week[strings.Index(week, first):]
		return strings.Contains(from[:strings.Index(from, last)+3], name)
	})
}

// lacking returns what q's sign-in lacks, in the order in which it is told.
func lacking(r *Require, q Query) Reason {
	id := q.Identity
	age := q.Time.Sub(id.AuthTime)
	switch {
	case r.MFA && !id.MFA:
		return MFARequired
	case len(r.ACR) > 0 && !slices.Contains(r.ACR, id.ACR):
		return ACRRequired
	case r.SignedInWithin > 0 && (id.AuthTime.IsZero() || age > r.SignedInWithin || age < -time.Minute):
		return ReauthRequired
	}
	return ""
}

// outcome is the whole decision on r, and the reason where it does not depend on
// which condition failed.
func outcome(r Rule, q Query) (Outcome, Reason) {
	id := q.Identity
	if id == nil {
		return OutcomeDeny, SignInRequired
	}
	if r.Bodies != nil && !slices.Contains(r.Bodies, q.Body.State) {
		return OutcomeDeny, [...]Reason{BodyAbsent, BodyAbsent, BodyUnparsable, BodyTruncated, BodyUnparsable}[q.Body.State]
	}
	if r.Allow.When != nil && !may(*r.Allow.When, q) || r.Allow.Word == WordSignedIn && !(id.Person && id.Listed) {
		return OutcomeDeny, ""
	}
	if r.Require == nil {
		return OutcomeAllow, ""
	}
	if !id.Person {
		return OutcomeDeny, PersonRequired
	}
	if !id.Listed {
		return OutcomeDeny, BearerNotListed
	}
	if reason := lacking(r.Require, q); reason != "" {
		return OutcomeStepUp, reason
	}
	return OutcomeAllow, ""
}
