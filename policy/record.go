package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"gatehouse/session"
)

// Record returns everything that is known about q in the shape of the input
// document, for a log of decisions. It is the whole document, whatever the
// route's rule reads, but for route, which q knows by its index only. What is
// unknown is absent. Two booleans are added, on which decisions depend beside
// the document: credential.person and credential.listed say whether the
// credential is a person's, and whether rules for people may be judged on it;
// user is there only if both are true. credential.client is there only if the
// client counts in `clients` rules. No token and no session id is in it.
//
// The maps and slices of the values of claims and of the body, of groups, scopes
// and amr are those of q: nobody may write to them. encoding/json can write the
// record, and replaces what is not UTF-8.
func Record(q Query) map[string]any {
	input := map[string]any{"request": recordRequest(q)}
	if !q.Time.IsZero() {
		input["time"] = q.Time.UnixNano()
	}
	if id := q.Identity; id != nil {
		input["credential"] = recordCredential(id)
		if isUser(id) {
			input["user"] = recordUser(id)
		}
	}
	return input
}

// recorded are the parts of a record and what each is made of, sorted; nil for one
// that is no map. The log adds the route.
var recorded = map[string][]string{
	"credential": {"claims", "client", "issuer", "kind", "listed", "person", "scopes", "subject"},
	"request":    {"body", "body_state", "client_ip", "host", "method", "path", "query", "variables"},
	"route":      nil,
	"time":       nil,
	"user":       {"acr", "amr", "auth_time", "email", "email_domain", "groups", "mfa", "name", "subject", "username"},
}

// document is a map under construction; an empty string is an absent one.
type document map[string]any

func (d document) add(key, value string) {
	if value != "" {
		d[key] = value
	}
}

// addList adds a list that is known, if only to be empty.
func (d document) addList(key string, list []string) {
	if list != nil {
		d[key] = list
	}
}

func recordUser(id *session.Identity) map[string]any {
	d := document{"mfa": id.MFA}
	d.add("subject", id.Subject)
	d.add("username", id.Username)
	d.add("name", id.Name)
	if id.EmailVerified {
		d.add("email", id.Email)
		d.add("email_domain", emailDomain(id))
	}
	d.addList("groups", id.Groups)
	d.add("acr", id.ACR)
	if len(id.AMR) > 0 {
		d["amr"] = id.AMR
	}
	if !id.AuthTime.IsZero() {
		d["auth_time"] = id.AuthTime.Unix()
	}
	return d
}

func recordCredential(id *session.Identity) map[string]any {
	d := document{"kind": string(id.Credential), "person": id.Person, "listed": id.Listed}
	d.add("issuer", id.Issuer)
	d.add("subject", id.Subject)
	if id.ClientNamed {
		d.add("client", id.ClientID)
	}
	d.addList("scopes", id.Scopes)
	if id.Claims != nil {
		d["claims"] = id.Claims
	}
	return d
}

func recordRequest(q Query) map[string]any {
	d := document{"query": q.RawQuery}
	d.add("method", q.Method)
	d.add("host", q.Host)
	d.add("path", q.Path)
	if q.ClientIP.IsValid() {
		d["client_ip"] = q.ClientIP.Unmap().WithZone("").String()
	}
	if len(q.Variables) > 0 {
		variables := make(map[string]any, len(q.Variables))
		for _, v := range q.Variables {
			variables[v.Name] = v.Value
		}
		d["variables"] = variables
	}
	if q.Body.State != BodyUnread {
		d["body_state"] = q.Body.State.String()
	}
	if q.Body.State == BodyParsed {
		d["body"] = q.Body.Value
	}
	return d
}

// Recall is the inverse of Record: a query that a policy answers as it would
// have answered the one recorded. input may have gone through JSON, decoded with
// UseNumber. Route is 0, for the record does not know it; the identity can be
// judged and serves nothing else: it never expires and has no session.
//
// What a mask has erased comes back as unknown, but for an e-mail address, of
// which the domain stays as long as that is recorded. The error names the first
// part that has another shape than Record gives it.
func Recall(input map[string]any) (Query, error) {
	r := recall{}
	q := r.request(r.object(input, "input", "request"))
	if ns, ok := r.integer(input, "input", "time"); ok {
		q.Time = time.Unix(0, ns)
	}
	credential := r.object(input, "input", "credential")
	if credential != nil {
		q.Identity = r.identity(credential, r.object(input, "input", "user"))
	}
	if r.err != nil {
		return Query{}, r.err
	}
	return q, nil
}

