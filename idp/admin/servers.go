package admin

import (
	"net/http"

	"gatehouse/idp/client"
	"gatehouse/internal/httpx"
)

type serverJSON struct {
	ID     string      `json:"id"`
	Name   string      `json:"name"`
	Scopes []scopeJSON `json:"scopes"`
}

type scopeJSON struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Groups      []string `json:"groups"`
}

type serversJSON struct {
	Servers []serverJSON `json:"resource_servers"`
}

var serverOperations = []operation{
	{"GET", "/resource-servers", ClientsRead, noBody, listServers},
	{"PUT", "/resource-servers/{server}", ClientsWrite, aBody, putServer},
	{"DELETE", "/resource-servers/{server}", ClientsWrite, noBody, deleteServer},
	{"PUT", "/resource-servers/{server}/scopes/{scope}", ClientsWrite, aBody, putScope},
	{"DELETE", "/resource-servers/{server}/scopes/{scope}", ClientsWrite, noBody, deleteScope},
}

func listServers(c *call) (reply, error) {
	servers, err := c.h.has.Clients.Servers(c.Context())
	if err != nil {
		return reply{}, err
	}
	scopes, err := c.h.has.Clients.Scopes(c.Context())
	if err != nil {
		return reply{}, err
	}
	out := serversJSON{Servers: []serverJSON{}}
	for _, s := range servers {
		one := serverJSON{ID: s.ID, Name: s.Name, Scopes: []scopeJSON{}}
		for _, scope := range scopes {
			if scope.Server == s.ID {
				one.Scopes = append(one.Scopes, scopeJSON{scope.Name, scope.Description, full(scope.Groups)})
			}
		}
		out.Servers = append(out.Servers, one)
	}
	return reply{http.StatusOK, out}, nil
}

// own refuses to change the resource server of the administrators' rights: it
// is the configuration's.
func own(server string) error {
	if server == Server {
		return &httpx.Error{Status: http.StatusConflict, Code: "conflict", Public: "this resource server is the configuration's"}
	}
	return nil
}

type putServerJSON struct {
	Name string `json:"name"`
}

func putServer(c *call) (reply, error) {
	var in putServerJSON
	if err := c.body(&in); err != nil {
		return reply{}, err
	}
	id := c.segments[0]
	if err := own(id); err != nil {
		return reply{}, err
	}
	return reply{}, c.h.has.Clients.PutServer(c.Context(), client.ResourceServer{ID: id, Name: in.Name})
}

func deleteServer(c *call) (reply, error) {
	if err := own(c.segments[0]); err != nil {
		return reply{}, err
	}
	return reply{}, c.h.has.Clients.DeleteServer(c.Context(), c.segments[0])
}

type putScopeJSON struct {
	Description string   `json:"description"`
	Groups      []string `json:"groups"`
}

func putScope(c *call) (reply, error) {
	var in putScopeJSON
	if err := c.body(&in); err != nil {
		return reply{}, err
	}
	server, name := c.segments[0], c.segments[1]
	if err := own(server); err != nil {
		return reply{}, err
	}
	for _, g := range in.Groups {
		if _, err := c.h.has.Pool.FindGroup(c.Context(), g); err != nil {
			return reply{}, httpx.Field("groups", "names "+g+", which does not exist")
		}
	}
	return reply{}, c.h.has.Clients.PutScope(c.Context(), client.Scope{Name: name, Server: server, Description: in.Description, Groups: in.Groups})
}

func deleteScope(c *call) (reply, error) {
	server, name := c.segments[0], c.segments[1]
	if err := own(server); err != nil {
		return reply{}, err
	}
	scopes, err := c.h.has.Clients.Scopes(c.Context())
	if err != nil {
		return reply{}, err
	}
	for _, s := range scopes {
		if s.Name == name && s.Server == server {
			return reply{}, c.h.has.Clients.DeleteScope(c.Context(), name)
		}
	}
	return reply{}, client.ErrNotFound
}
