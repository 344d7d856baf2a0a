package policy

import (
	"slices"

	"gatehouse/internal/conf"
	"gatehouse/session"
)

// Outcome is what was decided. The zero value is a refusal.
type Outcome uint8

// The outcomes.
const (
	OutcomeDeny Outcome = iota
	OutcomeAllow
	// OutcomeStepUp: the rule allows, but the person must prove anew, or more
	// strongly, who they are (RFC 9470).
	OutcomeStepUp
)

// String returns "allow", "deny" or "step_up", the words of the log.
func (o Outcome) String() string {
	switch o {
	case OutcomeAllow:
		return "allow"
	case OutcomeStepUp:
		return "step_up"
	default:
		return "deny"
	}
}

// MarshalText writes what String returns.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Reason says in one word of a closed list why. It reaches logs, metrics and
// explanations; a visitor is told less.
type Reason string

// Reasons to allow. A rule of one kind of condition has a word of its own; any
// other is ConditionsOK.
const (
	// RouteOpen: the route is for anyone.
	RouteOpen Reason = "route_open"
	// SignedIn: a person, and the rule asks for no more.
	SignedIn Reason = "signed_in"
	// GroupOK: a group of the rule.
	GroupOK Reason = "group_ok"
	// ScopeOK: a scope of the rule.
	ScopeOK Reason = "scope_ok"
	// UserOK: a user of the rule.
	UserOK Reason = "user_ok"
	// ClientOK: an app client of the rule.
	ClientOK Reason = "client_ok"
	// EmailDomainOK: an e-mail domain of the rule.
	EmailDomainOK Reason = "email_domain_ok"
	// ClaimOK: the claims of the rule.
	ClaimOK Reason = "claim_ok"
	// OPAAllow: an operator's rule said true.
	OPAAllow Reason = "opa_allow"
	// ConditionsOK: conditions of several kinds together.
	ConditionsOK Reason = "conditions_ok"
)

// Reasons to deny. Where several conditions failed, it is the first of them, in
// the order of the file, that would have helped this kind of credential.
const (
	// NoRoute: the query names no route of this policy.
	NoRoute Reason = "no_route"
	// Nobody: the route is for nobody.
	Nobody Reason = "nobody"
	// SignInRequired: there is no identity, and the rule needs one.
	SignInRequired Reason = "sign_in_required"
	// PersonRequired: the rule is for people and the credential is a machine's.
	PersonRequired Reason = "person_required"
	// BearerNotListed: the rule is for people, and the token's client is not in
	// bearer.clients.
	BearerNotListed Reason = "bearer_not_listed"
	// GroupMissing: in none of the rule's groups, or groups unknown.
	GroupMissing Reason = "group_missing"
	// ScopeMissing: none of the rule's scopes. For a bearer this is the 403
	// with insufficient_scope (RFC 6750 §3.1).
	ScopeMissing Reason = "scope_missing"
	// UserNotListed: none of the rule's users.
	UserNotListed Reason = "user_not_listed"
	// ClientNotListed: none of the rule's app clients.
	ClientNotListed Reason = "client_not_listed"
	// ClaimMismatch: a claim is absent or has another value.
	ClaimMismatch Reason = "claim_mismatch"
	// EmailDomain: no verified e-mail address in the rule's domains.
	EmailDomain Reason = "email_domain"
	// IPNotAllowed: the client's address is in none of the rule's networks.
	IPNotAllowed Reason = "ip_not_allowed"
	// Excluded: what stands under a `not` holds, or is unknown.
	Excluded Reason = "excluded"
	// TimeNotAllowed: the request comes outside the rule's times.
	TimeNotAllowed Reason = "time_not_allowed"
	// MethodNotListed: the request's method is none of the rule's.
	MethodNotListed Reason = "method_not_listed"
	// BodyAbsent, BodyTruncated and BodyUnparsable: the route judges the body,
	// and there is none, it is larger than the route reads, or it is not exactly
	// one JSON value, or is one where the route takes none.
	BodyAbsent     Reason = "body_absent"
	BodyTruncated  Reason = "body_truncated"
	BodyUnparsable Reason = "body_unparsable"
	// OPADeny: an operator's rule did not say true.
	OPADeny Reason = "opa_deny"
	// OPAError: the decision could not be made: an error or a panic while
	// evaluating, an input of more than 256 KiB, or a rule of an operator that
	// took more than 100 ms.
	OPAError Reason = "opa_error"
)

// Reasons to step up.
const (
	// MFARequired: no second factor was used.
	MFARequired Reason = "mfa_required"
	// ACRRequired: the authentication was of none of the classes asked for.
	ACRRequired Reason = "acr_required"
	// ReauthRequired: the person proved who they are too long ago, or it is
	// unknown when.
	ReauthRequired Reason = "reauth_required"
)

