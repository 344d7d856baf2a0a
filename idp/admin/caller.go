package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"gatehouse/idp/password"
	"gatehouse/idp/pool"
	"gatehouse/idp/token"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpx"
)

// caller is who administers.
type caller struct {
	client string
	// user is nil for a machine.
	user *pool.User
	// rights are what this token may do; own is all that its person or machine
	// may do, and so give to others.
	rights, own rights
}

// authenticate returns who sent r. Cookies do not count here: a browser sends
// them along by itself.
func (h *Handler) authenticate(r *http.Request) (caller, error) {
	compact, err := bearer(r)
	if err != nil {
		return caller{}, err
	}
	access, err := h.has.Mint.Introspect(r.Context(), compact)
	if errors.Is(err, token.ErrInvalidToken) {
		return caller{}, invalid(err)
	}
	if err != nil {
		return caller{}, busy(err)
	}
	who := caller{client: access.ClientID, user: access.User}
	switch {
	case access.User == nil:
		who.own = listed(h.has.Config.Machines[access.ClientID])
	case slices.Contains(h.has.Config.Clients, access.ClientID):
		if who.own, err = h.rightsOf(r.Context(), access.User.ID); err != nil {
			return caller{}, busy(err)
		}
	}
	who.rights = rights{}
	for _, scope := range access.Scopes {
		if who.own[scope] {
			who.rights[scope] = true
		}
	}
	return who, nil
}

// rightsOf returns the rights that the groups of a user give now.
func (h *Handler) rightsOf(ctx context.Context, userID string) (rights, error) {
	groups, err := h.has.Pool.GroupsOf(ctx, userID)
	if err != nil {
		return nil, err
	}
	set := rights{}
	for _, g := range groups {
		for name := range listed(h.has.Config.Groups[g.Name]) {
			set[name] = true
		}
	}
	return set, nil
}

// may refuses what needs a right that this token does not carry.
func (w caller) may(right string) error {
	if w.rights[right] {
		return nil
	}
	return &httpx.Error{
		Status: http.StatusForbidden, Code: "insufficient_scope", Public: "this needs the right " + right,
		Challenge: `Bearer realm="gatehouse", error="insufficient_scope", scope="` + right + `"`,
	}
}

// mayChange refuses to touch a user who has a right that the caller lacks:
// whoever sets that person's password has that right the next minute.
func (c *call) mayChange(userID string) error {
	theirs, err := c.h.rightsOf(c.Context(), userID)
	if err != nil {
		return err
	}
	return c.mayGive(theirs)
}

// mayGive refuses to hand on a right that the caller lacks.
func (c *call) mayGive(given rights) error {
	if given.within(c.caller.own) {
		return nil
	}
	return &httpx.Error{
		Status: http.StatusForbidden, Code: "above_own_rights",
		Public: "this concerns somebody, or something, with more rights than yours",
	}
}

func (h *Handler) actor(r *http.Request, who caller) audit.Actor {
	a := audit.Actor{Name: "client:" + who.client}
	if who.user != nil {
		a.Name = who.user.Username
	}
	if ip := h.has.ClientIP(r); ip.IsValid() {
		a.IP = ip.String()
	}
	return a
}

// bearer returns the one bearer token of r.
func bearer(r *http.Request) (string, error) {
	lines := r.Header.Values("Authorization")
	if len(lines) > 1 {
		return "", &httpx.Error{Status: http.StatusBadRequest, Public: "there is more than one Authorization header"}
	}
	if len(lines) == 1 {
		scheme, rest, _ := strings.Cut(lines[0], " ")
		if strings.EqualFold(scheme, "Bearer") && rest != "" {
			return rest, nil
		}
	}
	return "", &httpx.Error{
		Status: http.StatusUnauthorized, Code: "invalid_token", Public: "an access token is needed", Challenge: `Bearer realm="gatehouse"`,
	}
}

func invalid(err error) error {
	return &httpx.Error{
		Status: http.StatusUnauthorized, Code: "invalid_token", Public: "the access token is expired, revoked or not ours", Err: err,
		Challenge: `Bearer realm="gatehouse", error="invalid_token"`,
	}
}

// busy is the answer when the store, or the queue of hashes, cannot serve.
func busy(err error) error {
	if errors.Is(err, password.ErrBusy) {
		return &httpx.Error{Status: http.StatusServiceUnavailable, RetryAfter: 1e9, Public: "too many passwords are being hashed", Err: err}
	}
	return err
}
