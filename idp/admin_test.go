package idp_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"gatehouse/idp"
	"gatehouse/idp/admin"
	"gatehouse/idp/client"
	"gatehouse/idp/pool"
)

// console is a fixture whose provider can be administered: by alice with every
// right, by bob of the help desk with some, and by the machine robot.
type console struct {
	*fixture
	description map[string]any
	schemas     *jsonschema.Compiler
}

const robotSecret = "robot-secret-0123456789-01234567"

func startConsole(t *testing.T, edit ...func(*idp.Config)) *console {
	f := start(t, "", append([]func(*idp.Config){func(c *idp.Config) {
		c.Admin = &admin.Config{
			Clients: []string{"web"},
			Groups: map[string][]string{
				"admins": {"all"}, "desk": {admin.UsersRead, admin.UsersWrite, admin.GroupsRead, admin.GroupsWrite, admin.ClientsRead, admin.ClientsWrite},
			},
			Machines: map[string][]string{"robot": {admin.UsersRead}},
		}
		c.Bootstrap.Groups = append(c.Bootstrap.Groups, idp.GroupSeed{Name: "desk"})
		c.Bootstrap.Users[1].Groups = []string{"desk"}
		for i := range c.Bootstrap.Clients {
			c.Bootstrap.Clients[i].Scopes = append(c.Bootstrap.Clients[i].Scopes, admin.Rights()...)
		}
		c.Bootstrap.Clients = append(c.Bootstrap.Clients, idp.ClientSeed{ID: "robot", Secret: robotSecret, Scopes: admin.Rights(), Revocation: true})
	}}, edit...)...)
	c := &console{fixture: f, schemas: jsonschema.NewCompiler()}
	text, err := os.ReadFile("admin/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &c.description); err != nil {
		t.Fatal(err)
	}
	c.schemas.AssertFormat()
	if err := c.schemas.AddResource("openapi.json", plain(t, c.description)); err != nil {
		t.Fatal(err)
	}
	return c
}