// Reasons returns the closed list, reasons to allow first.
func Reasons() []Reason {
	return []Reason{
		RouteOpen, SignedIn, GroupOK, ScopeOK, UserOK, ClientOK, EmailDomainOK, ClaimOK, OPAAllow, ConditionsOK,
		NoRoute, Nobody, SignInRequired, PersonRequired, BearerNotListed, GroupMissing, ScopeMissing, UserNotListed,
		ClientNotListed, ClaimMismatch, EmailDomain, IPNotAllowed, TimeNotAllowed, MethodNotListed,
		BodyAbsent, BodyTruncated, BodyUnparsable, Excluded, OPADeny, OPAError,
		MFARequired, ACRRequired, ReauthRequired,
	}
}

// Decision is the answer to a Query.
type Decision struct {
	// Outcome is allow, deny or step_up; the zero Decision denies.
	Outcome Outcome
	// Reason is a word of the closed list.
	Reason Reason
	// Rule is where the condition stands that Reason speaks of: for a refusal
	// the condition that failed, else the route's `allow`.
	Rule conf.Pos
	// Require is all that the route requires, when Outcome is OutcomeStepUp; else
	// nil.
	Require *Require
	// Err is what went wrong when Reason is OPAError, for the log and never for
	// the client; else nil.
	Err error
}

// allowReason is the word for a request that the tree n allows: n's kind if all
// its leaves are of that kind.
func allowReason(n *node) Reason {
	leaves := n.leaves()
	first := leaves[0].kind
	mixed := slices.ContainsFunc(leaves, func(l *node) bool { return l.kind != first })
	if mixed || negates(n) {
		return ConditionsOK
	}
	switch first {
	case kSignedIn:
		return SignedIn
	case kGroups:
		return GroupOK
	case kScopes:
		return ScopeOK
	case kUsers:
		return UserOK
	case kClients:
		return ClientOK
	case kEmailDomains:
		return EmailDomainOK
	case kClaim:
		return ClaimOK
	case kOPA:
		return OPAAllow
	default:
		return ConditionsOK
	}
}

func negates(n *node) bool {
	return n.kind == kNot || slices.ContainsFunc(n.children, negates)
}

// truth is a value of Kleene's strong logic.
type truth int8

const (
	isFalse truth = iota - 1
	isUnknown
	isTrue
)

// value returns the truth of n from that of its leaves.
func (n *node) value(leaf func(*node) truth) truth {
	switch n.kind {
	case kNot:
		return -n.children[0].value(leaf)
	case kAllOf:
		v := isTrue
		for _, c := range n.children {
			v = min(v, c.value(leaf))
		}
		return v
	case kAnyOf:
		v := isFalse
		for _, c := range n.children {
			v = max(v, c.value(leaf))
		}
		return v
	default:
		return leaf(n)
	}
}

// blame returns the leaf, or the `not`, on which n failed. An access token is
// told of the scope that would have helped it, a session of anything else.
func blame(n *node, leaf func(*node) truth, id *session.Identity) *node {
	switch n.kind {
	case kAllOf:
		for _, c := range operatorsLast(n.children) {
			if c.value(leaf) != isTrue {
				return blame(c, leaf, id)
			}
		}
	case kAnyOf:
		var first *node
		for _, c := range operatorsLast(n.children) {
			b := blame(c, leaf, id)
			if first == nil || b.kind == kScopes && id.Credential == session.Bearer && first.kind != kScopes {
				first = b
			} else if first.kind == kScopes && id.Credential != session.Bearer {
				first = b
			}
		}
		return first
	}
	return n
}

// operatorsLast returns children in the order in which they are evaluated.
func operatorsLast(children []*node) []*node {
	if !slices.ContainsFunc(children, (*node).asks) {
		return children
	}
	sorted := slices.Clone(children)
	slices.SortStableFunc(sorted, func(a, b *node) int { return order(a.asks()) - order(b.asks()) })
	return sorted
}

// denyReason is the word for a request that failed on n.
func denyReason(n *node, id *session.Identity) Reason {
	if n.kind.personal() && !isUser(id) {
		return notAPerson(id)
	}
	switch n.kind {
	case kGroups:
		return GroupMissing
	case kScopes:
		return ScopeMissing
	case kUsers:
		return UserNotListed
	case kClients:
		return ClientNotListed
	case kEmailDomains:
		return EmailDomain
	case kClaim:
		return ClaimMismatch
	case kIP:
		return IPNotAllowed
	case kTime:
		return TimeNotAllowed
	case kMethod:
		return MethodNotListed
	case kNot:
		return Excluded
	case kOPA:
		return OPADeny
	default:
		return PersonRequired
	}
}
