package admin

import (
	"net/http"

	"gatehouse/idp/pool"
)

type sessionJSON struct {
	ID        string   `json:"id"`
	Created   string   `json:"created"`
	Seen      string   `json:"seen"`
	Expires   string   `json:"expires"`
	AuthTime  string   `json:"auth_time"`
	AMR       []string `json:"amr"`
	IP        string   `json:"ip,omitempty"`
	UserAgent string   `json:"user_agent,omitempty"`
}

type sessionsJSON struct {
	Sessions []sessionJSON `json:"sessions"`
}

var sessionOperations = []operation{
	{"GET", "/users/{id}/sessions", UsersRead, noBody, listSessions},
	{"DELETE", "/users/{id}/sessions/{session}", UsersWrite, noBody, endSession},
}

// listSessions answers the sign-ins at the provider, the newest first.
func listSessions(c *call) (reply, error) {
	if _, err := c.h.has.Pool.Get(c.Context(), c.segments[0]); err != nil {
		return reply{}, err
	}
	all, err := c.h.has.Sessions.OfUser(c.Context(), c.segments[0])
	if err != nil {
		return reply{}, err
	}
	out := sessionsJSON{Sessions: []sessionJSON{}}
	for _, s := range all {
		out.Sessions = append(out.Sessions, sessionJSON{
			ID: s.ID, Created: stamp(s.Created), Seen: stamp(s.Seen), Expires: stamp(s.Expires), AuthTime: stamp(s.AuthTime),
			AMR: full(s.AMR), IP: s.IP, UserAgent: s.UserAgent,
		})
	}
	return reply{http.StatusOK, out}, nil
}

// endSession ends one sign-in with all that was issued in it.
func endSession(c *call) (reply, error) {
	id, sid := c.segments[0], c.segments[1]
	if err := c.mayChange(id); err != nil {
		return reply{}, err
	}
	all, err := c.h.has.Sessions.OfUser(c.Context(), id)
	if err != nil {
		return reply{}, err
	}
	for _, s := range all {
		if s.ID == sid {
			return reply{}, c.h.has.Mint.EndSession(c.Context(), sid, id)
		}
	}
	return reply{}, pool.ErrNotFound
}
