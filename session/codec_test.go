package session

import (
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
