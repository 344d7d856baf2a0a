package bearer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
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
		ACR: text("acr"), AMR: stringList(claims["amr"]),
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
	if i.GroupsClaim != "" {
		id.Groups = stringList(claims[i.GroupsClaim])
	}
	if i.ScopeClaim != "" {
		id.Scopes = scopes(claims[i.ScopeClaim])
	}
	id.Person = i.person(id)
	id.Listed = i.clients[id.ClientID]
	// All three were read before, so they are times or absent. A token that
	// does not say when it was issued counts as issued before any revocation.
	id.IssuedAt, _ = numericDate(claims, "iat")
	id.AuthTime, _ = numericDate(claims, "auth_time")
	id.Expires, _ = numericDate(claims, "exp")
	return id, nil
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

// stringList returns a claim that is a list of strings; anything else is nil. An
// empty name is no group.
func stringList(claim any) []string {
	list, _ := claim.([]any)
	var out []string
	for _, item := range list {
		s, ok := item.(string)
		if !ok {
			return nil
		}
		if s != "" {
			out = append(out, s)
		}
	}
	return out
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
