package admin

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"gatehouse/idp/pool"
	"gatehouse/internal/httpx"
)

// pageSize is how many users a page has when the caller does not say, maxPage
// how many at most.
const (
	pageSize = 50
	maxPage  = 500
)

// userJSON is a user as told; never the hash of the password.
type userJSON struct {
	ID            string            `json:"id"`
	Username      string            `json:"username"`
	Email         string            `json:"email,omitempty"`
	EmailVerified bool              `json:"email_verified"`
	Phone         string            `json:"phone_number,omitempty"`
	PhoneVerified bool              `json:"phone_number_verified"`
	Name          string            `json:"name,omitempty"`
	Attributes    map[string]string `json:"attributes"`
	Enabled       bool              `json:"enabled"`
	Status        string            `json:"status"`
	Created       string            `json:"created"`
	Updated       string            `json:"updated"`
}

func describeUser(u pool.User) userJSON {
	if u.Attributes == nil {
		u.Attributes = map[string]string{}
	}
	return userJSON{
		ID: u.ID, Username: u.Username, Email: u.Email, EmailVerified: u.EmailVerified, Phone: u.Phone, PhoneVerified: u.PhoneVerified,
		Name: u.Name, Attributes: u.Attributes, Enabled: u.Enabled, Status: string(u.Status), Created: stamp(u.Created), Updated: stamp(u.Updated),
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

var userOperations = []operation{
	{"GET", "/users", UsersRead, noBody, listUsers},
	{"POST", "/users", UsersWrite, aBody, addUser},
	{"GET", "/users/{id}", UsersRead, noBody, getUser},
	{"PATCH", "/users/{id}", UsersWrite, aBody, patchUser},
	{"DELETE", "/users/{id}", UsersWrite, noBody, deleteUser},
	{"PUT", "/users/{id}/password", UsersWrite, aBody, putPassword},
	{"POST", "/users/{id}/invite", UsersWrite, noBody, inviteAgain},
	{"POST", "/users/{id}/disable", UsersWrite, noBody, changed((*pool.Pool).Disable)},
	{"POST", "/users/{id}/enable", UsersWrite, noBody, changed((*pool.Pool).Enable)},
	{"POST", "/users/{id}/require-reset", UsersWrite, noBody, changed((*pool.Pool).RequireReset)},
	{"POST", "/users/{id}/sign-out", UsersWrite, noBody, changed((*pool.Pool).SignOut)},
}

type usersJSON struct {
	Users []userJSON `json:"users"`
	// Next is what the next page comes after; absent on the last one.
	Next string `json:"next,omitempty"`
}

// listUsers answers a page of users in the order of their usernames, or the one
// user whose name to sign in with is given.
func listUsers(c *call) (reply, error) {
	if c.query.Has("name") {
		if c.query.Has("after") || c.query.Has("limit") {
			return reply{}, httpx.Field("name", "asks for one user: leave out after and limit")
		}
		u, err := c.h.has.Pool.Find(c.Context(), c.query.Get("name"))
		if errors.Is(err, pool.ErrNotFound) {
			return reply{http.StatusOK, usersJSON{Users: []userJSON{}}}, nil
		}
		if err != nil {
			return reply{}, err
		}
		return reply{http.StatusOK, usersJSON{Users: []userJSON{describeUser(u)}}}, nil
	}
	limit, err := c.limit()
	if err != nil {
		return reply{}, err
	}
	// One more than asked for tells whether there is a next page.
	all, err := c.h.has.Pool.List(c.Context(), c.query.Get("after"), limit+1)
	if err != nil {
		return reply{}, err
	}
	out := usersJSON{Users: []userJSON{}}
	if len(all) > limit {
		all = all[:limit]
		out.Next = all[limit-1].Username
	}
	for _, u := range all {
		out.Users = append(out.Users, describeUser(u))
	}
	return reply{http.StatusOK, out}, nil
}

// limit reads the query parameter of that name.
func (c *call) limit() (int, error) {
	if !c.query.Has("limit") {
		return pageSize, nil
	}
	n, err := strconv.Atoi(c.query.Get("limit"))
	if err != nil || n < 1 || n > maxPage {
		return 0, httpx.Field("limit", "is a number from 1 to "+strconv.Itoa(maxPage))
	}
	return n, nil
}

type newUserJSON struct {
	Username      string            `json:"username"`
	Email         string            `json:"email"`
	EmailVerified bool              `json:"email_verified"`
	Phone         string            `json:"phone_number"`
	PhoneVerified bool              `json:"phone_number_verified"`
	Name          string            `json:"name"`
	Attributes    map[string]string `json:"attributes"`
	Password      string            `json:"password"`
	Temporary     bool              `json:"temporary"`
	Groups        []string          `json:"groups"`
	Invite        bool              `json:"invite"`
}

// addUser makes a user. Groups besides are a change of who is in them.
func addUser(c *call) (reply, error) {
	var in newUserJSON
	if err := c.body(&in); err != nil {
		return reply{}, err
	}
	if len(in.Groups) > 0 {
		if err := c.caller.may(GroupsWrite); err != nil {
			return reply{}, err
		}
	}
	if in.Temporary && in.Password == "" && !in.Invite {
		return reply{}, httpx.Field("temporary", "is said of a password, and there is none")
	}
	for _, g := range in.Groups {
		if err := c.mayFill(g); err != nil {
			return reply{}, err
		}
	}
	add := c.h.has.Pool.Add
	if in.Invite {
		if in.Password != "" || in.Temporary {
			return reply{}, httpx.Field("invite", "is for people who choose a password themselves: leave out password and temporary")
		}
		add = c.h.has.Accounts.Invite
	}
	u, err := add(c.Context(), pool.NewUser{
		Username: in.Username, Email: in.Email, EmailVerified: in.EmailVerified, Phone: in.Phone, PhoneVerified: in.PhoneVerified,
		Name: in.Name, Attributes: in.Attributes, Password: in.Password, Temporary: in.Temporary, Groups: in.Groups,
	})
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusCreated, describeUser(u)}, nil
}

// inviteAgain sends another link to somebody who was invited.
func inviteAgain(c *call) (reply, error) {
	id := c.segments[0]
	if err := c.mayChange(id); err != nil {
		return reply{}, err
	}
	return reply{}, c.h.has.Accounts.InviteAgain(c.Context(), id)
}

func getUser(c *call) (reply, error) {
	u, err := c.h.has.Pool.Get(c.Context(), c.segments[0])
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, describeUser(u)}, nil
}

