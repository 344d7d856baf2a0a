package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/conf"
	"gatehouse/session"
)

func alice() *session.Identity {
	return &session.Identity{
		Credential: session.Cookie, Issuer: "https://login.test", Subject: "7f1c", Username: "alice",
		Email: "alice@example.com", EmailVerified: true, Name: "Zoë Łukasz 李", ClientID: "gatehouse",
		Groups: []string{"admins", "staff"}, Person: true, Listed: true, SID: "s1", AccessToken: "at.x.y",
		Claims: map[string]any{
			"team": "blue", "level": json.Number("7"), "vip": true, "tags": []any{"a,b", "c"}, "address": map[string]any{"x": 1},
			"cognito:groups": []any{"admins"}, "email": "evil@example.com", "iss": "https://login.test", "nonce": "n",
		},
	}
}

// read parses the value of identity_headers.
func read(t *testing.T, yaml string) (Headers, error) {
	t.Helper()
	var f struct {
		IdentityHeaders Headers `yaml:"identity_headers"`
	}
	_, err := conf.Parse("t.yaml", []byte("identity_headers: "+yaml+"\n"), &f)
	return f.IdentityHeaders, err
}

func apply(t *testing.T, yaml string, id *session.Identity) (http.Header, int) {
	t.Helper()
	told, err := compile(t, yaml).Tell(id, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	told.SetOn(h)
	return h, told.Left
}

// compile returns the plan of headers that need no signer.
func compile(t *testing.T, yaml string) *Plan {
	t.Helper()
	headers, err := read(t, yaml)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := headers.Compile(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestDefaultHeaders(t *testing.T) {
	for _, yaml := range []string{"default", "{}"} {
		h, left := apply(t, yaml, alice())
		if yaml == "{}" {
			if len(h) != 0 {
				t.Errorf("an empty map set %v", h)
			}
			continue
		}
		want := map[string]string{
			"X-Forwarded-User": "alice", "X-Forwarded-Email": "alice@example.com",
			"X-Forwarded-Groups": "admins,staff", "X-Forwarded-Preferred-Username": "alice",
		}
		if got := flat(h); fmt.Sprint(got) != fmt.Sprint(want) || left != 0 {
			t.Errorf("default = %v, %d left, want %v", got, left, want)
		}
	}
	var zero Headers
	if plan, err := zero.Compile(nil, ""); err != nil || len(plan.Names()) != 4 {
		t.Errorf("the zero Headers name %v, %v, want the preset default", plan.Names(), err)
	}
}

func flat(h http.Header) map[string]string {
	m := map[string]string{}
	for k, v := range h {
		m[k] = strings.Join(v, "|")
	}
	return m
}

func TestNobodyHasNoHeaders(t *testing.T) {
	if h, _ := apply(t, "default", nil); len(h) != 0 {
		t.Errorf("headers of nobody: %v", h)
	}
}

func TestMissingValuesAreLeftOut(t *testing.T) {
	bare := &session.Identity{Subject: "7f1c", Email: "a@b", Listed: true}
	h, left := apply(t, "default", bare)
	if v, ok := h["X-Forwarded-Groups"]; !ok || v[0] != "" || len(h) != 1 || left != 0 {
		t.Errorf("headers %v, %d left, want empty groups alone: the e-mail is not verified", h, left)
	}
}

func TestRightsOfUnlistedClientsAreNotTold(t *testing.T) {
	id := alice()
	id.Listed = false
	h, _ := apply(t, `{X-G: groups, X-C: "claim:cognito:groups", X-U: username}`, id)
	if v, ok := h["X-G"]; !ok || v[0] != "" {
		t.Errorf("X-G = %q, want it empty", v)
	}
	if _, ok := h["X-C"]; ok || h.Get("X-U") != "alice" {
		t.Errorf("headers %v, want no X-C and X-U alice", h)
	}
}

func TestMappedHeaders(t *testing.T) {
	h, left := apply(t, `{x-webauth-user: username, X-Sub: sub, X-Name: name, X-Team: "claim:team", X-Level: "claim:level",
  X-Vip: "claim:vip", X-Tags: "claim:tags", X-None: "claim:none", X-Address: "claim:address", X-Mail: "claim:email",
  X-Via: "static:gate house"}`, alice())
	want := map[string]string{
		"X-Webauth-User": "alice", "X-Sub": "7f1c", "X-Name": "Zo%C3%AB %C5%81ukasz %E6%9D%8E", "X-Team": "blue",
		"X-Level": "7", "X-Vip": "true", "X-Tags": "a%2Cb,c", "X-Mail": "alice@example.com", "X-Via": "gate house",
	}
	if got := flat(h); fmt.Sprint(got) != fmt.Sprint(want) || left != 1 {
		t.Errorf("headers %v, %d left, want %v and X-Address left", got, left, want)
	}
}

func TestHeadersThatCannotBeSentAreCounted(t *testing.T) {
	for _, name := range []string{"a\r\nX-Auth-Groups: admins", "a\rb", "a\x00", "a\x7f", "a\u0085b", "a\xffb"} {
		id := alice()
		id.Username, id.Groups = name, []string{"staff", name}
		h, left := apply(t, "default", id)
		if _, ok := h["X-Forwarded-User"]; ok || left != 3 || len(h) != 1 {
			t.Errorf("%q: headers %v, %d left, want e-mail alone and 3", name, h, left)
		}
	}
}

func TestValuesDecodeToThemselves(t *testing.T) {
	for _, s := range []string{"alice", "100%", "%41", "a b", " a", "a ", "Ł", "a,b", "李", "+", "a;b=\"c\""} {
		for name, f := range map[string]func(string) (string, bool){"encode": encode, "encodeItem": encodeItem} {
			value, ok := f(s)
			back, err := url.PathUnescape(value)
			if !ok || err != nil || back != s || value != strings.TrimSpace(value) {
				t.Errorf("%s(%q) = %q, decodes to %q", name, s, value, back)
			}
		}
	}
}

func TestManyGroupsAreCutBetweenTwo(t *testing.T) {
	id := alice()
	id.Groups = nil
	for i := range 1000 {
		id.Groups = append(id.Groups, fmt.Sprintf("group-number-%d", i))
	}
	h, left := apply(t, "default", id)
	value := h.Get("X-Forwarded-Groups")
	if len(value) > 8<<10 || len(value) < 8000 || h.Get("X-Forwarded-Groups-Truncated") != "true" || left != 0 {
		t.Errorf("%d bytes, truncated %q, want just below 8 KiB and true", len(value), h.Get("X-Forwarded-Groups-Truncated"))
	}
	words := strings.Split(value, ",")
	if last := words[len(words)-1]; last != fmt.Sprintf("group-number-%d", len(words)-1) {
		t.Errorf("the last group is %q: cut in the middle", last)
	}
}

func TestHeadersConfig(t *testing.T) {
	for _, bad := range []string{
		"alp", "[default]", `{X-A: nobody}`, `{X-A: "claim:"}`, `{X-A: "static:"}`, `{X-A: "static:\u0001"}`, `{X-A: "static: x"}`,
		`{X_A: username}`, `{X.A: username}`, `{"X A": username}`, `{Host: username}`, `{Cookie: username}`, `{authorization: sub}`,
		`{X-Forwarded-For: "static:1.2.3.4"}`, `{Sec-Fetch-Mode: sub}`, `{X-Http-Method-Override: "static:DELETE"}`,
		`{X-User: username, x-user: email}`, `{Content-Length: "static:0"}`,
	} {
		if _, err := read(t, bad); err == nil {
			t.Errorf("identity_headers: %s was accepted", bad)
		}
	}
	for _, good := range []string{"none", "alb", "default", `{X-Forwarded-User: email}`} {
		if _, err := read(t, good); err != nil {
			t.Errorf("identity_headers: %s: %v", good, err)
		}
	}
	for _, yaml := range []string{"alb", "{X-Jwt: assertion}"} {
		headers, err := read(t, yaml)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := headers.Compile(nil, "app"); !errors.Is(err, ErrNoSigner) {
			t.Errorf("%s without a signer: %v, want ErrNoSigner", yaml, err)
		}
	}
	var f struct {
		ALB ALB `yaml:"alb"`
	}
	if _, err := conf.Parse("t.yaml", []byte("alb: {signer: arn:aws:nothing}\n"), &f); err == nil {
		t.Error("a signer that no verifier accepts was accepted")
	}
	if u, _ := url.Parse("https://app.example.com"); !arn.MatchString(DefaultSigner(u)) {
		t.Errorf("default signer %s is not an ARN", DefaultSigner(u))
	}
}
