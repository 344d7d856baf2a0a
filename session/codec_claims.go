package session

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// Tags of claim values.
const (
	tagNull byte = iota
	tagFalse
	tagTrue
	tagNumber
	tagString
	tagList
	tagMap
	// The same as a field of the session.
	tagUsername
	tagACR
	tagIssuerSID
	tagOriginJTI
	tagGroups
	tagAMR
	tagAuthTime // in whole seconds
)

// frequent are names of claims that are written as their place here, counted from
// 1. Whoever changes the list changes the version.
var frequent = []string{
	"acr", "amr", "auth_time", "sid", "origin_jti", "cognito:username", "cognito:groups", "groups", "roles", "scope",
	"preferred_username", "given_name", "family_name", "nickname", "picture", "locale", "zoneinfo", "updated_at",
}

// derived are claims that are written as fields and so not twice.
var derived = []string{"iss", "sub", "email", "email_verified", "name"}

func (w *writer) claims(s *Session) {
	names := make([]string, 0, len(s.Claims))
	for name := range s.Claims {
		if !slices.Contains(derived, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	w.uvarint(len(names))
	for _, name := range names {
		at := slices.Index(frequent, name) + 1
		if *w = append(*w, byte(at)); at == 0 {
			w.string(name)
		}
		if tag, ok := s.sameAs(s.Claims[name]); ok {
			*w = append(*w, tag)
		} else {
			w.value(s.Claims[name], 0)
		}
	}
}

// sameAs finds the field of s that says the same as a claim.
func (s *Session) sameAs(claim any) (tag byte, ok bool) {
	switch claim := claim.(type) {
	case string:
		for _, field := range []struct {
			tag  byte
			text string
		}{{tagUsername, s.Username}, {tagACR, s.ACR}, {tagIssuerSID, s.IssuerSID}, {tagOriginJTI, s.OriginJTI}} {
			if claim != "" && claim == field.text {
				return field.tag, true
			}
		}
	case []any:
		if sameList(claim, s.Groups) {
			return tagGroups, true
		}
		if sameList(claim, s.AMR) {
			return tagAMR, true
		}
	case json.Number:
		if !s.AuthTime.IsZero() && claim == seconds(s.AuthTime) {
			return tagAuthTime, true
		}
	}
	return 0, false
}

// seconds is a time as a NumericDate (RFC 7519 §2).
func seconds(t time.Time) json.Number { return json.Number(strconv.FormatInt(t.Unix(), 10)) }

// sameList tells whether items are the list as encoding/json decodes it.
func sameList(items []any, list []string) bool {
	if len(items) == 0 || len(items) != len(list) {
		return false
	}
	for i, item := range items {
		if item != any(list[i]) {
			return false
		}
	}
	return true
}

// maxDepth bounds claims inside claims; deeper ones become null, which no rule
// matches.
const maxDepth = 16

func (w *writer) value(v any, depth int) {
	switch v := v.(type) {
	case bool:
		if v {
			*w = append(*w, tagTrue)
		} else {
			*w = append(*w, tagFalse)
		}
		return
	case json.Number:
		*w = append(*w, tagNumber)
		w.string(v.String())
		return
	case string:
		*w = append(*w, tagString)
		w.string(v)
		return
	case []any:
		if depth < maxDepth {
			*w = append(*w, tagList)
			w.uvarint(len(v))
			for _, item := range v {
				w.value(item, depth+1)
			}
			return
		}
	case map[string]any:
		if depth < maxDepth {
			w.mapValue(v, depth)
			return
		}
	}
	*w = append(*w, tagNull)
}

func (w *writer) mapValue(m map[string]any, depth int) {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	*w = append(*w, tagMap)
	w.uvarint(len(names))
	for _, name := range names {
		w.string(name)
		w.value(m[name], depth+1)
	}
}

// claims reads the claims and adds those that were written as fields.
func (r *reader) claims(s *Session) {
	n := r.count()
	s.Claims = make(map[string]any, n+len(derived))
	s.Claims["iss"], s.Claims["sub"] = s.Issuer, s.Subject
	if s.Email != "" {
		s.Claims["email"], s.Claims["email_verified"] = s.Email, s.EmailVerified
	}
	if s.Name != "" {
		s.Claims["name"] = s.Name
	}
	for range n {
		var name string
		switch at := int(r.byte()); {
		case at == 0:
			name = r.string()
		case at <= len(frequent):
			name = frequent[at-1]
		default:
			r.bad = true
		}
		if r.bad {
			return
		}
		s.Claims[name] = r.value(s, 0)
	}
}

func (r *reader) value(s *Session, depth int) any {
	switch tag := r.byte(); tag {
	case tagNull:
		return nil
	case tagFalse, tagTrue:
		return tag == tagTrue
	case tagNumber:
		return json.Number(r.string())
	case tagString:
		return r.string()
	case tagUsername:
		return s.Username
	case tagACR:
		return s.ACR
	case tagIssuerSID:
		return s.IssuerSID
	case tagOriginJTI:
		return s.OriginJTI
	case tagGroups:
		return anyList(s.Groups)
	case tagAMR:
		return anyList(s.AMR)
	case tagAuthTime:
		return seconds(s.AuthTime)
	case tagList:
		items := make([]any, r.count())
		for i := range items {
			if items[i] = r.nested(s, depth); r.bad {
				return nil
			}
		}
		return items
	case tagMap:
		n := r.count()
		m := make(map[string]any, n)
		for range n {
			name := r.string()
			if m[name] = r.nested(s, depth); r.bad {
				return nil
			}
		}
		return m
	}
	r.bad = true
	return nil
}

// anyList is a list as encoding/json decodes it.
func anyList(list []string) []any {
	items := make([]any, len(list))
	for i, text := range list {
		items[i] = text
	}
	return items
}

func (r *reader) nested(s *Session, depth int) any {
	if depth >= maxDepth {
		r.bad = true
		return nil
	}
	return r.value(s, depth+1)
}
