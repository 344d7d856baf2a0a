package admin

import (
	"net/http"
	"slices"
	"time"

	"gatehouse/idp/client"
	"gatehouse/internal/httpx"
)

// clientJSON is an app client. Lifetimes are in seconds. Managed, SecretIDs,
// Created and Updated are told and not taken.
type clientJSON struct {
	ID              string       `json:"client_id"`
	Name            string       `json:"name"`
	Public          bool         `json:"public"`
	Grants          []string     `json:"grants"`
	Scopes          []string     `json:"scopes"`
	RedirectURIs    []string     `json:"redirect_uris"`
	SignOutURIs     []string     `json:"sign_out_uris"`
	AccessTTL       int64        `json:"access_ttl"`
	IDTTL           int64        `json:"id_ttl"`
	RefreshTTL      int64        `json:"refresh_ttl"`
	RefreshGrace    *int64       `json:"refresh_grace,omitempty"`
	ReadAttributes  []string     `json:"read_attributes,omitzero"`
	WriteAttributes []string     `json:"write_attributes,omitzero"`
	Revocation      *bool        `json:"revocation,omitempty"`
	Managed         bool         `json:"managed,omitempty"`
	Secrets         []secretJSON `json:"secrets,omitempty"`
	Created         string       `json:"created,omitempty"`
	Updated         string       `json:"updated,omitempty"`
}

// secretJSON is a secret of a client; Secret is there only where it was just
// made.
type secretJSON struct {
	ID      string `json:"id"`
	Secret  string `json:"secret,omitempty"`
	Created string `json:"created"`
}

type clientsJSON struct {
	Clients []clientJSON `json:"clients"`
}

func describeClient(c client.Client) clientJSON {
	out := clientJSON{
		ID: c.ID, Name: c.Name, Public: c.Public, Grants: full(c.Grants), Scopes: full(c.Scopes), RedirectURIs: full(c.RedirectURIs),
		SignOutURIs: full(c.SignOutURIs), AccessTTL: seconds(c.AccessTTL), IDTTL: seconds(c.IDTTL), RefreshTTL: seconds(c.RefreshTTL),
		ReadAttributes: c.ReadAttributes, WriteAttributes: c.WriteAttributes, Revocation: new(!c.NoRevocation), Managed: c.Managed,
		Created: stamp(c.Created), Updated: stamp(c.Updated),
	}
	if c.RefreshGrace != nil {
		out.RefreshGrace = new(seconds(*c.RefreshGrace))
	}
	for _, s := range c.Secrets {
		out.Secrets = append(out.Secrets, secretJSON{ID: s.ID, Created: stamp(s.Created)})
	}
	return out
}

// client returns what in describes; what is told and not taken is refused.
func (in clientJSON) client() (client.Client, error) {
	if in.Managed || len(in.Secrets) > 0 || in.Created != "" || in.Updated != "" {
		return client.Client{}, httpx.Field("managed, secrets, created, updated", "cannot be set")
	}
	c := client.Client{
		ID: in.ID, Name: in.Name, Public: in.Public, Grants: in.Grants, Scopes: in.Scopes, RedirectURIs: in.RedirectURIs,
		SignOutURIs: in.SignOutURIs, AccessTTL: span(in.AccessTTL), IDTTL: span(in.IDTTL), RefreshTTL: span(in.RefreshTTL),
		ReadAttributes: in.ReadAttributes, WriteAttributes: in.WriteAttributes, NoRevocation: in.Revocation != nil && !*in.Revocation,
	}
	if in.RefreshGrace != nil {
		c.RefreshGrace = new(span(*in.RefreshGrace))
	}
	return c, nil
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// maxSpan keeps a number of seconds within a time.Duration; no bound of a client
// is near it.
const maxSpan = 1 << 32

func span(s int64) time.Duration { return time.Duration(max(min(s, maxSpan), -1)) * time.Second }

// full returns all, and an empty list for none: null is not a list.
func full(all []string) []string {
	if all == nil {
		return []string{}
	}
	return all
}

var clientOperations = []operation{
	{"GET", "/clients", ClientsRead, noBody, listClients},
	{"POST", "/clients", ClientsWrite, aBody, addClient},
	{"GET", "/clients/{client}", ClientsRead, noBody, getClient},
	{"PUT", "/clients/{client}", ClientsWrite, aBody, putClient},
	{"DELETE", "/clients/{client}", ClientsWrite, noBody, deleteClient},
	{"POST", "/clients/{client}/secrets", ClientsWrite, noBody, addSecret},
	{"DELETE", "/clients/{client}/secrets/{secret}", ClientsWrite, noBody, deleteSecret},
}

func listClients(c *call) (reply, error) {
	all, err := c.h.has.Clients.List(c.Context())
	if err != nil {
		return reply{}, err
	}
	out := clientsJSON{Clients: []clientJSON{}}
	for _, one := range all {
		out.Clients = append(out.Clients, describeClient(one))
	}
	return reply{http.StatusOK, out}, nil
}

func getClient(c *call) (reply, error) {
	one, err := c.h.has.Clients.Find(c.Context(), c.segments[0])
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, describeClient(one)}, nil
}

