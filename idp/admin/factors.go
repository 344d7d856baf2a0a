package admin

import (
	"net/http"

	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
)

type factorJSON struct {
	Kind    string `json:"kind"`
	ID      string `json:"id,omitempty"`
	Name    string `json:"name,omitempty"`
	Created string `json:"created"`
	Used    string `json:"used,omitempty"`
}

type factorsJSON struct {
	Factors      []factorJSON `json:"factors"`
	Preferred    string       `json:"preferred,omitempty"`
	RecoveryLeft int          `json:"recovery_codes_left"`
}

var factorOperations = []operation{
	{"GET", "/users/{id}/factors", UsersRead, noBody, listFactors},
	{"DELETE", "/users/{id}/factors", UsersWrite, noBody, resetFactors},
	{"DELETE", "/users/{id}/factors/{kind}", UsersWrite, noBody, removeFactor},
	{"DELETE", "/users/{id}/factors/{kind}/{factor}", UsersWrite, noBody, removeFactor},
}

func listFactors(c *call) (reply, error) {
	if _, err := c.h.has.Pool.Get(c.Context(), c.segments[0]); err != nil {
		return reply{}, err
	}
	set, err := c.h.has.Factors.Of(c.Context(), c.segments[0])
	if err != nil {
		return reply{}, err
	}
	out := factorsJSON{Factors: []factorJSON{}, Preferred: string(set.Preferred), RecoveryLeft: set.RecoveryLeft}
	for _, f := range set.Factors {
		one := factorJSON{Kind: string(f.Kind), ID: f.ID, Name: f.Name, Created: stamp(f.Created)}
		if !f.Used.IsZero() {
			one.Used = stamp(f.Used)
		}
		out.Factors = append(out.Factors, one)
	}
	return reply{http.StatusOK, out}, nil
}

// resetFactors removes every factor of a person who has lost them.
func resetFactors(c *call) (reply, error) {
	id := c.segments[0]
	if err := c.mayChange(id); err != nil {
		return reply{}, err
	}
	if _, err := c.h.has.Pool.Get(c.Context(), id); err != nil {
		return reply{}, err
	}
	return reply{}, c.h.has.Factors.Reset(c.Context(), id)
}

// removeFactor removes one factor; a passkey is told apart by its id.
func removeFactor(c *call) (reply, error) {
	id := c.segments[0]
	if err := c.mayChange(id); err != nil {
		return reply{}, err
	}
	u, err := c.h.has.Pool.Get(c.Context(), id)
	if err != nil {
		return reply{}, err
	}
	groups, err := c.h.has.Pool.GroupsOf(c.Context(), id)
	if err != nil {
		return reply{}, err
	}
	one := ""
	if len(c.segments) > 2 {
		one = c.segments[2]
	}
	who := mfa.Person{ID: u.ID, Name: u.Username, Groups: pool.Names(groups)}
	return reply{}, c.h.has.Factors.Remove(c.Context(), who, mfa.Kind(c.segments[1]), one)
}
