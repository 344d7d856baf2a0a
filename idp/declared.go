package idp

import (
	"gatehouse/idp/pool"
	"gatehouse/internal/conf"
)

// Declared is a file that says what the store holds: idp.bootstrap in a file of
// its own.
type Declared struct {
	// Users are people; those that exist are left alone unless told otherwise.
	Users []UserSeed `yaml:"users"`
	// Groups are what rules and tokens call groups.
	Groups []GroupSeed `yaml:"groups"`
	// Clients are programs that send people here, or ask for tokens themselves.
	Clients []ClientSeed `yaml:"clients"`
	// ResourceServers are APIs, with the scopes that belong to them.
	ResourceServers []ServerSeed `yaml:"resource_servers"`

	cfg *Config
}

// NewDeclared returns a Declared to be read by conf.Load, which is held against
// the pool of cfg.
func NewDeclared(cfg *Config) *Declared { return &Declared{cfg: cfg} }

// Check reports what is wrong with the file.
func (d *Declared) Check(r *conf.Report) {
	b := d.Bootstrap()
	b.checkAttributes(r, pool.NewSchema(d.cfg.Pool))
	b.check(r, d.cfg)
}

// Bootstrap returns what the file declares, as the section of that name.
func (d *Declared) Bootstrap() *Bootstrap {
	return &Bootstrap{Users: d.Users, Groups: d.Groups, Clients: d.Clients, ResourceServers: d.ResourceServers}
}
