package admin

import (
	"context"
	"net/http"

	"gatehouse/idp/pool"
	"gatehouse/internal/httpx"
)

// changed returns the operation that does one thing to the user of the path.
func changed(do func(p *pool.Pool, ctx context.Context, id string) error) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		if err := c.mayChange(c.segments[0]); err != nil {
			return reply{}, err
		}
		return reply{}, do(c.h.has.Pool, c.Context(), c.segments[0])
	}
}

// body reads the request's body.
func (c *call) body(v any) error { return httpx.ReadJSON(c.w, c.Request, httpx.MaxJSON, v) }

var memberOperations = []operation{
	{"GET", "/users/{id}/groups", GroupsRead, noBody, groupsOfUser},
	{"PUT", "/users/{id}/groups/{group}", GroupsWrite, noBody, member((*pool.Pool).AddToGroup)},
	{"DELETE", "/users/{id}/groups/{group}", GroupsWrite, noBody, member((*pool.Pool).RemoveFromGroup)},
	{"GET", "/groups/{group}/users", GroupsRead, noBody, usersOfGroup},
}

func groupsOfUser(c *call) (reply, error) {
	if _, err := c.h.has.Pool.Get(c.Context(), c.segments[0]); err != nil {
		return reply{}, err
	}
	groups, err := c.h.has.Pool.GroupsOf(c.Context(), c.segments[0])
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, describeGroups(groups)}, nil
}

func usersOfGroup(c *call) (reply, error) {
	users, err := c.h.has.Pool.UsersIn(c.Context(), c.segments[0])
	if err != nil {
		return reply{}, err
	}
	out := usersJSON{Users: []userJSON{}}
	for _, u := range users {
		out.Users = append(out.Users, describeUser(u))
	}
	return reply{http.StatusOK, out}, nil
}

// member returns the operation that puts a user into a group or takes them out:
// neither may move a right that the caller lacks.
func member(do func(p *pool.Pool, ctx context.Context, id, group string) error) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		id, group := c.segments[0], c.segments[1]
		if err := c.mayChange(id); err != nil {
			return reply{}, err
		}
		if err := c.mayFill(group); err != nil {
			return reply{}, err
		}
		return reply{}, do(c.h.has.Pool, c.Context(), id, group)
	}
}

// mayFill refuses a change of who is in a group that gives a right the caller
// lacks: administrators' rights, or a scope tied to the group that is one.
func (c *call) mayFill(group string) error { return c.mayGive(listed(c.h.has.Config.Groups[group])) }