// recall reads a document and keeps the first error.
type recall struct{ err error }

func (r *recall) wrong(parent, key, want string, v any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s.%s is a %T, want %s", parent, key, v, want)
	}
}

func (r *recall) object(from map[string]any, parent, key string) map[string]any {
	v, there := from[key]
	object, ok := v.(map[string]any)
	if there && !ok {
		r.wrong(parent, key, "an object", v)
	}
	return object
}

func (r *recall) text(from map[string]any, parent, key string) string {
	v, there := from[key]
	s, ok := v.(string)
	if there && !ok {
		r.wrong(parent, key, "a string", v)
	}
	return s
}

func (r *recall) flag(from map[string]any, parent, key string) bool {
	v, there := from[key]
	b, ok := v.(bool)
	if there && !ok {
		r.wrong(parent, key, "a boolean", v)
	}
	return b
}

func (r *recall) integer(from map[string]any, parent, key string) (n int64, there bool) {
	v, there := from[key]
	switch v := v.(type) {
	case int64:
		return v, true
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, true
		}
	}
	if there {
		r.wrong(parent, key, "an integer", v)
	}
	return 0, false
}

// list returns nil for a list that is absent, and never for one that is there.
func (r *recall) list(from map[string]any, parent, key string) []string {
	v, there := from[key]
	switch v := v.(type) {
	case []string:
		return v
	case []any:
		list := make([]string, 0, len(v))
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				r.wrong(parent, key, "a list of strings", v)
			}
			list = append(list, s)
		}
		return list
	}
	if there {
		r.wrong(parent, key, "a list of strings", v)
	}
	return nil
}

func (r *recall) identity(credential, user map[string]any) *session.Identity {
	const c, u = "input.credential", "input.user"
	id := &session.Identity{
		Credential: session.Credential(r.text(credential, c, "kind")),
		Issuer:     r.text(credential, c, "issuer"),
		Subject:    r.text(credential, c, "subject"),
		ClientID:   r.text(credential, c, "client"),
		Scopes:     r.list(credential, c, "scopes"),
		Claims:     r.object(credential, c, "claims"),
		Person:     r.flag(credential, c, "person"),
		Listed:     r.flag(credential, c, "listed"),

		Username: r.text(user, u, "username"),
		Name:     r.text(user, u, "name"),
		Email:    r.text(user, u, "email"),
		Groups:   r.list(user, u, "groups"),
		ACR:      r.text(user, u, "acr"),
		AMR:      r.list(user, u, "amr"),
		MFA:      r.flag(user, u, "mfa"),
	}
	id.ClientNamed = id.ClientID != ""
	if domain := r.text(user, u, "email_domain"); id.Email == "" && domain != "" {
		id.Email = "@" + domain
	}
	id.EmailVerified = id.Email != ""
	if at, ok := r.integer(user, u, "auth_time"); ok {
		id.AuthTime = time.Unix(at, 0)
	}
	return id
}

func (r *recall) request(from map[string]any) Query {
	const parent = "input.request"
	q := Query{
		Method:   r.text(from, parent, "method"),
		Host:     r.text(from, parent, "host"),
		Path:     r.text(from, parent, "path"),
		RawQuery: r.text(from, parent, "query"),
	}
	if ip := r.text(from, parent, "client_ip"); ip != "" {
		var err error
		if q.ClientIP, err = netip.ParseAddr(ip); err != nil {
			r.wrong(parent, "client_ip", "an address", ip)
		}
	}
	variables := r.object(from, parent, "variables")
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		q.Variables = append(q.Variables, Variable{name, r.text(variables, parent+".variables", name)})
	}
	state := r.text(from, parent, "body_state")
	for q.Body.State.String() != state {
		if q.Body.State == BodyBroken {
			r.wrong(parent, "body_state", "a state of a body", state)
			q.Body = Body{}
			break
		}
		q.Body.State++
	}
	if q.Body.State == BodyParsed {
		q.Body.Value = from["body"]
	}
	return q
}
