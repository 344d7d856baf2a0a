package httpx

import (
	"net/http/httptest"
	"testing"
)

func TestFormPostNeedsOurOrigin(t *testing.T) {
	const ours = "https://login.example.com"
	for _, c := range []struct {
		origin, site, mode, dest string
		ok                       bool
	}{
		{ours, "same-origin", "navigate", "document", true},
		{ours, "", "", "", true},
		{"", "same-origin", "", "", true},
		{"", "", "", "", false},
		{"null", "", "", "", false},
		{"null", "same-origin", "", "", false},
		{"https://evil.example", "", "", "", false},
		{"https://login.example.com.evil.example", "", "", "", false},
		{"https://LOGIN.example.com", "", "", "", false},
		{ours, "same-site", "", "", false},
		{ours, "cross-site", "", "", false},
		{"", "none", "", "", false},
		{ours, "same-origin", "cors", "empty", false},
		{ours, "same-origin", "navigate", "iframe", false},
	} {
		r := httptest.NewRequest("POST", "/login", nil)
		for name, value := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site, "Sec-Fetch-Mode": c.mode, "Sec-Fetch-Dest": c.dest} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if got := CheckFormPost(r, ours) == nil; got != c.ok {
			t.Errorf("CheckFormPost(%+v) passes = %t, want %t", c, got, c.ok)
		}
	}
	r := httptest.NewRequest("POST", "/login", nil)
	r.Header["Origin"] = []string{ours, "https://evil.example"}
	if CheckFormPost(r, ours) == nil {
		t.Error("two Origin lines pass")
	}
}
