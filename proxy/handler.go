package proxy

import (
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"gatehouse/internal/httpx"
	"gatehouse/policy"
	"gatehouse/proxy/identity"
	"gatehouse/proxy/upstream"
	"gatehouse/session"
)

// Handler answers requests with what a Gate decided. It is safe for
// concurrent use; a request uses one Gate from beginning to end.
type Handler struct {
	current atomic.Pointer[generation]
	live    live
	keys    Keys
	log     *slog.Logger
}

// generation is a gate and the news that another has taken its place.
type generation struct {
	gate     *Gate
	replaced chan struct{} // closed then
}

// Keys publishes the keys that verify signed identity headers.
type Keys interface {
	// JWKS returns the key set as JSON (RFC 7517 §5).
	JWKS() []byte
	// PEM returns one public key as PEM SPKI; ok is false for an unknown kid.
	PEM(kid string) (pem []byte, ok bool)
}

// NewHandler returns a handler that answers with what g decides. keys may be
// nil when nothing is signed.
func NewHandler(g *Gate, keys Keys, log *slog.Logger) *Handler {
	h := &Handler{keys: keys, log: log}
	h.current.Store(&generation{g, make(chan struct{})})
	return h
}

// Swap puts g in the place of the gate. Requests that come from now on use g;
// those under way go on with the one they began with, and the lasting ones among
// them are decided again at once, on g.
func (h *Handler) Swap(g *Gate) {
	old := h.current.Swap(&generation{g, make(chan struct{})})
	close(old.replaced)
}

// gate returns the gate of now.
func (h *Handler) gate() *Gate { return h.current.Load().gate }

// Run decides long answers again while they last, until ctx ends; then it
// ends them.
func (h *Handler) Run(ctx context.Context) {
	h.live.run(ctx, func() (revoked, replaced <-chan struct{}) {
		current := h.current.Load()
		return current.gate.parts.Revocations.Changed(), current.replaced
	})
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g := h.gate()
	v, ok := g.locate(r)
	id := requestID(r, v.Client.Trusted)
	w.Header().Set("X-Request-Id", id)
	switch {
	case !ok:
		h.refuse(w, r, g, v, id)
	case g.parts.SharedOrigin && len(r.Header["Service-Worker"]) > 0:
		h.refuse(w, r, g, v.refuse(http.StatusForbidden, ReasonOrigin), id)
	case v.mount != nil:
		mounted(w, r, v, id)
	case ours(v.Request.Path):
		h.serveOurs(w, r, g, v, id)
	default:
		v = g.decide(w, r, v)
		defer v.body.Release()
		g.record(&v, id)
		h.answer(w, r, g, v, id)
	}
}

// mounted hands a request to the handler that owns its host or prefix, with
// the client's address and the request's name where a handler looks for them.
func mounted(w http.ResponseWriter, r *http.Request, v Verdict, id string) {
	hurry(w, r)
	r = r.WithContext(httpx.WithRequestID(r.Context(), id))
	r.RemoteAddr = net.JoinHostPort(v.Client.Addr.String(), "0")
	v.mount.Handler.ServeHTTP(w, r)
}

// answer writes what was decided.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, g *Gate, v Verdict, id string) {
	for _, c := range v.Cookies {
		http.SetCookie(w, c)
	}
	switch v.Action {
	case Forward:
		h.forward(w, r, g, v, id)
	case Redirect:
		transportSecurity(w, v.Site)
		noStore(w.Header())
		w.Header().Set("Location", v.Location)
		w.WriteHeader(v.Status)
	default:
		h.refuse(w, r, g, v, id)
	}
}

