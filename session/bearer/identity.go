package bearer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gatehouse/session"
)

// identity reads who a believed token speaks for.
func (i *issuer) identity(claims map[string]any, token string) (*session.Identity, error) {
	text := func(name string) string {
		s, _ := claims[name].(string)
		return s
	}
	id := &session.Identity{
		Credential: session.Bearer,
		Issuer:     i.Issuer.Issuer, Subject: text("sub"),
		ClientID: text("client_id"),
		Email:    text("email"), EmailVerified: claims["email_verified"] == true, Name: text("name"),
		IssuerSID: text("sid"), JTI: text("jti"), OriginJTI: text("origin_jti"),
		Claims: claims, AccessToken: token,
	}
	if id.Subject == "" {
		return nil, &Error{Malformed, errors.New("no sub")}
	}
	if id.ClientID == "" {
		id.ClientID = text("azp")
	}
	if i.UsernameClaim != "" {
		id.Username = text(i.UsernameClaim)
	}
	if i.ScopeClaim != "" {
		id.Scopes = scopes(claims[i.ScopeClaim])
	}
	if i.own || i.TrustACR {
		id.ACR, id.AMR = text("acr"), stringList(claims["amr"])
		id.AuthTime, _ = numericDate(claims, "auth_time")
	}
	// A value of its own, RFC 8176 §2: several methods in the list are not yet
	// several factors.
	id.MFA = slices.Contains(id.AMR, "mfa")
	id.Person = i.person(id)
	id.Groups = i.groups(id)
	id.Listed = i.clients[id.ClientID]
	// Any foreign issuer may call its clients as ours are called.
	id.ClientNamed = i.own || id.Listed
	// Both were read before, so they are times or absent. A token that does not
	// say when it was issued counts as issued before any revocation.
	id.IssuedAt, _ = numericDate(claims, "iat")
	exp, _ := numericDate(claims, "exp")
	// As inTime judges: an identity that ended before its token would be let in
	// and then not be signed for.
	id.Expires = exp.Add(i.Leeway)
	return id, nil
}

// groups returns the groups a token names: empty when there are none, nil when
// that is unknown. Our own provider leaves the claim out for a person in no
// group; in a foreign token, or a machine's, it may be missing for any reason.
func (i *issuer) groups(id *session.Identity) []string {
	if i.GroupsClaim == "" {
		return nil
	}
	claim, found := id.Claims[i.GroupsClaim]
	if !found && i.own && id.Person {
		return []string{}
	}
	names, ok := session.StringList(claim)
	if ok && names == nil {
		return []string{}
	}
	return names
}

// person tells people from machines.
func (i *issuer) person(id *session.Identity) bool {
	if i.own {
		// Our provider names the user in every token that has one.
		return id.Username != ""
	}
	azp, _ := id.Claims["azp"].(string)
	if id.Subject == id.ClientID || id.Subject == azp {
		return false
	}
	for name, value := range i.Machine {
		if claim, found := id.Claims[name]; found && plain(claim) == value {
			return false
		}
	}
	return true
}

// plain writes a scalar claim as configurations do.
func plain(claim any) string {
	switch claim.(type) {
	case string, bool, json.Number:
		return fmt.Sprint(claim)
	}
	return ""
}

// stringList is session.StringList where anything else counts as no list.
func stringList(claim any) []string {
	list, _ := session.StringList(claim)
	return list
}

// scopes returns a claim that is a list, or words with spaces between (RFC
// 6749 §3.3).
func scopes(claim any) []string {
	if s, ok := claim.(string); ok {
		return strings.Fields(s)
	}
	return stringList(claim)
}

// maxDate is the year 9999: later times are a mistake or an attack.
const maxDate = 253402300799

// numericDate reads a NumericDate (RFC 7519 §2): seconds since the epoch,
// fractions cut off. Absent is the zero time; anything but a number between
// 0 and the year 9999 is an error.
func numericDate(claims map[string]any, name string) (time.Time, error) {
	claim, found := claims[name]
	if !found {
		return time.Time{}, nil
	}
	n, ok := claim.(json.Number)
	if !ok {
		return time.Time{}, errors.New("not a number")
	}
	f, err := n.Float64()
	if err != nil || math.IsNaN(f) || f < 0 || f > maxDate {
		return time.Time{}, errors.New("not a time")
	}
	return time.Unix(int64(f), 0), nil
}
