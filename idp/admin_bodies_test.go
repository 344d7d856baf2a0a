package idp_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"gatehouse/idp/admin"
)

func TestOddBodiesAreRefusedByName(t *testing.T) {
	c := startConsole(t)
	tok := c.token("alice", "openid "+strings.Join(admin.Rights(), " "))
	for body, want := range map[string]struct {
		status int
		names  string
	}{
		`{"username":"x","is_admin":true}`:                  {422, "is_admin"},
		`{"username":"x","Email":"a@b.c"}`:                  {422, "Email"},
		`{"username":"x","username":"y"}`:                   {422, "username"},
		`{"username":"x","attributes":{"a":"b","a":"c"}}`:   {422, "a"},
		`{"username":"x","email":null}`:                     {422, "email is null"},
		`{"username":"x","temporary":true}`:                 {422, "temporary"},
		`{"username":7}`:                                    {422, "username"},
		`{"username":"x","email_verified":"true"}`:          {422, "email_verified"},
		`{"username":"x","attributes":{"sub":"y"}}`:         {422, "sub"},
		`{"username":"x","status":"CONFIRMED"}`:             {422, "status"},
		`{"username":"x","password_hash":"$argon2id$v=19"}`: {422, "password_hash"},
		`{"username":"x","phone_number_verified":true}`:     {422, "phone_number_verified"},
		`{"username":"a b"}`:                                {422, "username"},
		`{"username":"x"} {}`:                               {400, ""},
		`{"username":"x"`:                                   {400, ""},
		`[]`:                                                {400, ""},
		"{\"username\":\"\xff\"}":                           {400, ""},
		strings.Repeat(`{"attributes":`, 50):                {400, ""},
		`{"name":"` + strings.Repeat("x", 300<<10) + `"}`:   {413, ""},
	} {
		status, out := c.asks(tok, "POST", "/users", body)
		if text, _ := out["error_description"].(string); status != want.status || !strings.Contains(text, want.names) {
			t.Errorf("%.60s: %d %v, want %d naming %q", body, status, out, want.status, want.names)
		}
	}
	for _, path := range []string{"/users/", "//users", "/Users", "/users/../users", "/x"} {
		if status, _ := c.raw(tok, "GET", path, ""); status != 404 && status != 400 {
			t.Errorf("GET %s: %d, want 404 or 400", path, status)
		}
	}
	if status, _ := c.asks(tok, "POST", "/groups", "{}"); status != http.StatusMethodNotAllowed {
		t.Errorf("POST /groups: %d, want 405", status)
	}
}

// An operation that takes no body refuses one, however it is sent, and does
// nothing.
func TestBodiesThatNobodyReadsAreRefused(t *testing.T) {
	c := startConsole(t)
	tok := c.token("alice", "openid "+strings.Join(admin.Rights(), " "))
	stand := strings.NewReplacer("{id}", c.userID("bob"), "{", "", "}", "")
	for path, item := range c.description["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			method := strings.ToUpper(method)
			_, takes := op.(map[string]any)["requestBody"]
			for _, size := range []int64{2, -1} {
				r, err := http.NewRequestWithContext(t.Context(), method, c.issuer+admin.Prefix+stand.Replace(path), struct{ io.Reader }{strings.NewReader("{}")})
				if err != nil {
					t.Fatal(err)
				}
				r.ContentLength = size
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "Bearer "+tok)
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(res.Body)
				if res.Body.Close(); err != nil {
					t.Fatal(err)
				}
				refused := res.StatusCode == 400 && strings.Contains(string(text), "the body must be empty: "+method+" "+path+" takes none")
				if refused == takes {
					t.Errorf("%s %s with a body of length %d: %d %s", method, path, size, res.StatusCode, text)
				}
			}
		}
	}
	if u, err := c.p.Pool.Find(t.Context(), "bob"); err != nil || !u.Enabled {
		t.Errorf("bob = %+v, %v; want him as he was", u, err)
	}
}

// A query parameter that an operation does not have is refused: whoever filters by
// what nobody reads would take all people for some.
func TestParametersThatNobodyReadsAreRefused(t *testing.T) {
	c := startConsole(t)
	tok := c.token("alice", "openid "+strings.Join(admin.Rights(), " "))
	stand := strings.NewReplacer("{id}", c.userID("bob"), "{", "", "}", "")
	for path, item := range c.description["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			method := strings.ToUpper(method)
			status, text := c.raw(tok, method, stand.Replace(path)+"?email=bob@example.com", "")
			if status != 400 || !strings.Contains(text, method+" "+path+" has no parameter email") {
				t.Errorf("%s %s with a parameter of no use: %d %s", method, path, status, text)
			}
		}
	}
	for query, want := range map[string]int{
		"/users?after=alice&limit=1": 200, "/users?name=bob": 200, "/events?after=1&limit=1": 200, "/groups": 200,
		"/users?name=bob&limit=1": 422, "/users?name=bob&after=alice": 422, "/groups?limit=1": 400, "/users?": 200,
	} {
		if status, text := c.raw(tok, "GET", query, ""); status != want {
			t.Errorf("GET %s: %d %s, want %d", query, status, text, want)
		}
	}
	if u, err := c.p.Pool.Find(t.Context(), "bob"); err != nil || !u.Enabled {
		t.Errorf("bob = %+v, %v; want him as he was", u, err)
	}
}
