package proxy

import (
	"errors"
	"net/http"
	"time"

	"gatehouse/internal/conf"
	"gatehouse/policy"
	"gatehouse/proxy/body"
	"gatehouse/proxy/canon"
	"gatehouse/proxy/identity"
	"gatehouse/proxy/principal"
	"gatehouse/session"
)

// Action is what is to be done with a request.
type Action int

const (
	// Refuse answers with Status; it is the zero value, so that a verdict
	// nobody filled in refuses.
	Refuse Action = iota
	// Forward passes the request on to the route's upstream.
	Forward
	// Redirect sends the browser to Location to sign in.
	Redirect
)

// Reason says in one word of a closed list why a verdict is what it is. The
// words policy decides with are policy.Reason; these are the gate's own.
type Reason string

// The gate's own reasons, besides those of package policy.
const (
	ReasonPathRejected   Reason = "path_rejected"
	ReasonNoRoute        Reason = "no_route"
	ReasonSignInRequired Reason = "sign_in_required"
	ReasonSessionRevoked Reason = "session_revoked"
	ReasonTokenInvalid   Reason = "token_invalid"
	ReasonAuthorization  Reason = "authorization_doubled"
	ReasonOrigin         Reason = "origin_not_allowed"
	ReasonIssuerDown     Reason = "issuer_unavailable"
	ReasonFeedStale      Reason = "revocations_unknown"
	ReasonMethod         Reason = "method_not_allowed"
	ReasonForwarded      Reason = "forwarded_contradictory"
	ReasonAssertion      Reason = "identity_headers_failed"
	ReasonCanceled       Reason = "canceled"
	// ReasonBodySlow: the body that the route judges did not come in time.
	ReasonBodySlow Reason = "body_too_slow"
	// ReasonBodyBusy: too many bodies are being judged at once.
	ReasonBodyBusy Reason = "bodies_busy"
	// ReasonBodyBroken: the body could not be read to what the route judges.
	ReasonBodyBroken Reason = "body_broken_off"
	// ReasonOurs is what Ask and the access log say of a page of the gateway or
	// the provider: no rule decides about it.
	ReasonOurs Reason = "gatehouse_page"
)

// statusGone is the status, for the log, of a request whose client went away.
const statusGone = 499

// Verdict is what Gate.Check decided: a value, without any effect yet.
type Verdict struct {
	Action Action
	Reason Reason
	// Status is the HTTP status of a refusal.
	Status int
	// Challenge is the WWW-Authenticate header of a 401 or 403, or "".
	Challenge string
	// Location is where a Redirect goes.
	Location string
	// Cookies must reach the browser with the answer: a session refreshed,
	// rewritten or cleared, a sign-in attempt begun.
	Cookies []*http.Cookie
	// Request is the one canonical request; decided on and forwarded.
	Request canon.Request
	// Site is the public URL asked for.
	Site *session.Site
	// Route is the index of the route in the configuration, -1 if none.
	Route int
	// Rule is where the deciding rule stands.
	Rule conf.Pos
	// Identity is who asks; nil for nobody or when the route does not ask.
	Identity *session.Identity
	// UsedAuthorization is true when the Authorization header was our bearer.
	UsedAuthorization bool
	// Client is where the request came from, as far as trusted_proxies allow
	// to know it.
	Client identity.Client
	// SignIn is true when signing in could turn the refusal into an answer.
	SignIn bool

	mount *Mount
	place *place
	// known is what is remembered of the credential; nil for nothing.
	known *principal.Entry
	// at is when the policy was asked.
	at        time.Time
	variables []policy.Variable
	// body is the body that the route judges, held until Release.
	body *body.Taken
	// hangUp is true when the rest of the body is not worth waiting for.
	hangUp bool
	// judged is true once decision is what the policy said, after took.
	judged   bool
	decision policy.Decision
	took     time.Duration
}

// refuse fills in a refusal.
func (v *Verdict) refuse(status int, reason Reason) {
	v.Action, v.Status, v.Reason = Refuse, status, reason
}

// StepsUp tells whether the refusal asks for another sign-in of the same person.
func (v *Verdict) StepsUp() bool { return v.decision.Outcome == policy.OutcomeStepUp }

// reject refuses a request that has no canonical form. Method and host are kept
// as they came, for the log alone.
func (v *Verdict) reject(r *http.Request, err error) {
	status, reason := http.StatusBadRequest, ReasonPathRejected
	var bad *canon.Error
	if errors.As(err, &bad) {
		status = bad.Status
	}
	if status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented {
		reason = ReasonMethod
	}
	v.Request.Method, v.Request.Host = r.Method[:min(len(r.Method), 32)], r.Host[:min(len(r.Host), 255)]
	v.refuse(status, reason)
}

// query is what policy is asked about v.
func (v *Verdict) query() policy.Query {
	return policy.Query{
		Route:     v.Route,
		Identity:  v.Identity,
		Method:    v.Request.Method,
		Host:      v.Request.Host,
		Path:      v.Request.Path,
		RawQuery:  v.Request.RawQuery,
		Variables: v.variables,
		ClientIP:  v.Client.Addr,
		Time:      v.at,
		Body:      v.body.Seen(),
	}
}
