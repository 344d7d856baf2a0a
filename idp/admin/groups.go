package admin

import (
	"errors"
	"net/http"

	"gatehouse/idp/pool"
	"gatehouse/internal/httpx"
)

type groupJSON struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Precedence  *int   `json:"precedence,omitempty"`
	RoleARN     string `json:"role_arn,omitempty"`
}

type groupsJSON struct {
	Groups []groupJSON `json:"groups"`
}

func describeGroup(g pool.Group) groupJSON {
	return groupJSON{g.Name, g.Description, g.Precedence, g.RoleARN}
}

func describeGroups(groups []pool.Group) groupsJSON {
	out := groupsJSON{Groups: []groupJSON{}}
	for _, g := range groups {
		out.Groups = append(out.Groups, describeGroup(g))
	}
	return out
}

var groupOperations = []operation{
	{"GET", "/groups", GroupsRead, noBody, listGroups},
	{"GET", "/groups/{group}", GroupsRead, noBody, getGroup},
	{"PUT", "/groups/{group}", GroupsWrite, aBody, putGroup},
	{"DELETE", "/groups/{group}", GroupsWrite, noBody, deleteGroup},
}

func listGroups(c *call) (reply, error) {
	groups, err := c.h.has.Pool.ListGroups(c.Context())
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, describeGroups(groups)}, nil
}

func getGroup(c *call) (reply, error) {
	g, err := c.h.has.Pool.FindGroup(c.Context(), c.segments[0])
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, describeGroup(g)}, nil
}

// putGroup makes a group or replaces all of it.
func putGroup(c *call) (reply, error) {
	var in groupJSON
	if err := c.body(&in); err != nil {
		return reply{}, err
	}
	name := c.segments[0]
	if in.Name != "" && in.Name != name {
		return reply{}, httpx.Field("name", "differs from the path; groups are not renamed")
	}
	if err := c.mayFill(name); err != nil {
		return reply{}, err
	}
	status := http.StatusOK
	if _, err := c.h.has.Pool.FindGroup(c.Context(), name); errors.Is(err, pool.ErrNotFound) {
		status = http.StatusCreated
	} else if err != nil {
		return reply{}, err
	}
	g := pool.Group{Name: name, Description: in.Description, Precedence: in.Precedence, RoleARN: in.RoleARN}
	if err := c.h.has.Pool.PutGroup(c.Context(), g); err != nil {
		return reply{}, err
	}
	return reply{status, describeGroup(g)}, nil
}

func deleteGroup(c *call) (reply, error) {
	if err := c.mayFill(c.segments[0]); err != nil {
		return reply{}, err
	}
	return reply{}, c.h.has.Pool.DeleteGroup(c.Context(), c.segments[0])
}
