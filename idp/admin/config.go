package admin

import (
	"slices"

	"gatehouse/internal/conf"
)

// The rights of administrators; each is a scope of the same name.
const (
	UsersRead    = "admin.users.read"
	UsersWrite   = "admin.users.write"
	GroupsRead   = "admin.groups.read"
	GroupsWrite  = "admin.groups.write"
	ClientsRead  = "admin.clients.read"
	ClientsWrite = "admin.clients.write"
	EventsRead   = "admin.events.read"
)

// Server is the id of the resource server that the rights belong to; the
// configuration alone makes it.
const Server = "gatehouse-admin"

// Rights returns all rights; the caller may change the slice.
func Rights() []string {
	return []string{UsersRead, UsersWrite, GroupsRead, GroupsWrite, ClientsRead, ClientsWrite, EventsRead}
}

// Config is the section `idp.admin`: who may use the provider's REST interface,
// below /admin/v1 of the issuer. Without the section there is none.
type Config struct {
	// Clients are the app clients whose tokens may administer on behalf of a
	// person. Default none.
	Clients []string `yaml:"clients"`
	// Groups gives rights to members of groups, by the names of the groups:
	// admin.users.read, admin.users.write, and the same for groups and clients,
	// admin.events.read, or all. Nobody changes a person who has a right they
	// lack, or gives away one. Default none.
	Groups map[string][]string `yaml:"groups"`
	// Machines gives rights to confidential app clients that administer by
	// themselves, by their ids: whoever has such a client's secret has the
	// right, without a person and a second factor. Default none.
	Machines map[string][]string `yaml:"machines"`
}

// all is the word for every right.
const all = "all"

// Check reports what is wrong with the section.
func (c *Config) Check(r *conf.Report) {
	if len(c.Groups) == 0 && len(c.Machines) == 0 {
		r.Errorf(&c.Groups, "idp.admin gives rights to nobody: name groups, or machines")
	}
	if len(c.Groups) > 0 && len(c.Clients) == 0 {
		r.Errorf(&c.Clients, "idp.admin.clients is empty, so the groups have no client to administer with")
	}
	for _, given := range []struct {
		what string
		at   any
		to   map[string][]string
	}{{"groups", &c.Groups, c.Groups}, {"machines", &c.Machines, c.Machines}} {
		for name, rights := range given.to {
			if len(rights) == 0 {
				r.Errorf(given.at, "idp.admin.%s.%s has no rights", given.what, name)
			}
			for _, right := range rights {
				if right != all && !slices.Contains(Rights(), right) {
					r.Errorf(given.at, "idp.admin.%s.%s: %q is no right; there are all, %v", given.what, name, right, Rights())
				}
			}
		}
	}
}

// rights is a set of rights.
type rights map[string]bool

// listed returns the rights of a list in the configuration.
func listed(names []string) rights {
	set := rights{}
	for _, name := range names {
		if name == all {
			names = Rights()
			break
		}
	}
	for _, name := range names {
		set[name] = true
	}
	return set
}

// within reports whether other has all of r.
func (r rights) within(other rights) bool {
	for name := range r {
		if !other[name] {
			return false
		}
	}
	return true
}

// OfMachine returns the rights that the client has by itself, in the order of
// Rights; nil for none.
func (c *Config) OfMachine(id string) []string { return c.sorted(c.Machines[id]) }

func (c *Config) sorted(names []string) []string {
	set := listed(names)
	return slices.DeleteFunc(Rights(), func(name string) bool { return !set[name] })
}

// GroupsWith returns the groups that give the right, sorted.
func (c *Config) GroupsWith(right string) []string {
	var names []string
	for name := range c.Groups {
		if listed(c.Groups[name])[right] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
