package client

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Difference is a field of a client that is otherwise than wanted. From and To are
// for people to read; of secrets they show "***".
type Difference struct{ Field, From, To string }

// Differences returns what Put would change of the client with n's id; none when
// it would write nothing. ErrNotFound when Put would make it, ErrManaged.
func (c *Clients) Differences(ctx context.Context, n Client, secret string) ([]Difference, error) {
	have, err := c.Find(ctx, n.ID)
	if err != nil {
		return nil, err
	}
	if have.Managed {
		return nil, ErrManaged
	}
	n = n.withDefaults()
	var out []Difference
	add := func(field, from, to string) {
		if from != to {
			out = append(out, Difference{field, from, to})
		}
	}
	add("name", have.Name, n.Name)
	add("public", fmt.Sprint(have.Public), fmt.Sprint(n.Public))
	if secret != "" && !slices.ContainsFunc(have.Secrets, func(s Secret) bool { return s.is(secret) }) {
		out = append(out, Difference{"secret", "***", "***"})
	}
	for _, list := range []struct {
		field    string
		from, to []string
	}{
		{"redirect_uris", have.RedirectURIs, n.RedirectURIs},
		{"sign_out_uris", have.SignOutURIs, n.SignOutURIs},
		{"scopes", have.Scopes, n.Scopes},
		{"grants", have.Grants, n.Grants},
	} {
		add(list.field, strings.Join(list.from, " "), strings.Join(list.to, " "))
	}
	add("access_ttl", have.AccessTTL.String(), n.AccessTTL.String())
	add("id_ttl", have.IDTTL.String(), n.IDTTL.String())
	add("refresh_ttl", have.RefreshTTL.String(), n.RefreshTTL.String())
	add("refresh_grace", have.Grace().String(), n.Grace().String())
	add("read_attributes", attributesText(have.ReadAttributes), attributesText(n.ReadAttributes))
	add("write_attributes", attributesText(have.WriteAttributes), attributesText(n.WriteAttributes))
	add("revocation", fmt.Sprint(!have.NoRevocation), fmt.Sprint(!n.NoRevocation))
	return out, nil
}

// attributesText tells a list that nobody wrote from an empty one.
func attributesText(list []string) string {
	switch {
	case list == nil:
		return "(default)"
	case len(list) == 0:
		return "(none)"
	}
	return strings.Join(list, " ")
}