type patchUserJSON struct {
	Email         *string            `json:"email"`
	EmailVerified *bool              `json:"email_verified"`
	Phone         *string            `json:"phone_number"`
	PhoneVerified *bool              `json:"phone_number_verified"`
	Name          *string            `json:"name"`
	Attributes    map[string]*string `json:"attributes"`
}

// patchUser changes the fields that are there (RFC 7396): an attribute that is
// null goes.
func patchUser(c *call) (reply, error) {
	var in patchUserJSON
	if err := c.body(&in); err != nil {
		return reply{}, err
	}
	id := c.segments[0]
	if err := c.mayChange(id); err != nil {
		return reply{}, err
	}
	attributes := map[string]string{}
	for name, value := range in.Attributes {
		attributes[name] = ""
		if value != nil {
			attributes[name] = *value
		}
	}
	err := c.h.has.Pool.Change(c.Context(), id, pool.Changes{
		Email: in.Email, EmailVerified: in.EmailVerified, Phone: in.Phone, PhoneVerified: in.PhoneVerified, Name: in.Name, Attributes: attributes,
	})
	if err != nil {
		return reply{}, err
	}
	return getUser(c)
}

func deleteUser(c *call) (reply, error) { return changed((*pool.Pool).Delete)(c) }

type passwordJSON struct {
	Password  string `json:"password"`
	Temporary bool   `json:"temporary"`
}

func putPassword(c *call) (reply, error) {
	var in passwordJSON
	if err := c.body(&in); err != nil {
		return reply{}, err
	}
	id := c.segments[0]
	if err := c.mayChange(id); err != nil {
		return reply{}, err
	}
	status := pool.Confirmed
	if in.Temporary {
		status = pool.ForceChangePassword
	}
	return reply{}, c.h.has.Pool.SetPassword(c.Context(), id, in.Password, status)
}
