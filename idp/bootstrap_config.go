package idp

import (
	"slices"
	"time"
	"unicode/utf8"

	"gatehouse/idp/admin"
	"gatehouse/idp/client"
	"gatehouse/idp/pool"
	"gatehouse/internal/conf"
)

// GatewayClient is the id of the gateway's own client, which wiring registers.
const GatewayClient = "gatehouse"

// minSecret is how long a client's secret must be, in characters (Cognito's
// ClientSecretType).
const minSecret = 24

// Bootstrap is the section `idp.bootstrap`. Groups, resource servers, scopes
// and clients are the file's: each start makes them as they stand here. Users
// are made when absent and never overwritten; one that was deleted stays
// deleted.
type Bootstrap struct {
	// Users are people to begin with.
	Users []UserSeed `yaml:"users"`
	// Groups are what rules and tokens call groups.
	Groups []GroupSeed `yaml:"groups"`
	// Clients are programs that send people here, or ask for tokens themselves.
	Clients []ClientSeed `yaml:"clients"`
	// ResourceServers are APIs, with the scopes that belong to them.
	ResourceServers []ServerSeed `yaml:"resource_servers"`
	// Prune removes groups, clients, resource servers and scopes that do not
	// stand here, also those the command line has made. Users are never
	// removed. Default false.
	Prune bool `yaml:"prune"`
}

// UserSeed is a person to begin with.
type UserSeed struct {
	Pos conf.Pos `yaml:"-"`
	// Username is what the person signs in with: 1 to 128 characters, no
	// spaces. Mandatory.
	Username string `yaml:"username"`
	// Email is another name to sign in with, once it is verified. Default none.
	Email string `yaml:"email"`
	// EmailVerified says that the address is known to be the person's. Rules
	// by e-mail domain need it. Default false.
	EmailVerified bool `yaml:"email_verified"`
	// Phone is a number such as +41791234567. Default none.
	Phone string `yaml:"phone"`
	// PhoneVerified says that the number is known to be the person's. Default
	// false.
	PhoneVerified bool `yaml:"phone_verified"`
	// Name is the display name. Default none.
	Name string `yaml:"name"`
	// Attributes are further attributes, such as given_name or custom:team.
	// Default none.
	Attributes map[string]string `yaml:"attributes"`
	// Password is the first password; changing it here changes nothing later.
	// Without one nobody can sign in as this person. Keep it in ${file:…}.
	Password conf.Secret `yaml:"password"`
	// Groups are groups of bootstrap.groups to begin with.
	Groups []string `yaml:"groups"`
}

// GroupSeed is a group.
type GroupSeed struct {
	Pos conf.Pos `yaml:"-"`
	// Name is what rules and tokens call it. Mandatory.
	Name string `yaml:"name"`
	// Description is for people to read.
	Description string `yaml:"description"`
	// Precedence orders the groups of a person: the lowest first. Default none,
	// which is last.
	Precedence *int `yaml:"precedence"`
	// RoleARN is the role that identity pools give its members. Default none.
	RoleARN string `yaml:"role_arn"`
}

