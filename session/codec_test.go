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