// plain returns v as encoding/json would have read it.
func plain(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// asks sends one request and holds question and answer against the description.
func (c *console) asks(token, method, path, body string) (int, map[string]any) {
	c.t.Helper()
	status, text := c.raw(token, method, path, body)
	if text == "" {
		return status, nil
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		c.t.Fatalf("%s %s: %d %q: %v", method, path, status, text, err)
	}
	c.holds(method, path, status, text)
	return status, out
}

func (c *console) raw(token, method, path, body string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.issuer+admin.Prefix+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// holds checks an answer against the schema that the description gives it.
func (c *console) holds(method, path string, status int, text string) {
	c.t.Helper()
	pointer := "#/components/schemas/Error"
	if status < 400 {
		pattern := c.pattern(path)
		pointer = "#/paths/" + strings.ReplaceAll(pattern, "/", "~1") + "/" + strings.ToLower(method) + "/responses/" +
			map[int]string{200: "200", 201: "201"}[status] + "/content/application~1json/schema"
	}
	schema, err := c.schemas.Compile("openapi.json" + pointer)
	if err != nil {
		c.t.Fatalf("%s %s answers %d, which is not described: %v", method, path, status, err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		c.t.Errorf("%s %s: %d %s is not what is described: %v", method, path, status, text, err)
	}
}

var braces = regexp.MustCompile(`\{[a-z]+\}`)

// pattern returns the described path that path, with query, is one of.
func (c *console) pattern(path string) string {
	path, _, _ = strings.Cut(path, "?")
	for pattern := range c.description["paths"].(map[string]any) {
		form := "^" + braces.ReplaceAllString(regexp.QuoteMeta(strings.NewReplacer("{", "\x01", "}", "\x02").Replace(pattern)), "") + "$"
		form = regexp.MustCompile("\x01[a-z]+\x02").ReplaceAllString(form, "[^/]+")
		if regexp.MustCompile(form).MatchString(path) {
			return pattern
		}
	}
	c.t.Fatalf("path %s is not described", path)
	return ""
}

// token signs a person in and returns the access token of the client web.
func (c *console) token(username, scope string) string {
	c.t.Helper()
	r := newRequest("scope", scope)
	b := c.browser()
	to := b.submit(b.open(r), username, password).location(c.t)
	tokens := c.redeem(to, r)
	if tokens.text("access_token") == "" {
		c.t.Fatalf("%s for %s: %v", username, scope, tokens.json)
	}
	return tokens.text("access_token")
}

// machine returns a token that a client has for itself.
func (c *console) machine(id, secret, scope string) string {
	c.t.Helper()
	tokens := c.post("/oauth2/token", as(id, secret, "grant_type", "client_credentials", "scope", scope), nil)
	if tokens.text("access_token") == "" {
		c.t.Fatalf("%s for %s: %v", id, scope, tokens.json)
	}
	return tokens.text("access_token")
}

func TestEveryDescribedOperationIsAnsweredAndNoOther(t *testing.T) {
	c := startConsole(t)
	described := map[string]string{}
	for path, item := range c.description["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			right := op.(map[string]any)["security"].([]any)[0].(map[string]any)["token"].([]any)[0].(string)
			described[strings.ToUpper(method)+" "+path] = right
		}
	}
	answered := map[string]string{}
	for _, op := range admin.Operations() {
		answered[op.Method+" "+op.Path] = op.Right
	}
	for what, right := range described {
		if answered[what] != right {
			t.Errorf("%s is described with right %s and answered with %q", what, right, answered[what])
		}
	}
	for what := range answered {
		if described[what] == "" {
			t.Errorf("%s is answered and not described", what)
		}
	}
	if status, text := c.raw("", "GET", "/openapi.yaml", ""); status != 200 || !strings.HasPrefix(text, "openapi: 3.1.0") {
		t.Errorf("the description itself: %d %.40q", status, text)
	}
}

// TestNobodyDoesWhatTheyMayNot runs every operation as everybody.
func TestNobodyDoesWhatTheyMayNot(t *testing.T) {
	c := startConsole(t)
	nobody, err := c.p.Pool.Add(t.Context(), pool.NewUser{Username: "carol", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	tokens := map[string]string{
		"nobody":  "",
		"forged":  "eyJhbGciOiJub25lIn0.e30.",
		"carol":   c.token("carol", "openid"),
		"robot":   c.machine("robot", robotSecret, admin.UsersRead),
		"unnamed": c.machine("job", "job-secret-0123456789-0123456789", "orders.read"),
	}
	for _, op := range admin.Operations() {
		path := braces.ReplaceAllString(op.Path, nobody.ID)
		for who, token := range tokens {
			if who == "robot" && op.Right == admin.UsersRead {
				continue
			}
			body := ""
			if op.Method == "PUT" || op.Method == "PATCH" || op.Method == "POST" {
				body = "{}"
			}
			want := http.StatusForbidden
			if who == "nobody" || who == "forged" {
				want = http.StatusUnauthorized
			}
			if status, _ := c.asks(token, op.Method, path, body); status != want {
				t.Errorf("%s %s as %s: %d, want %d", op.Method, op.Path, who, status, want)
			}
		}
	}
	if status, _ := c.asks(tokens["robot"], "GET", "/users", ""); status != http.StatusOK {
		t.Errorf("the machine with the right reads users: %d", status)
	}
	// A token that was given before the group was lost.
	bob := c.token("bob", "openid "+admin.UsersRead)
	if status, _ := c.asks(bob, "GET", "/users", ""); status != http.StatusOK {
		t.Fatalf("bob reads users: %d", status)
	}
	if err := c.p.Pool.RemoveFromGroup(t.Context(), c.userID("bob"), "desk"); err != nil {
		t.Fatal(err)
	}
	if status, _ := c.asks(bob, "GET", "/users", ""); status != http.StatusUnauthorized {
		t.Errorf("bob without his group reads users: %d, want 401", status)
	}
}

func TestNobodyGetsMoreRightsThanTheyHave(t *testing.T) {
	c := startConsole(t)
	bob := c.token("bob", "openid "+strings.Join(admin.Rights(), " "))
	alice, me := c.userID("alice"), c.userID("bob")
	for _, try := range []struct{ method, path, body string }{
		{"PUT", "/users/" + alice + "/password", `{"password":"a new password"}`},
		{"POST", "/users/" + alice + "/disable", ""},
		{"POST", "/users/" + alice + "/require-reset", ""},
		{"PATCH", "/users/" + alice, `{"email":"bob@example.org","email_verified":true}`},
		{"DELETE", "/users/" + alice, ""},
		{"DELETE", "/users/" + alice + "/factors", ""},
		{"DELETE", "/users/" + alice + "/factors/totp", ""},
		{"DELETE", "/users/" + alice + "/sessions/none", ""},
		{"PUT", "/users/" + me + "/groups/admins", ""},
		{"DELETE", "/users/" + alice + "/groups/admins", ""},
		{"POST", "/users", `{"username":"mallory","password":"a new password","groups":["admins"]}`},
		{"DELETE", "/groups/admins", ""},
		{"PUT", "/groups/admins", `{}`},
		{"POST", "/clients", `{"client_id":"mine","grants":["client_credentials"],"scopes":["admin.events.read"]}`},
		{"POST", "/clients/web/secrets", ""},
		{"PUT", "/clients/web", `{"redirect_uris":["https://evil.example/"],"grants":["authorization_code"]}`},
		{"DELETE", "/clients/web", ""},
	} {
		status, out := c.asks(bob, try.method, try.path, try.body)
		if status != http.StatusForbidden || out["error"] != "above_own_rights" {
			t.Errorf("%s %s: %d %v, want 403 above_own_rights", try.method, try.path, status, out)
		}
	}
	for _, try := range []struct{ method, path, body string }{
		{"PUT", "/resource-servers/gatehouse-admin/scopes/admin.events.read", `{"groups":["desk"]}`},
		{"DELETE", "/resource-servers/gatehouse-admin", ""},
		{"DELETE", "/resource-servers/gatehouse-admin/scopes/admin.events.read", ""},
	} {
		if status, _ := c.asks(bob, try.method, try.path, try.body); status != http.StatusConflict {
			t.Errorf("%s %s: %d, want 409", try.method, try.path, status)
		}
	}
	// What is not above him he may do.
	if status, _ := c.asks(bob, "PUT", "/users/"+me+"/groups/staff", ""); status != http.StatusNoContent {
		t.Errorf("put himself into staff: %d", status)
	}
}

// A new user in a group is a change of who is in it: the right to make users is
// not the right to open what a group opens.
func TestNewUserInAGroupNeedsTheRightToGroups(t *testing.T) {
	c := startConsole(t, func(c *idp.Config) { c.Admin.Groups["desk"] = []string{admin.UsersRead, admin.UsersWrite} })
	bob := c.token("bob", "openid "+admin.UsersRead+" "+admin.UsersWrite)
	status, out := c.asks(bob, "POST", "/users", `{"username":"mallory","password":"copper moss 17 kite","groups":["staff"]}`)
	if status != http.StatusForbidden || out["error"] != "insufficient_scope" {
		t.Errorf("a new member of staff: %d %v, want 403 insufficient_scope", status, out)
	}
	if status, _ := c.asks(bob, "POST", "/users", `{"username":"mallory","password":"copper moss 17 kite"}`); status != http.StatusCreated {
		t.Errorf("a new user in no group: %d, want 201", status)
	}
	// Nor is a token for users alone, of somebody who has the right to groups.
	alice := c.token("alice", "openid "+admin.UsersWrite)
	if status, _ := c.asks(alice, "POST", "/users", `{"username":"trent","password":"copper moss 17 kite","groups":["staff"]}`); status != http.StatusForbidden {
		t.Errorf("by a token without groups: %d, want 403", status)
	}
}

// A client that the configuration lets administer, and that is not there, is not
// for the first who makes one of its name.
func TestAbsentAdministratingClientIsNotForTheTaking(t *testing.T) {
	c := startConsole(t, func(c *idp.Config) {
		c.Admin.Machines["nightly"] = []string{"all"}
		c.Admin.Clients = append(c.Admin.Clients, "console")
	})
	bob := c.token("bob", "openid "+admin.ClientsWrite)
	for _, id := range []string{"nightly", "console"} {
		body := `{"client_id":"` + id + `","grants":["authorization_code"],"redirect_uris":["https://evil.example/"],"scopes":["openid","admin.users.write"]}`
		status, out := c.asks(bob, "POST", "/clients", body)
		if status != http.StatusForbidden || out["error"] != "above_own_rights" {
			t.Errorf("make %s: %d %v, want 403 above_own_rights", id, status, out)
		}
	}
}

func TestUsersAreAdministered(t *testing.T) {
	c := startConsole(t)
	tok := c.token("alice", "openid "+strings.Join(admin.Rights(), " "))
	status, u := c.asks(tok, "POST", "/users", `{"username":"dora","email":"dora@example.com","email_verified":true,
		"phone_number":"+41791234567","name":"Dora","attributes":{"given_name":"D","nickname":"x"},"password":"violet lamp 42 river","temporary":true,"groups":["staff"]}`)
	if status != http.StatusCreated || u["status"] != "FORCE_CHANGE_PASSWORD" {
		t.Fatalf("add: %d %v", status, u)
	}
	id := u["id"].(string)
	status, u = c.asks(tok, "PATCH", "/users/"+id, `{"name":"Dora D","attributes":{"nickname":null,"locale":"de"}}`)
	if attributes, _ := u["attributes"].(map[string]any); status != http.StatusOK || u["name"] != "Dora D" || u["email"] != "dora@example.com" ||
		attributes["locale"] != "de" || attributes["nickname"] != nil || attributes["given_name"] != "D" {
		t.Errorf("patch: %d %v", status, u)
	}
	if status, out := c.asks(tok, "PATCH", "/users/"+id, `{"email":null}`); status != http.StatusUnprocessableEntity {
		t.Errorf("null, which would change nothing: %d %v", status, out)
	}
	if status, list := c.asks(tok, "GET", "/users?name=DORA@example.com", ""); status != 200 || len(list["users"].([]any)) != 1 {
		t.Errorf("by name: %d %v", status, list)
	}
	_, page := c.asks(tok, "GET", "/users?limit=1", "")
	if page["next"] != "alice" {
		t.Errorf("first page: %v", page)
	}
	_, page = c.asks(tok, "GET", "/users?limit=10&after=bob", "")
	if users := page["users"].([]any); len(users) != 1 || page["next"] != nil {
		t.Errorf("last page: %v", page)
	}
	if status, _ := c.asks(tok, "POST", "/users", `{"username":"DORA"}`); status != http.StatusConflict {
		t.Errorf("a taken name: %d, want 409", status)
	}
	for _, path := range []string{"/disable", "/enable", "/require-reset", "/sign-out"} {
		if status, _ := c.asks(tok, "POST", "/users/"+id+path, ""); status != http.StatusNoContent {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _ := c.asks(tok, "PUT", "/users/"+id+"/password", `{"password":"copper moss 17 kite"}`); status != http.StatusNoContent {
		t.Errorf("password: %d", status)
	}
	if status, g := c.asks(tok, "GET", "/users/"+id+"/groups", ""); status != 200 || len(g["groups"].([]any)) != 1 {
		t.Errorf("groups: %d %v", status, g)
	}
	if status, _ := c.asks(tok, "DELETE", "/users/"+id, ""); status != http.StatusNoContent {
		t.Errorf("delete: %d", status)
	}
	if status, _ := c.asks(tok, "GET", "/users/"+id, ""); status != http.StatusNotFound {
		t.Errorf("after delete: %d", status)
	}
	_, events := c.asks(tok, "GET", "/events?limit=500", "")
	var types []string
	for _, e := range events["events"].([]any) {
		if e := e.(map[string]any); e["actor"] == "alice" && e["target"] == id {
			types = append(types, e["type"].(string))
		}
	}
	want := []string{"user.created", "user.updated", "user.disabled", "user.enabled", "user.reset_required", "user.signed_out", "user.password_set", "user.deleted"}
	if !slices.Equal(types, want) {
		t.Errorf("events = %v, want %v", types, want)
	}
}

func TestClientsAndScopesAreAdministered(t *testing.T) {
	c := startConsole(t)
	tok := c.token("alice", "openid "+strings.Join(admin.Rights(), " "))
	must := func(want int, method, path, body string) map[string]any {
		t.Helper()
		status, out := c.asks(tok, method, path, body)
		if status != want {
			t.Fatalf("%s %s: %d %v, want %d", method, path, status, out, want)
		}
		return out
	}
	must(204, "PUT", "/resource-servers/files", `{"name":"Files"}`)
	must(204, "PUT", "/resource-servers/files/scopes/files%2Fread", `{"groups":["staff"]}`)
	must(422, "PUT", "/resource-servers/files/scopes/files%2Fread", `{"groups":["nobody"]}`)
	made := must(201, "POST", "/clients", `{"client_id":"files","grants":["client_credentials"],"scopes":["files/read"],"access_ttl":600}`)
	first := made["secrets"].([]any)[0].(map[string]any)
	if made["access_ttl"] != 600.0 || len(first["secret"].(string)) < 24 {
		t.Errorf("made: %v", made)
	}
	if got := must(200, "GET", "/clients/files", ""); got["secrets"].([]any)[0].(map[string]any)["secret"] != nil {
		t.Error("a secret is told twice")
	}
	must(201, "POST", "/clients/files/secrets", "")
	must(409, "POST", "/clients/files/secrets", "")
	must(204, "DELETE", "/clients/files/secrets/"+first["id"].(string), "")
	must(422, "PUT", "/clients/files", `{"grants":["client_credentials"],"scopes":["none"]}`)
	must(422, "PUT", "/clients/files", `{"access_ttl":9999999999999}`)
	must(422, "PUT", "/clients/files", `{"read_attributes":["emial"]}`)
	must(422, "PUT", "/clients/files", `{"write_attributes":["custom:none"]}`)
	if got := must(200, "PUT", "/clients/files", `{"grants":["client_credentials"],"scopes":[],"revocation":false}`); got["revocation"] != false || len(got["scopes"].([]any)) != 0 {
		t.Errorf("replaced: %v", got)
	}
	// What is read can be written back: a list of nothing is not the lack of one.
	lists := func(out map[string]any) [2]any { return [2]any{out["read_attributes"], out["write_attributes"]} }
	none := [2]any{[]any{}, []any{}}
	if got := lists(must(200, "PUT", "/clients/files", `{"read_attributes":[],"write_attributes":[]}`)); !reflect.DeepEqual(got, none) {
		t.Errorf("lists of nothing = %v", got)
	}
	if got := lists(must(200, "PUT", "/clients/files", `{}`)); got != [2]any{} {
		t.Errorf("no lists = %v", got)
	}
	must(201, "PUT", "/groups/new%2Fones", "{}")
	must(422, "PUT", "/groups/a", `{"precedence":-1}`)
	must(201, "PUT", "/groups/a", `{"precedence":1,"role_arn":"arn:x"}`)
	must(200, "PUT", "/groups/a", `{"precedence":2}`)
	must(204, "DELETE", "/groups/a", "")
	must(204, "DELETE", "/resource-servers/files/scopes/files%2Fread", "")
	must(404, "DELETE", "/resource-servers/files/scopes/files%2Fread", "")
	must(204, "DELETE", "/resource-servers/files", "")
	must(204, "DELETE", "/clients/files", "")
	if len(must(200, "GET", "/clients", "")["clients"].([]any)) != 5 || must(200, "GET", "/resource-servers", "")["resource_servers"] == nil {
		t.Error("lists are short")
	}
}

func TestAdministrationIsOffByDefault(t *testing.T) {
	f := start(t, "")
	res, err := http.Get(f.issuer + admin.Prefix + "/users")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("status = %d, want 404", res.StatusCode)
	}
	scopes, err := f.p.Clients.Scopes(t.Context())
	if err != nil || slices.ContainsFunc(scopes, func(s client.Scope) bool { return s.Server == admin.Server }) {
		t.Errorf("scopes %v, %v: want none of administrators", scopes, err)
	}
}