// forward passes the request on. Headers are rebuilt on every route, public
// ones too, after net/http removed the hop-by-hop ones.
func (h *Handler) forward(w http.ResponseWriter, r *http.Request, g *Gate, v Verdict, id string) {
	rt := &g.routes[v.Route]
	told := http.Header{}
	left, err := rt.headers.Apply(told, v.Identity)
	if err != nil {
		h.log.ErrorContext(r.Context(), "identity headers not made", "request_id", id, "http.route", rt.Name, "error", err)
		h.refuse(w, r, g, v.refuse(http.StatusServiceUnavailable, ReasonAssertion), id)
		return
	}
	if left > 0 {
		h.log.WarnContext(r.Context(), "identity header left out: its value has control characters", "request_id", id, "http.route", rt.Name, "user.id", v.Identity.Subject)
	}
	r, watched := h.observe(r, g, v, id)
	defer watched.leave()
	if v.body != nil {
		r.Body = v.body.Body()
	}
	rt.upstream.Forward(w, r, upstream.Forward{
		Path:      v.Request.EscapedPath,
		RawQuery:  v.Request.RawQuery,
		Host:      r.Host,
		Websocket: v.Request.Websocket,
		Headers: func(out http.Header) {
			g.rebuild(out, rt, &v)
			maps.Copy(out, told)
			out.Set("X-Request-Id", id)
		},
		Response: func(res *http.Response) error {
			g.filter(res.Header, &v)
			if streaming(res) {
				h.live.add(watched)
			}
			return nil
		},
		Failed: func(w http.ResponseWriter, r *http.Request, err error) {
			h.failed(w, r, g, v, err, id)
		},
	})
}

// observe makes the exchange one that can be ended, and one that is decided
// again when it lasts; one of a stranger too, for the next gate may not be open
// to them. The request that comes back is a copy. leave of the stream is called
// at its end.
func (h *Handler) observe(r *http.Request, g *Gate, v Verdict, id string) (*http.Request, *stream) {
	ctx, end := context.WithCancel(r.Context())
	entered := &belief{}
	entered.last.Store(&believed{g, v.Identity})
	s := &stream{allowed: func(silent look) bool {
		who := func(g *Gate) *session.Identity { return entered.by(ctx, g, silent) }
		return h.still(ctx, v, who, id)
	}, end: end}
	timer := time.AfterFunc(settle, func() { h.live.join(s) })
	s.leave = func() {
		timer.Stop()
		h.live.remove(s)
		end()
	}
	return r.WithContext(ctx), s
}

// rebuild makes the request headers an upstream gets: what clients may not
// speak is removed, what the gate knows is set.
func (g *Gate) rebuild(out http.Header, rt *compiled, v *Verdict) {
	g.strip.Strip(out)
	identity.StripCookies(out, v.Site.Owns)
	if v.UsedAuthorization && !rt.PassAuthorization {
		out.Del("Authorization")
	}
	v.Client.SetForwarded(out, v.Site.Host)
}

// filter removes from an answer what would speak for the gate, and keeps
// shared caches from giving one person's answer to another.
func (g *Gate) filter(res http.Header, v *Verdict) {
	identity.FilterResponse(res, v.Site.Owns)
	if g.parts.SharedOrigin {
		identity.FilterSharedOrigin(res)
	}
	if v.Identity != nil {
		identity.Private(res)
	}
	if len(v.Cookies) > 0 {
		identity.NoStore(res)
	}
	res.Del("X-Request-Id")
}

// still decides again about a stream that was allowed, on the gate of now. A
// step-up is no leave to go on: nobody can sign in in the middle of a stream. by
// returns the identity as a gate believes it.
func (h *Handler) still(ctx context.Context, v Verdict, by func(*Gate) *session.Identity, id string) bool {
	g := h.gate()
	v.at = g.now()
	if v.Identity != nil {
		if v.Identity = by(g); v.Identity == nil || !g.lives(v.Identity, v.at) {
			return false
		}
	}
	if g.route(&v) != 0 {
		return false
	}
	rt := &g.routes[v.Route]
	if rt.public {
		return true
	}
	if v.Identity != nil && !rt.takes(string(v.Identity.Credential)) {
		v.Identity = nil
	}
	g.ask(context.WithoutCancel(ctx), &v)
	if v.decision.Outcome == policy.OutcomeAllow {
		return true
	}
	g.record(&v, id)
	return false
}

// lives tells whether a credential that was believed can be believed still.
func (g *Gate) lives(id *session.Identity, now time.Time) bool {
	return g.parts.Revocations.Fresh(now) && !g.parts.Revocations.Revoked(id) && now.Before(id.Expires)
}

// requestID names the request in logs, answers and error pages. A trusted
// proxy may have named it already.
func requestID(r *http.Request, trusted bool) string {
	if given := r.Header.Get("X-Request-Id"); trusted && given != "" && len(given) <= 64 && plain(given) {
		return given
	}
	return rand.Text()
}

// plain tells whether s is letters, digits, '-', '_' and '.' only.
func plain(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

func noStore(h http.Header) { h.Set("Cache-Control", "no-store") }
