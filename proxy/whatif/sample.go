package whatif

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"gatehouse/policy"
	"gatehouse/proxy"
	"gatehouse/proxy/canon"
)

// sample is a request that stands for a row.
type sample struct {
	row     Row
	request *Request
}

// samples are the rows of a route: one for each pattern and each group of
// methods that the rule treats alike.
func (s *Suite) samples(route int) []sample {
	rt := s.Config.Routes[route]
	patterns := rt.Match.Path
	if len(patterns) == 0 {
		patterns = []string{"/**"}
	}
	var list []sample
	for _, pattern := range patterns {
		for _, group := range methodGroups(rt) {
			row := Row{Route: rt.Name, At: rt.Pos.String(), Methods: group.label, Path: pattern}
			row.Websocket = rt.Match.Websocket != nil && *rt.Match.Websocket
			origin := s.World.Origin
			if len(rt.Match.Host) > 0 && !strings.HasSuffix(origin, "://"+rt.Match.Host[0]) {
				origin = s.originOf(rt.Match.Host[0])
				row.Path = rt.Match.Host[0] + pattern
			}
			list = append(list, s.find(route, row, origin, samplePaths(pattern), group.methods))
		}
	}
	return list
}

// originOf returns scheme and host of the public URL whose host it is.
func (s *Suite) originOf(host string) string {
	for _, u := range s.Config.PublicURL {
		if strings.EqualFold(u.Host, host) || strings.EqualFold(u.Hostname(), host) {
			return u.Scheme + "://" + u.Host
		}
	}
	return "https://" + host
}

// find looks for a request that the route takes.
func (s *Suite) find(route int, row Row, origin string, paths, methods []string) sample {
	for _, path := range paths {
		for _, method := range methods {
			escaped := (&url.URL{Path: path}).EscapedPath()
			rq := &Request{Method: method, URL: origin + escaped, Websocket: row.Websocket, IP: sampleIP}
			a, err := s.pose(context.Background(), rq, nil, proxy.Asking{Time: s.Now})
			if err == nil && a.Verdict.Route == route && a.Verdict.Reason != proxy.ReasonPathRejected {
				row.Sample = method + " " + escaped
				return sample{row, rq}
			}
		}
	}
	return sample{row, nil}
}

// sampleWords stand for "*" and for path variables. Several, because an earlier
// route may take one of them.
var sampleWords = []string{"x", "sample", "42"}

// samplePaths are paths that a pattern takes; /admin/x first for /admin/**.
func samplePaths(pattern string) []string {
	base, deep := strings.CutSuffix(strings.TrimSuffix(pattern, "/"), "/**")
	var paths []string
	for _, word := range sampleWords {
		segments := strings.Split(base, "/")
		for i, segment := range segments {
			if variable(segment) {
				segment = "*"
			}
			segments[i] = strings.ReplaceAll(segment, "*", word)
		}
		path := strings.Join(segments, "/")
		if deep {
			paths = append(paths, path+"/"+word, path+"/"+word+"/"+word)
		}
		paths = append(paths, path)
	}
	for i, path := range paths {
		if path == "" {
			paths[i] = "/"
		}
	}
	return slices.Compact(paths)
}

// methodGroup are methods that a rule treats alike.
type methodGroup struct {
	label   string
	methods []string
}

// methodGroups cuts the methods of a route where conditions on the method tell
// them apart.
func methodGroups(rt *proxy.Route) []methodGroup {
	taken := rt.Match.Methods
	if rt.Match.Websocket != nil && *rt.Match.Websocket {
		return []methodGroup{{"", []string{"GET"}}}
	}
	if len(taken) == 0 {
		taken = canon.Methods()
	}
	lists := methodLists(rt.Allow.When, nil)
	var groups []methodGroup
	var signs []string
	for _, m := range taken {
		sign := ""
		for _, list := range lists {
			sign += map[bool]string{true: "1", false: "0"}[slices.Contains(list, m) || m == "HEAD" && slices.Contains(list, "GET")]
		}
		i := slices.Index(signs, sign)
		if i < 0 {
			i = len(signs)
			signs, groups = append(signs, sign), append(groups, methodGroup{})
		}
		groups[i].methods = append(groups[i].methods, m)
	}
	for i := range groups {
		g := &groups[i]
		switch {
		case len(g.methods) <= 8:
			g.label = strings.Join(g.methods, ",")
		case len(groups) > 1:
			g.label = "others"
		}
	}
	return groups
}

// methodLists appends the lists of the conditions on the method at c and below.
func methodLists(c *policy.Condition, lists [][]string) [][]string {
	if c == nil {
		return lists
	}
	if len(c.Method) > 0 {
		lists = append(lists, c.Method)
	}
	for _, below := range slices.Concat(c.AnyOf, c.AllOf) {
		lists = methodLists(&below, lists)
	}
	return methodLists(c.Not, lists)
}
