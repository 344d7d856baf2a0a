package declog

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/policy"
)

// masked writes e without what pointers name, and returns the line and what it
// says was erased, sorted.
func masked(t *testing.T, e Entry, pointers ...string) (line string, erased []string) {
	t.Helper()
	line = written(t, config(func(c *policy.LogConfig) { c.Mask = pointers }), e)
	ev, err := Parse([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ev.Erased)
	return line, ev.Erased
}

func TestMaskedValuesStandNowhere(t *testing.T) {
	for _, c := range []struct {
		mask   []string
		gone   []string
		kept   []string
		erased []string
	}{
		{
			mask: []string{"/input/user/email"}, gone: []string{"mail-alice", "Mail-Alice"}, kept: []string{`"email_domain":"example.com"`, "sales"},
			erased: []string{"/input/credential/claims/contact", "/input/user/email"},
		},
		{
			mask: []string{"/input/user/subject"}, gone: []string{"sub-7"}, kept: []string{"alice"},
			erased: []string{"/input/credential/subject", "/input/user/subject"},
		},
		{
			mask: []string{"/input/credential/subject"}, gone: []string{"sub-7"}, kept: []string{"alice"},
			erased: []string{"/input/credential/subject", "/input/user/subject"},
		},
		{mask: []string{"/input/request/client_ip"}, gone: []string{"192.0.2.7", "requested_by"}, erased: []string{"/input/request/client_ip"}},
		{
			mask: []string{"/input/request/variables/tenant"}, gone: []string{"acme"}, kept: []string{"app.test"},
			erased: []string{"/input/request/path", "/input/request/variables"},
		},
		{
			mask: []string{"/input/request/path"}, gone: []string{"acme"},
			erased: []string{"/input/request/path", "/input/request/variables"},
		},
		{mask: []string{"/input/route"}, gone: []string{`"orders"`}, kept: []string{"orders.read"}, erased: []string{"/input/route"}},
		{mask: []string{"/input/credential/claims/a~1b"}, gone: []string{"slashed"}, kept: []string{"sales"}, erased: []string{"/input/credential/claims/a~1b"}},
		{mask: []string{"/input/credential/claims/a/b"}, kept: []string{"slashed"}},
		{
			mask: []string{"/input/user/groups/0", "/input/user/groups/1"}, gone: []string{"staff", "admins"}, kept: []string{`"groups":[]`},
			erased: []string{"/input/user/groups/0", "/input/user/groups/1"},
		},
		{mask: []string{"/input/user/groups/2", "/input/user/groups/01", "/input/user/groups/-"}, kept: []string{"staff", "admins"}},
		{
			mask: []string{"/input/request/body/items/1/note"}, gone: []string{"secret-body"}, kept: []string{`"one"`},
			erased: []string{"/input/request/body/items/1/note"},
		},
		{mask: []string{"/input/request/body/items/7/note", "/input/nothing", "/input/user/email/x"}, kept: []string{"secret-body", "mail-alice"}},
		{mask: []string{"/input/request"}, gone: []string{"acme", "192.0.2.7", "secret-query", "secret-body"}, erased: []string{"/input/request"}},
		{
			mask: []string{"/input/user"}, gone: []string{"alice", "sub-7", "staff"}, kept: []string{"sales"},
			erased: []string{"/input/credential/claims/contact", "/input/credential/subject", "/input/user"},
		},
		{mask: []string{"/input/credential/claims/department"}, gone: []string{"sales"}, erased: []string{"/input/credential/claims/department"}},
	} {
		line, erased := masked(t, entry(policy.OutcomeDeny), c.mask...)
		for _, text := range c.gone {
			if strings.Contains(line, text) {
				t.Errorf("mask %v: %s still stands in %s", c.mask, text, line)
			}
		}
		for _, text := range c.kept {
			if !strings.Contains(line, text) {
				t.Errorf("mask %v: %s is gone from %s", c.mask, text, line)
			}
		}
		if !slices.Equal(erased, c.erased) {
			t.Errorf("mask %v: erased = %v, want %v", c.mask, erased, c.erased)
		}
	}
}

func TestDefaultMaskHidesWhatIsPersonal(t *testing.T) {
	var cfg policy.LogConfig
	cfg.Defaults()
	e := entry(policy.OutcomeDeny)
	e.Query.Identity.Username = "MAIL-alice@example.com" // a pool that has people sign in with it
	line, erased := masked(t, e, cfg.Mask...)
	for _, text := range []string{"mail-alice", "Mail-Alice", "MAIL", "Alice Example", "sales", "secret"} {
		if strings.Contains(line, text) {
			t.Errorf("%s stands in %s", text, line)
		}
	}
	want := []string{
		"/input/credential/claims", "/input/request/body", "/input/request/query", "/input/user/email", "/input/user/name", "/input/user/username",
	}
	if !slices.Equal(erased, want) {
		t.Errorf("erased = %v, want %v", erased, want)
	}
}

// Where people sign in with an address, names are addresses though no e-mail
// address may be known, or another one.
func TestMaskingTheAddressHidesNamesThatAreAddresses(t *testing.T) {
	for _, email := range []string{"", "mail-alice@example.com"} {
		e := entry(policy.OutcomeDeny)
		id := e.Query.Identity
		id.Email, id.Subject, id.Username, id.Name = email, "first@corp.test", "Second@corp.test", "Alice <third@corp.test>"
		id.Claims = map[string]any{"upn": "second@corp.test", "kept": "yes"}
		line, erased := masked(t, e, "/input/user/email")
		if strings.Contains(line, "@") {
			t.Errorf("with e-mail address %q, an address stands in %s", email, line)
		}
		want := []string{"/input/credential/claims/upn", "/input/credential/subject", "/input/user/name", "/input/user/subject", "/input/user/username"}
		if email != "" {
			want = slices.Insert(want, 2, "/input/user/email")
		}
		if !slices.Equal(erased, want) {
			t.Errorf("erased = %v, want %v", erased, want)
		}
	}
	line, _ := masked(t, entry(policy.OutcomeDeny), "/input/user/email")
	for _, name := range []string{`"alice"`, `"Alice Example"`, `"sub-7"`} {
		if !strings.Contains(line, name) {
			t.Errorf("%s, which is no address, is gone from %s", name, line)
		}
	}
}

// The record leaves out what does not count; the claims tell of it all the
// same.
func TestMaskHidesInClaimsWhatTheRecordLeavesOut(t *testing.T) {
	e := entry(policy.OutcomeDeny)
	id := e.Query.Identity
	id.EmailVerified, id.Listed, id.ClientNamed = false, false, false
	id.Claims = map[string]any{"email": id.Email, "preferred_username": id.Username, "azp": id.ClientID, "kept": "yes"}
	line, _ := masked(t, e, "/input/user/email", "/input/user/username", "/input/credential/client")
	for _, text := range []string{"mail-alice", "alice", "gateway"} {
		if strings.Contains(line, text) {
			t.Errorf("%s stands in %s", text, line)
		}
	}
	if !strings.Contains(line, `"kept":"yes"`) {
		t.Errorf("a claim that repeats nothing is gone from %s", line)
	}
}

func TestMaskLeavesTheIdentityAlone(t *testing.T) {
	e := entry(policy.OutcomeDeny)
	body := e.Query.Body.Value
	masked(t, e, "/input/credential/claims/department", "/input/credential/claims/contact/0", "/input/user/groups/0", "/input/request/body/items/1/note")
	if diff := cmp.Diff(alice(), e.Query.Identity); diff != "" {
		t.Errorf("the mask changed the identity:\n%s", diff)
	}
	if text, _ := json.Marshal(body); !strings.Contains(string(text), "secret-body") {
		t.Errorf("the mask changed the body: %s", text)
	}
}

func TestNewRefusesAMaskOutsideTheInput(t *testing.T) {
	for _, pointer := range []string{"", "/", "/input", "/input/", "input/user", "/result/reason", "/inputs/user", "/input/a~2", "/input/a~", "/input/\xff"} {
		if _, err := New(config(func(c *policy.LogConfig) { c.File, c.Mask = "-", []string{pointer} }), Options{}); err == nil {
			t.Errorf("New with mask %q = nil, want an error", pointer)
		}
	}
}
