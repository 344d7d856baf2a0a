package app

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/proxy"
)

// fixed returns the keys that differ and take effect at a start only.
func fixed(old, new *Config) []string {
	var keys []string
	for _, k := range []struct {
		name     string
		old, new any
	}{
		{"idp", old.IDP, new.IDP},
		{"listen", old.Listen, new.Listen},
		{"tls", old.TLS, new.TLS},
		{"data_dir", old.DataDir, new.DataDir},
		{"secrets_dir", old.SecretsDir, new.SecretsDir},
		{"telemetry.listen", old.Telemetry.Listen, new.Telemetry.Listen},
		{"telemetry.access_log", old.Telemetry.AccessLog, new.Telemetry.AccessLog},
		{"principals", old.Principals, new.Principals},
	} {
		if !same(k.old, k.new) {
			keys = append(keys, k.name)
		}
	}
	// The store forgets a revocation when no session can be alive that it ended.
	if old.IDP != nil && new.revocationLife() > old.revocationLife() {
		keys = append(keys, "session.lifetime")
	}
	return keys
}

// fixedError says that a reload would change what only a start can.
type fixedError struct{ keys []string }

func (e *fixedError) Error() string {
	return fmt.Sprintf("%s cannot change while the gateway runs; restart it, or put the old value back", strings.Join(e.keys, ", "))
}

// maxTold is how many names of routes are told of one kind of change.
const maxTold = 20

// routeChanges are what a reload did to routes, by name.
type routeChanges struct{ added, removed, changed []string }

// compareRoutes compares routes by name; where they stand in the file does not
// count, their order does.
func compareRoutes(old, new *Config) routeChanges {
	before, after := byName(old.Routes), byName(new.Routes)
	var c routeChanges
	for _, rt := range new.Routes {
		was, known := before[rt.Name]
		switch {
		case !known:
			c.added = append(c.added, rt.Name)
		case !same(was, rt):
			c.changed = append(c.changed, rt.Name)
		}
	}
	for _, rt := range old.Routes {
		if after[rt.Name] == nil {
			c.removed = append(c.removed, rt.Name)
		}
	}
	return c
}

func byName(routes []*proxy.Route) map[string]*proxy.Route {
	all := make(map[string]*proxy.Route, len(routes))
	for _, rt := range routes {
		all[rt.Name] = rt
	}
	return all
}

// attrs tells the changes in a line of the log.
func (c routeChanges) attrs() []any {
	var attrs []any
	for _, kind := range []struct {
		name   string
		routes []string
	}{{"routes_added", c.added}, {"routes_removed", c.removed}, {"routes_changed", c.changed}} {
		list := slices.Clone(kind.routes)
		if len(list) > maxTold {
			list = append(list[:maxTold], fmt.Sprintf("and %d more", len(list)-maxTold))
		}
		if len(list) > 0 {
			attrs = append(attrs, kind.name, list)
		}
	}
	return attrs
}
