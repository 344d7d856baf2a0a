package whatif

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/policy"
	"gatehouse/proxy"
	"gatehouse/proxy/canon"
	"gatehouse/proxy/route"
)

// The codes of what Lint finds besides those of policy.Lint.
const (
	// CodeShadowedRoute: a route that no request can reach.
	CodeShadowedRoute = "shadowed-route"
	// CodeOpenToAll: a route for anyone whose path does not look public.
	CodeOpenToAll = "open-to-all"
	// CodeSensitivePath: a route for anyone, or for everybody who is signed in,
	// whose path looks like a place for few.
	CodeSensitivePath = "sensitive-path"
)

// LintCodes returns the codes of all that Lint finds, sorted.
func LintCodes() []string {
	codes := append(policy.Codes(), CodeShadowedRoute, CodeOpenToAll, CodeSensitivePath)
	slices.Sort(codes)
	return codes
}

// Lint looks for what the routes of c allow and nobody can have meant. table is
// that of the routes. The warnings are sorted by position.
func Lint(c *proxy.Config, table *route.Table, known policy.Known) []policy.Warning {
	rules := c.Rules()
	linted := make([]policy.Linted, len(rules))
	every := canon.Methods()
	for i, rule := range rules {
		linted[i] = policy.Linted{Rule: rule, Methods: methodsOf(&c.Routes[i].Match, every)}
	}
	all := policy.Lint(linted, known)
	all = append(all, shadowed(c, table)...)
	for _, rt := range c.Routes {
		all = append(all, exposed(rt)...)
	}
	policy.SortWarnings(all)
	return all
}

// methodsOf returns the methods that a match takes, of every one that there is.
func methodsOf(m *route.Match, every []string) []string {
	switch {
	case m.Websocket != nil && *m.Websocket:
		return []string{"GET"}
	case len(m.Methods) == 0:
		return every
	case slices.Contains(m.Methods, "GET") && !slices.Contains(m.Methods, "HEAD"):
		return append(slices.Clone(m.Methods), "HEAD")
	}
	return m.Methods
}

// shadowed returns the routes that earlier ones leave nothing to.
func shadowed(c *proxy.Config, table *route.Table) []policy.Warning {
	var all []policy.Warning
	for _, s := range table.Shadowed() {
		var by []string
		for _, i := range s.By {
			by = append(by, fmt.Sprintf("%q (line %d)", c.Routes[i].Name, c.Routes[i].Pos.Line))
		}
		rt := c.Routes[s.Route]
		all = append(all, policy.Warning{Code: CodeShadowedRoute, Level: policy.LevelWarning, Pos: rt.Pos, Text: fmt.Sprintf(
			"route %q can never match: %s already takes everything it takes", rt.Name, strings.Join(by, " and "))})
	}
	return all
}

// publicWords are segments of paths that are open to all nearly everywhere;
// sensitiveWords of paths that are open to few.
var (
	publicWords = words(`health healthz healthcheck livez readyz ping status version public static assets dist css js fonts img
		images media favicon.ico robots.txt sitemap.xml manifest.json manifest.webmanifest .well-known webhook webhooks hooks`)
	sensitiveWords = words(`admin administrator administration actuator console debug internal intern management metrics
		monitoring phpmyadmin pprof private prometheus root server-status superuser sysadmin trace .env .git backup backups`)
)

func words(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(text) {
		set[w] = true
	}
	return set
}

// exposed looks at a route that asks for nobody in particular.
func exposed(rt *proxy.Route) []policy.Warning {
	who := ""
	switch rt.Allow.Word {
	case policy.WordAnyone:
		who = "everybody"
	case policy.WordSignedIn:
		who = "everybody who is signed in"
	default:
		return nil
	}
	var all []policy.Warning
	add := func(code string, level policy.Level, format string, a ...any) {
		all = append(all, policy.Warning{Code: code, Level: level, Pos: rt.Pos, Text: fmt.Sprintf("route %q ", rt.Name) + fmt.Sprintf(format, a...)})
	}
	for _, p := range rt.Match.Path {
		if w := segmentIn(p, sensitiveWords); w != "" {
			add(CodeSensitivePath, policy.LevelWarning, "is open to %s, and its path %s has %q in it", who, p, w)
		}
	}
	if rt.Allow.Word != policy.WordAnyone {
		return all
	}
	var open []string
	for _, p := range rt.Match.Path {
		if segmentIn(p, publicWords) == "" {
			open = append(open, p)
		}
	}
	writes := slices.DeleteFunc(slices.Clone(methodsOf(&rt.Match, canon.Methods())), func(m string) bool { return m == "GET" || m == "HEAD" || m == "OPTIONS" })
	switch {
	case len(rt.Match.Path) == 0 || slices.Contains(rt.Match.Path, "/**"):
		add(CodeOpenToAll, policy.LevelWarning, "is open to everybody, and takes every path")
	case len(open) == 0:
	case len(writes) > 0:
		add(CodeOpenToAll, policy.LevelWarning, "is open to everybody, and takes more than reading: %s; where reading is meant, say methods: [GET]", strings.Join(open, ", "))
	default:
		add(CodeOpenToAll, policy.LevelInfo, "is open to everybody: %s", strings.Join(open, ", "))
	}
	return all
}

// segmentIn returns the first segment of a pattern that is in set, in lower
// case, "" if none is.
func segmentIn(pattern string, set map[string]bool) string {
	for part := range strings.SplitSeq(strings.ToLower(pattern), "/") {
		if set[part] {
			return part
		}
	}
	return ""
}