// ClientSeed is an app client.
type ClientSeed struct {
	Pos conf.Pos `yaml:"-"`
	// ID is the client_id: 1 to 128 letters, digits, - or _. Mandatory.
	ID string `yaml:"id"`
	// Name is what people see on the sign-in page. Default the id.
	Name string `yaml:"name"`
	// Public marks a client that cannot keep a secret, such as a program on a
	// phone or in a browser. Default false.
	Public bool `yaml:"public"`
	// Secret is the client's secret, at least 24 characters; mandatory unless
	// public. Keep it in ${file:…}.
	Secret conf.Secret `yaml:"secret"`
	// RedirectURIs are where codes may be sent, compared byte for byte: https,
	// http on this machine, or a scheme of the program's own.
	RedirectURIs []string `yaml:"redirect_uris"`
	// SignOutURIs are where a browser may be sent after signing out.
	SignOutURIs []string `yaml:"sign_out_uris"`
	// Scopes are what it may ask for: openid, email, profile, and scopes of
	// resource_servers by their full name.
	Scopes []string `yaml:"scopes"`
	// Grants are of authorization_code, refresh_token, client_credentials.
	// Default: the first two where there are redirect_uris, else the last.
	Grants []string `yaml:"grants"`
	// AccessTTL and IDTTL are how long its tokens live: 5m to 24h. Default 1h.
	AccessTTL time.Duration `yaml:"access_ttl"`
	IDTTL     time.Duration `yaml:"id_ttl"`
	// RefreshTTL is how long after the sign-in refresh tokens work: 1h to 3650
	// days. Default 30 days.
	RefreshTTL time.Duration `yaml:"refresh_ttl"`
	// RefreshGrace is how long a refresh token that was used works once more,
	// for an answer that got lost: 0 to 60s. Default 30s, 0 for a public client.
	RefreshGrace *time.Duration `yaml:"refresh_grace"`
	// ReadAttributes are the attributes of a person that the client is told, as
	// far as its scopes say so. Default: all but the custom ones.
	ReadAttributes []string `yaml:"read_attributes"`
	// WriteAttributes are the attributes that a person who signs up on the way to
	// the client may set, of those of idp.account.attributes; required ones may be
	// set in any case. Default: all but the custom ones.
	WriteAttributes []string `yaml:"write_attributes"`
	// Revocation lets the client end its tokens at the revocation endpoint.
	// Default true.
	Revocation bool `yaml:"revocation"`
}

// Defaults sets what absent keys mean.
func (c *ClientSeed) Defaults() { c.Revocation = true }

// ServerSeed is a resource server.
type ServerSeed struct {
	Pos conf.Pos `yaml:"-"`
	// ID names the API. Mandatory.
	ID string `yaml:"id"`
	// Name is for people to read. Default the id.
	Name string `yaml:"name"`
	// Scopes are what clients may be allowed there.
	Scopes []ScopeSeed `yaml:"scopes"`
}

// ScopeSeed is a scope of a resource server.
type ScopeSeed struct {
	Pos conf.Pos `yaml:"-"`
	// Name is the full name, unique in the pool, such as orders.read. Mandatory.
	Name string `yaml:"name"`
	// Description is for people to read.
	Description string `yaml:"description"`
	// Groups ties the scope to people: only members of one of these groups are
	// given it, and no program for itself. Default none: not tied.
	Groups []string `yaml:"groups"`
}

// check reports what is wrong with the section.
func (b *Bootstrap) check(r *conf.Report, c *Config) {
	groups := b.checkGroups(r)
	scopes := b.checkServers(r, groups)
	if c.Admin != nil {
		scopes = append(scopes, admin.Rights()...)
	}
	b.checkUsers(r, groups, c.Password.MinLength)
	b.checkClients(r, scopes)
}

func (b *Bootstrap) checkGroups(r *conf.Report) []string {
	var names []string
	for i := range b.Groups {
		g := &b.Groups[i]
		names = append(names, g.Name)
		if g.Name == "" {
			r.Errorf(&g.Name, "this group has no name")
		}
		if g.Precedence != nil && *g.Precedence < 0 {
			r.Errorf(&g.Precedence, "precedence is 0 or more")
		}
	}
	for _, i := range twice(names) {
		r.Errorf(&b.Groups[i].Name, "group %q stands here twice", names[i])
	}
	return names
}

func (b *Bootstrap) checkServers(r *conf.Report, groups []string) []string {
	var scopes, servers []string
	for i := range b.ResourceServers {
		s := &b.ResourceServers[i]
		servers = append(servers, s.ID)
		if s.ID == "" {
			r.Errorf(&s.ID, "this resource server has no id")
		}
		if s.ID == admin.Server {
			r.Errorf(&s.ID, "resource server %q is gatehouse's own: idp.admin says who has its scopes", s.ID)
		}
		for j := range s.Scopes {
			scope := &s.Scopes[j]
			switch {
			case scope.Name == "":
				r.Errorf(&scope.Name, "this scope has no name")
			case client.CheckScope(scope.Name) != nil || client.Standard(scope.Name):
				r.Errorf(&scope.Name, "%q cannot be the name of a scope: it takes 1 to 256 printable characters without space, quote and backslash, and none of OpenID Connect's own names", scope.Name)
			case slices.Contains(scopes, scope.Name):
				r.Errorf(&scope.Name, "scope %q stands here twice; names are unique in the pool", scope.Name)
			}
			scopes = append(scopes, scope.Name)
			checkKnown(r, &scope.Groups, groups, "group %q"+undeclared)
		}
	}
	for _, i := range twice(servers) {
		r.Errorf(&b.ResourceServers[i].ID, "resource server %q stands here twice", servers[i])
	}
	return scopes
}