func addClient(c *call) (reply, error) {
	var in clientJSON
	if err := c.body(&in); err != nil {
		return reply{}, err
	}
	n, err := in.client()
	if err != nil {
		return reply{}, err
	}
	// Also of one that the configuration names and that is not there (any more).
	if err := c.mayTouchClient(n.ID); err != nil {
		return reply{}, err
	}
	if err := c.mayRegister(n); err != nil {
		return reply{}, err
	}
	made, secret, err := c.h.has.Clients.Create(c.Context(), n)
	if err != nil {
		return reply{}, err
	}
	out := describeClient(made)
	for i := range out.Secrets {
		out.Secrets[i].Secret = secret
	}
	return reply{http.StatusCreated, out}, nil
}

// putClient replaces all of a client that is there but its secrets.
func putClient(c *call) (reply, error) {
	var in clientJSON
	if err := c.body(&in); err != nil {
		return reply{}, err
	}
	if in.ID != "" && in.ID != c.segments[0] {
		return reply{}, httpx.Field("client_id", "differs from the path; clients are not renamed")
	}
	in.ID = c.segments[0]
	n, err := in.client()
	if err != nil {
		return reply{}, err
	}
	if err := c.mayTouchClient(in.ID); err != nil {
		return reply{}, err
	}
	if err := c.mayRegister(n); err != nil {
		return reply{}, err
	}
	if err := c.h.has.Clients.Update(c.Context(), n); err != nil {
		return reply{}, err
	}
	return getClient(c)
}

// mayRegister refuses a client with a scope that is a right which the caller
// lacks, or with a scope that does not exist: it would silently never be given.
func (c *call) mayRegister(n client.Client) error {
	known, err := c.h.has.Clients.Scopes(c.Context())
	if err != nil {
		return err
	}
	wanted := rights{}
	for _, name := range n.Scopes {
		exists := client.Standard(name) || slices.ContainsFunc(known, func(s client.Scope) bool { return s.Name == name })
		if !exists {
			return httpx.Field("scopes", "names "+name+", which does not exist")
		}
		if slices.Contains(Rights(), name) {
			wanted[name] = true
		}
	}
	return c.mayGive(wanted)
}

// mayTouchClient refuses to change a client that administers with rights that the
// caller lacks: its secret, or where its codes go, is the way to them.
func (c *call) mayTouchClient(id string) error {
	given := listed(c.h.has.Config.Machines[id])
	if slices.Contains(c.h.has.Config.Clients, id) {
		for _, group := range c.h.has.Config.Groups {
			for name := range listed(group) {
				given[name] = true
			}
		}
	}
	return c.mayGive(given)
}

func deleteClient(c *call) (reply, error) {
	if err := c.mayTouchClient(c.segments[0]); err != nil {
		return reply{}, err
	}
	return reply{}, c.h.has.Clients.Delete(c.Context(), c.segments[0])
}

func addSecret(c *call) (reply, error) {
	if err := c.mayTouchClient(c.segments[0]); err != nil {
		return reply{}, err
	}
	s, value, err := c.h.has.Clients.AddSecret(c.Context(), c.segments[0])
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusCreated, secretJSON{ID: s.ID, Secret: value, Created: stamp(s.Created)}}, nil
}

func deleteSecret(c *call) (reply, error) {
	if err := c.mayTouchClient(c.segments[0]); err != nil {
		return reply{}, err
	}
	return reply{}, c.h.has.Clients.RemoveSecret(c.Context(), c.segments[0], c.segments[1])
}
