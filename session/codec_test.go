package session

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// TestNoGroupsAreNotUnknownGroups: nil is what nobody knows, the empty list a
// person in no group.
func TestNoGroupsAreNotUnknownGroups(t *testing.T) {
	at, c := site(t, app), cookies(t, "", key(1))
	for _, want := range [][]string{nil, {}, {""}, {"a", "b"}} {
		s := alice(at.Host)
		s.Groups, s.Scopes, s.AMR = want, want, want
		for range 2 { // sealed, and sealed again from what was opened
			got := valid(t, "sealed", c, at, request(mustSeal(t, c, at, s)...))
			for name, list := range map[string][]string{"groups": got.Groups, "scopes": got.Scopes, "AMR": got.AMR, "identity": got.Identity().Groups} {
				if !reflect.DeepEqual(list, want) {
					t.Errorf("%s %#v became %#v", name, want, list)
				}
			}
			s = got
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(alice("h").encode(1, "", time.Now()))
	f.Add([]byte{codecVersion, codecPurpose, 1})
	f.Fuzz(func(t *testing.T, text []byte) {
		s, parts, boot, err := decode(text)
		if err != nil {
			return
		}
		// What decodes means the same when written again.
		again, _, _, err := decode(s.encode(parts, boot, s.Seen))
		if err != nil || again.ID != s.ID || len(again.Claims) != len(s.Claims) {
			t.Errorf("%v: %+v became %+v", err, s, again)
		}
	})
}

func TestASecondFactorIsRememberedAndNotMadeUp(t *testing.T) {
	at, c := site(t, app), cookies(t, "", key(1))
	for _, want := range []bool{true, false} {
		s := alice(at.Host)
		s.MFA = want
		got := valid(t, "sealed", c, at, request(mustSeal(t, c, at, s)...))
		if got.MFA != want || got.Identity().MFA != want || got.EmailVerified != s.EmailVerified {
			t.Errorf("MFA %t became %t", want, got.MFA)
		}
	}
}

// TestCookiesOfBeforeCountAsNone: what an older program wrote is not read with
// fields shifted.
func TestCookiesOfBeforeCountAsNone(t *testing.T) {
	text := alice("h").encode(1, "", time.Now())
	for _, version := range []byte{1, codecVersion - 1, codecVersion + 1} {
		text[0] = version
		if s, _, _, err := decode(text); err == nil {
			t.Errorf("version %d is read as %+v", version, s)
		}
	}
}

// TestClaimsThatRepeatFieldsAreReadAsTheyWere: they are written as the field's name.
func TestClaimsThatRepeatFieldsAreReadAsTheyWere(t *testing.T) {
	at, c := site(t, app), cookies(t, "", key(1))
	s := alice(at.Host)
	s.Username, s.ACR, s.IssuerSID, s.OriginJTI = "alice", "gold", "sid-of-the-issuer", "family"
	s.Groups, s.AMR, s.AuthTime = []string{"a", "b"}, []string{"pwd", "otp"}, time.Unix(1795883198, 0)
	s.Claims = map[string]any{
		"iss": s.Issuer, "sub": s.Subject, "cognito:username": "alice", "acr": "gold", "sid": "sid-of-the-issuer", "origin_jti": "family",
		"groups": []any{"a", "b"}, "amr": []any{"pwd", "otp"}, "auth_time": json.Number("1795883198"),
		"other": "gold", "fraction": json.Number("1795883198.0"), "reversed": []any{"b", "a"}, "none": []any{}, "": "", "locale": nil,
		"deep": map[string]any{"acr": "gold", "": []any{"a", "b"}},
	}
	if s.Email != "" {
		s.Claims["email"], s.Claims["email_verified"] = s.Email, s.EmailVerified
	}
	if s.Name != "" {
		s.Claims["name"] = s.Name
	}
	got := valid(t, "sealed", c, at, request(mustSeal(t, c, at, s)...))
	if !reflect.DeepEqual(got.Claims, s.Claims) {
		t.Errorf("claims\n%#v became\n%#v", s.Claims, got.Claims)
	}
}

// TestAnOrdinarySessionIsSmall: each byte of it comes with every request.
func TestAnOrdinarySessionIsSmall(t *testing.T) {
	at, c := site(t, app), cookies(t, "", key(1))
	s := &Session{
		ID: NewID(), Host: at.Host, Provider: "gatehouse", Issuer: "https://login.example.com", ClientID: "gatehouse",
		Subject: "74f15d5b-15c5-423b-a743-8fde873f5269", Username: "alice", Email: "alice@example.com", EmailVerified: true,
		Created: time.Now(), Expires: time.Now().Add(time.Hour), AccessExpires: time.Now().Add(10 * time.Minute),
		Groups: []string{"staff"}, Scopes: []string{"openid", "profile", "email"}, AMR: []string{"pwd"}, AuthTime: time.Unix(1795883198, 0),
		IssuerSID: "dSrWf7e4IKfFaIBih2R00g", OriginJTI: "925da202-bd46-402f-895c-aed28a0b9621", RefreshToken: "qgStOUtRavgwnEYUEzldvjdND5k_3oxenHQdN9FRE0o",
		Claims: map[string]any{
			"amr": []any{"pwd"}, "auth_time": json.Number("1795883198"), "cognito:username": "alice", "cognito:groups": []any{"staff"},
			"origin_jti": "925da202-bd46-402f-895c-aed28a0b9621", "sid": "dSrWf7e4IKfFaIBih2R00g",
		},
	}
	const most = 560
	n := len(mustSeal(t, c, at, s)[0].Value)
	t.Logf("%d bytes", n)
	if n > most {
		t.Errorf("%d bytes, want %d at most", n, most)
	}
}