func (b *Bootstrap) checkUsers(r *conf.Report, groups []string, minPassword int) {
	var names []string
	for i := range b.Users {
		u := &b.Users[i]
		names = append(names, pool.Canonical(u.Username))
		if u.Username == "" {
			r.Errorf(&u.Username, "this user has no username")
		}
		if u.Password != "" && utf8.RuneCountInString(u.Password.Reveal()) < minPassword {
			r.Errorf(&u.Password, "the password has fewer than %d characters", minPassword)
		}
		if u.EmailVerified && u.Email == "" {
			r.Errorf(&u.EmailVerified, "user %q has no email to be verified", u.Username)
		}
		if u.PhoneVerified && u.Phone == "" {
			r.Errorf(&u.PhoneVerified, "user %q has no phone to be verified", u.Username)
		}
		checkKnown(r, &u.Groups, groups, "group %q"+undeclared)
	}
	for _, i := range twice(names) {
		r.Errorf(&b.Users[i].Username, "user %q stands here twice", b.Users[i].Username)
	}
}

func (b *Bootstrap) checkClients(r *conf.Report, scopes []string) {
	known := append([]string{client.OpenID, client.Email, client.Profile, client.Phone, client.UserAdmin}, scopes...)
	var ids []string
	for i := range b.Clients {
		c := &b.Clients[i]
		ids = append(ids, c.ID)
		switch {
		case c.ID == "":
			r.Errorf(&c.ID, "this client has no id")
		case c.ID == GatewayClient:
			r.Errorf(&c.ID, "client id %q is the gateway's own; choose another", c.ID)
		}
		switch secret := c.Secret.Reveal(); {
		case c.Public && secret != "":
			r.Errorf(&c.Secret, "a public client has no secret")
		case !c.Public && len(secret) < minSecret:
			r.Errorf(&c.Secret, "client %q needs a secret of at least %d characters, or public: true", c.ID, minSecret)
		}
		if err := c.client().Check(); err != nil && c.ID != "" {
			r.Errorf(c.Pos, "%v", err)
		}
		checkKnown(r, &c.Scopes, known, "scope %q"+undeclared)
	}
	for _, i := range twice(ids) {
		r.Errorf(&b.Clients[i].ID, "client %q stands here twice", ids[i])
	}
}

// Why a name that is not known is wrong.
const (
	undeclared  = " is declared nowhere in this file"
	noAttribute = " names %q, which is neither a standard nor a custom attribute"
)

// checkKnown reports each name in list that is not known, with a suggestion; why is a
// format for it.
func checkKnown(r *conf.Report, list *[]string, known []string, why string) {
	for i, name := range *list {
		if slices.Contains(known, name) {
			continue
		}
		hint := ""
		if near := conf.Suggest(name, known); near != "" {
			hint = "; did you mean " + near + "?"
		}
		r.Errorf(&(*list)[i], why+"%s", name, hint)
	}
}

// grants returns the grants of c, or the ones that fit it.
func (c *ClientSeed) grants() []string {
	switch {
	case len(c.Grants) > 0:
		return c.Grants
	case len(c.RedirectURIs) > 0:
		return []string{client.AuthorizationCode, client.RefreshToken}
	}
	return []string{client.ClientCredentials}
}

// checkAttributes holds the attributes of users, and those that clients name, against
// the schema.
func (b *Bootstrap) checkAttributes(r *conf.Report, s pool.Schema) {
	for i := range b.Users {
		u := &b.Users[i]
		if err := s.Check(u.Attributes); err != nil {
			r.Errorf(&u.Attributes, "user %q: %v", u.Username, err)
		}
	}
	known := s.Names()
	for i := range b.Clients {
		c := &b.Clients[i]
		checkKnown(r, &c.ReadAttributes, known, "read_attributes"+noAttribute)
		checkKnown(r, &c.WriteAttributes, known, "write_attributes"+noAttribute)
	}
}
