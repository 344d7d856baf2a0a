package proxy

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"gatehouse/internal/httpx"
	"gatehouse/policy"
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
	x := &exchange{h: h, g: g, number: rand.Uint64(), came: r}
	x.out.ResponseWriter = w
	if g.parts.Observer != nil {
		x.began = time.Now()
		defer x.report()
	}
	ok := g.locate(r, &x.v)
	x.name(r)
	x.serve(&x.out, r, ok)
	if x.relay != nil {
		// From here, so that a web socket keeps no deep stack for as long as it lasts.
		defer x.leave()
		x.relay()
	}
}

// serve answers a request that has been located, if ok.
func (x *exchange) serve(w http.ResponseWriter, r *http.Request, ok bool) {
	g, v := x.g, &x.v
	switch {
	case !ok:
		x.refuse(w, r)
	case g.parts.SharedOrigin && len(r.Header["Service-Worker"]) > 0:
		v.refuse(http.StatusForbidden, ReasonOrigin)
		x.refuse(w, r)
	case v.mount != nil:
		mounted(w, r, v, x.id())
	case ours(v.Request.Path):
		x.serveOurs(w, r)
	default:
		g.decide(w, r, v)
		defer v.body.Release()
		g.record(v, x.id())
		if v.Action != Forward {
			x.answer(w, r)
			return
		}
		x.setCookies()
		x.forward(r)
	}
}

// mounted hands a request to the handler that owns its host or prefix, with
// the client's address and the request's name where a handler looks for them.
func mounted(w http.ResponseWriter, r *http.Request, v *Verdict, id string) {
	hurry(w, r)
	r = r.WithContext(httpx.WithRequestID(r.Context(), id))
	r.RemoteAddr = net.JoinHostPort(v.Client.Addr.String(), "0")
	v.mount.Handler.ServeHTTP(w, r)
}

// answer writes what was decided, if nothing is forwarded.
func (x *exchange) answer(w http.ResponseWriter, r *http.Request) {
	v := &x.v
	x.setCookies()
	if v.Action != Redirect {
		x.refuse(w, r)
		return
	}
	transportSecurity(w, v.Site)
	noStore(w.Header())
	w.Header().Set("Location", v.Location)
	w.WriteHeader(v.Status)
}

// still decides again about a stream that was allowed, on the gate of now. A
// step-up is no leave to go on: nobody can sign in in the middle of a stream. by
// returns the identity as a gate believes it.
func (h *Handler) still(ctx context.Context, v Verdict, by func(*Gate) *session.Identity, id string) bool {
	g := h.gate()
	v.at, v.known = g.now(), nil
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
