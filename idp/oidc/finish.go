package oidc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/idp/client"
	"gatehouse/idp/signin"
	"gatehouse/idp/sso"
	"gatehouse/internal/audit"
)

// Finish goes on with a request whose sign-in is complete: it ends the flow, begins
// the provider's session and issues the code, all or nothing; or asks next if more
// is missing.
func (h *Handler) Finish(w http.ResponseWriter, r *http.Request, done signin.Done) error {
	req, c, err := h.waiting(r.Context(), done.Pending)
	if err != nil {
		return err
	}
	if req.Subject != "" && req.Subject != done.User.ID {
		return h.otherPerson(w, r, req, done)
	}
	v := &visitor{user: done.User, fresh: done.Pending.Known == nil}
	var answer url.Values
	if err := h.beginSession(w, r, done, func(ctx context.Context, s sso.Session) (err error) {
		if v.session = s; lacking(req, v, h.Now()) == lackNothing {
			answer, err = h.answer(ctx, c, req, v)
		}
		return err
	}); err != nil {
		return err
	}
	if answer != nil {
		return h.back(w, r, req, answer)
	}
	return h.next(w, r, c, req, v)
}

// BeginSession ends the flow of a complete sign-in and begins the provider's
// session of the browser that sent r, both or neither; the browser gets the
// session's cookie with w. It returns signin.ErrUsed when the flow has ended
// before, signin.ErrFlowNotFound when what it went on from is gone, and else an
// *httpx.Error.
func (h *Handler) BeginSession(w http.ResponseWriter, r *http.Request, done signin.Done) error {
	return h.beginSession(w, r, done, func(context.Context, sso.Session) error { return nil })
}

// beginSession is BeginSession with more to do in its transaction.
func (h *Handler) beginSession(w http.ResponseWriter, r *http.Request, done signin.Done, also func(context.Context, sso.Session) error) error {
	ticket, err := h.signedIn(r, done, also)
	if errors.Is(err, signin.ErrUsed) || errors.Is(err, signin.ErrFlowNotFound) {
		return err
	}
	if err != nil {
		return unavailable(err)
	}
	h.SSO.SetCookie(w, ticket)
	return nil
}

// otherPerson refuses a sign-in of somebody who was not asked for. The flow
// ends, and that is all: whoever was signed in here before stays so.
func (h *Handler) otherPerson(w http.ResponseWriter, r *http.Request, req *Request, done signin.Done) error {
	err := h.Journal.InTx(r.Context(), func(ctx context.Context) error { return h.Machine.Close(ctx, done) })
	if errors.Is(err, signin.ErrUsed) || errors.Is(err, signin.ErrFlowNotFound) {
		return err
	}
	if err != nil {
		return unavailable(err)
	}
	return h.deny(w, r, req, refuse("login_required", "another person signed in"))
}

// signedIn writes all that a sign-in changes, in one transaction, and what also
// writes.
func (h *Handler) signedIn(r *http.Request, done signin.Done, also func(context.Context, sso.Session) error) (ticket string, err error) {
	address := ""
	if ip := h.ClientIP(r); ip.IsValid() {
		address = ip.String()
	}
	ctx := audit.WithActor(r.Context(), audit.Actor{Name: done.User.Username, IP: address})
	err = h.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := h.Machine.Close(ctx, done); err != nil {
			return err
		}
		// Inside the transaction, so that a session that is being revoked right
		// now is not gone on with.
		before, err := h.SSO.Find(ctx, r)
		if err != nil && !sso.IsNone(err) {
			return err
		}
		start := sso.Start{
			UserID: done.User.ID, AuthTime: done.AuthTime, AMR: done.AMR,
			IP: address, UserAgent: r.UserAgent(), Previous: before,
		}
		if demanded := done.Pending.Demands(); demanded != "" {
			// A second factor alone brings no session back that was signed out.
			if before.ID != demanded || !h.Now().Before(before.Expires) {
				return signin.ErrFlowNotFound
			}
			start.Expires = before.Expires
		}
		if before.ID != "" && before.UserID != done.User.ID {
			// One browser, one person: who was here before is signed out.
			if err := h.Mint.EndSession(ctx, before.ID, before.UserID); err != nil {
				return err
			}
		}
		var s sso.Session
		if s, ticket, err = h.SSO.Begin(ctx, start); err != nil {
			return err
		}
		if h.SignedIn != nil {
			if err := h.SignedIn(ctx, done.User.ID); err != nil {
				return err
			}
		}
		if err := h.Journal.Append(ctx, audit.Event{Type: "user.signed_in", Target: done.User.ID, Detail: map[string]string{
			"sid": s.ID, "amr": strings.Join(s.AMR, " "), "for": cmp.Or(done.Pending.For, "client"),
		}}); err != nil {
			return err
		}
		return also(ctx, s)
	})
	return ticket, err
}

// Unmet answers a request that a sign-in cannot meet: it demands a second
// factor, and the person can have none.
func (h *Handler) Unmet(w http.ResponseWriter, r *http.Request, p signin.Pending) error {
	req, _, err := h.waiting(r.Context(), p)
	if err != nil {
		return err
	}
	return h.deny(w, r, req, refuse(codeUnmet, "the person has no second factor"))
}

// waiting returns the request that waits for a sign-in, and its client, which
// may have changed while the person typed.
func (h *Handler) waiting(ctx context.Context, p signin.Pending) (*Request, client.Client, error) {
	var req Request
	if err := json.Unmarshal(p.Request, &req); err != nil {
		return nil, client.Client{}, err
	}
	c, err := h.Clients.Find(ctx, req.ClientID)
	if errors.Is(err, client.ErrNotFound) || err == nil && !allowsRedirect(c.RedirectURIs, c.Public, req.RedirectURI) {
		return nil, client.Client{}, bad("unknown_client", "the application is not known here any more", err)
	}
	if err != nil {
		return nil, client.Client{}, unavailable(err)
	}
	return &req, c, nil
}
