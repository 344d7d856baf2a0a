package policy

import (
	"fmt"
	"testing"

	"gatehouse/session"
)

// OPA's rule index takes the plain values of a collection for all of it; a not
// turns that into an answer.
func TestACollectionOfPlainAndOtherValuesIsReadWhole(t *testing.T) {
	for _, blocked := range []string{
		`input.user.username in {"eve", input.credential.claims.banned}`,
		`input.user.username in ["eve", input.credential.claims.banned]`,
		`input.user.username in {"a": "eve", "b": input.credential.claims.banned}`,
		`{ names := {"eve", input.credential.claims.banned}; input.user.username in names }`,
		`{ some name in {"eve", input.credential.claims.banned}; input.user.username == name }`,
		`input.user.username in names(input.credential.claims.banned)
names(x) := {"eve", x}`,
	} {
		p := asks(t, fmt.Sprintf("package orders\n\nallow if not blocked\n\nblocked if %s\n", blocked))
		named := person(func(id *session.Identity) { id.Claims = map[string]any{"banned": "bob"} })
		denies(t, p, named, OPADeny)
		allows(t, p, person(func(id *session.Identity) { id.Claims = map[string]any{"banned": "mallory"} }), OPAAllow)
		denies(t, p, person(func(id *session.Identity) {
			id.Username, id.Claims = "eve", map[string]any{"banned": "x"}
		}), OPADeny)
	}
}

func TestTheIndexIsUsedWhereItIsRight(t *testing.T) {
	for module, want := range map[string]bool{
		`allow if input.user.username in {"a", "b"}`:                                          true,
		`allow if input.user.username in {input.user.subject, input.credential.claims.x}`:     true,
		`allow if input.user.username in {"a", input.credential.claims.x}`:                    false,
		`allow if count({"a": 1, "b": 2}) == 2`:                                               true,
		`allow if object.get({"a": input.user.username, "b": 2}, "a", "") == input.user.name`: false,
	} {
		if p := asks(t, "package orders\n\n"+module+"\n"); p.indexed != want {
			t.Errorf("with %s the index is used: %t, want %t", module, p.indexed, want)
		}
	}
}
