package idp_test

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/idp"
	"gatehouse/idp/pool"
)

// People write of themselves what the application they come from may write, and
// what everybody must have.
func TestSignUpTakesWhatTheClientWrites(t *testing.T) {
	for name, tt := range map[string]struct {
		writes          []string
		offered, denied []string
	}{
		"a list":              {[]string{"nickname"}, []string{"custom:code", "nickname"}, []string{"name", "custom:team", "phone_number"}},
		"nothing":             {[]string{}, []string{"custom:code"}, []string{"name", "nickname", "custom:team", "phone_number"}},
		"all but custom ones": {nil, []string{"custom:code", "name", "nickname", "phone_number"}, []string{"custom:team"}},
		"a custom one":        {[]string{"custom:team"}, []string{"custom:code", "custom:team"}, []string{"name", "nickname", "phone_number"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := startMailed(t, "", func(c *idp.Config) {
				c.Account.Attributes = []string{"name", "nickname", "phone_number", "custom:team"}
				c.Pool.Required = []string{"email", "custom:code"}
				c.Pool.Custom = []pool.CustomAttribute{{Name: "team", Type: pool.TypeString, Mutable: true}, {Name: "code", Type: pool.TypeString, Mutable: true}}
				for i := range c.Bootstrap.Clients {
					c.Bootstrap.Clients[i].WriteAttributes = tt.writes
				}
			})
			b := m.browser()
			page := b.signUpPage()
			var offered []string
			for _, field := range []string{"name", "nickname", "phone_number", "custom:team", "custom:code"} {
				if strings.Contains(page.body, `name="`+field+`"`) {
					offered = append(offered, field)
				}
			}
			if slices.Sort(offered); !slices.Equal(offered, tt.offered) {
				t.Errorf("the form asks for %v, want %v", offered, tt.offered)
			}
			good := []string{"email", "dana@example.com", "username", "dana", "custom:code", "7", "password", lamp}
			for _, field := range tt.denied {
				value := "x"
				if field == "phone_number" {
					value = "+41791234567"
				}
				b.want(b.fill(page, append(slices.Clone(good), field, value)...), 422, "it cannot be set here")
			}
			b.want(b.fill(page, good...), 303, "")
			// Her own page is not the client's.
			confirm := b.follow(b.fill(page, good...))
			b.want(b.fill(confirm, "code", m.mail("dana@example.com").code()), 303, "")
			own := m.accountOf("dana", lamp)
			own.want(own.get(m.issuer+"/account"), 200, `name="nickname"`)
		})
	}
}
