package policy

import (
	"slices"
	"strings"

	"gatehouse/internal/conf"
	"gatehouse/session"
)

// noHit is what suffices for a refusal: Miss or Unknown.
const noHit Result = "no hit"

// maxWays bounds what WouldChange lists.
const maxWays = 10

// step is something that would make a condition come out as wanted.
type step struct {
	text string
	pos  conf.Pos
}

// wouldChange returns the ways from what e says to the other outcome: to allow,
// or from there to anything else.
func wouldChange(e Explanation, rt *route, q Query) []string {
	want := Hit
	if e.Outcome == OutcomeAllow {
		want = noHit
	}
	whole := e.Root
	if e.Require != nil {
		all := &node{kind: kAllOf}
		whole = &Finding{node: all, Children: []*Finding{e.Root, e.Require}, Result: Miss}
		if e.Root.Result == Hit && e.Require.Result == Hit {
			whole.Result = Hit
		}
	}
	var body []step
	if rt.bodyReason(q.Body.State) != "" {
		body = []step{{"sent a body that is " + statesText(rt.bodies), rt.pos}}
	}
	var texts []string
	for _, way := range whole.ways(want, q.Identity) {
		way = slices.Concat(way, body)
		if text := sentence(way, q.Identity); text != "" && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts
}

func statesText(states []BodyState) string {
	var texts []string
	for _, s := range states {
		texts = append(texts, s.String())
	}
	return strings.Join(texts, " or ")
}

// ways returns alternatives, each a list of steps that together give f the
// result want. A list without steps means that it is so already; no list means
// that nothing helps.
func (f *Finding) ways(want Result, id *session.Identity) [][]step {
	if f.Result == want || want == noHit && f.Result != Hit {
		return [][]step{{}}
	}
	n := f.node
	switch {
	case n.kind == kNot && want == Hit:
		return f.Children[0].ways(Miss, id)
	case n.kind == kNot:
		return f.Children[0].ways(Hit, id)
	case n.kind.leaf():
		return [][]step{f.change(want, id)}
	case (n.kind == kAnyOf) == (want == Hit):
		var all [][]step
		for _, c := range f.Children {
			all = append(all, c.ways(want, id)...)
		}
		return all[:min(len(all), maxWays)]
	}
	all := [][]step{{}}
	for _, c := range f.Children {
		var longer [][]step
		for _, way := range all {
			for _, more := range c.ways(want, id) {
				longer = append(longer, slices.Concat(way, more))
			}
		}
		all = longer[:min(len(longer), maxWays)]
	}
	return all
}

// sentence joins the steps of one way; the steps of people's rules need a person
// to begin with.
func sentence(way []step, id *session.Identity) string {
	if len(way) == 0 {
		return ""
	}
	var texts []string
	var at []conf.Pos
	for _, s := range way {
		if !slices.Contains(texts, s.text) {
			texts = append(texts, s.text)
		}
		at = append(at, s.pos)
	}
	if id == nil && !slices.ContainsFunc(texts, authenticates) {
		texts = append([]string{"signed in"}, texts...)
	}
	text := strings.Join(texts, " and ")
	if where := strings.Trim(places(at), " ()"); where != "" {
		text += " (rule " + where + ")"
	}
	return text
}

func authenticates(text string) bool {
	return text == "signed in" || strings.HasPrefix(text, "sent an access token")
}

// change says what the subject would have done for the leaf f to be a hit, or
// not to be one.
func (f *Finding) change(want Result, id *session.Identity) []step {
	n := f.node
	if want != Hit {
		return []step{{closing(f, f.wants), n.pos}}
	}
	steps := []step{{opening(n, f.wants, id), n.pos}}
	switch {
	case !n.kind.personal() || id == nil || isUser(id):
		return steps
	case n.kind == kSignedIn:
		steps = nil
	}
	if !id.Person {
		return append([]step{{"signed in as a person", n.pos}}, steps...)
	}
	return append([]step{{"used a client that bearer.clients lists", n.pos}}, steps...)
}

// opening is what to do for a leaf to be a hit.
func opening(n *node, values string, id *session.Identity) string {
	if n.kind == kScopes && id != nil && id.Credential == session.Cookie {
		return "had a session with scope " + values
	}
	return [...]string{
		kSignedIn: "signed in", kGroups: "joined group " + values,
		kScopes: "sent an access token with scope " + values, kUsers: "was user " + values,
		kClients: "used client " + values, kEmailDomains: "had a verified e-mail address at " + values,
		kClaim: "had claim " + plain(n.claim) + forms[n.form] + values, kIP: "came from " + values,
		kTime: "came at " + values, kMethod: "used method " + values,
		kMFA: "signed in with a second factor", kACR: "signed in with acr " + values,
		kSignedInWithin: "signed in again within " + values,
		kOPA:            "got true from " + values,
	}[n.kind]
}

var forms = [...]string{formIs: " = ", formEquals: " = ", formPrefix: " beginning with ", formContains: " containing "}

// closing is what to do for the leaf of f not to be a hit.
func closing(f *Finding, values string) string {
	if f.node.kind == kGroups && f.Result == Hit {
		return "left group " + values
	}
	return [...]string{
		kSignedIn: "was not signed in", kGroups: "was known to be outside group " + values,
		kScopes:       "was known to lack scope " + values,
		kUsers:        "was known to be another user than " + values,
		kClients:      "used another client than " + values,
		kEmailDomains: "had a verified e-mail address outside " + values,
		kClaim:        "had a claim " + plain(f.node.claim) + notForms[f.node.form] + values,
		kIP:           "came from outside " + values, kTime: "came outside " + values, kMethod: "used another method than " + values,
		kMFA: "signed in without a second factor", kACR: "signed in without acr " + values,
		kSignedInWithin: "signed in longer than " + values + " ago",
		kOPA:            "got false from " + values,
	}[f.node.kind]
}

var notForms = [...]string{
	formIs: " other than ", formEquals: " that is one value other than ", formPrefix: " not beginning with ", formContains: " that is a list not containing ",
}
