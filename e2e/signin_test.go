package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// varying is what may differ between two answers of one kind: the values of
// one-use form tokens, the ids of requests and challenges.
var varying = regexp.MustCompile(`[0-9A-Za-z_-]{16,}`)

func TestWrongPasswordAndUnknownUserGetTheSameBytes(t *testing.T) {
	d := sharedDemo(t)
	type outcome struct {
		status int
		body   string
		header http.Header
	}
	try := func(name, password string) outcome {
		v := newVisitor(t, d.url)
		f := v.fill(v.open("/?x=1"), name, password)
		a := v.post(f)
		body := strings.ReplaceAll(a.body, name, "NAME")
		for key, values := range f.values {
			if key != f.name && len(values[0]) > 8 {
				body = strings.ReplaceAll(body, values[0], "TOKEN")
			}
		}
		h := a.header.Clone()
		for _, name := range []string{"Date", "Set-Cookie", "X-Request-Id"} {
			h.Del(name)
		}
		return outcome{a.status, varying.ReplaceAllString(body, "*"), h}
	}
	wrong := try("alice", "not-the-password-of-alice")
	if wrong.status != http.StatusOK && wrong.status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong password is answered %d, want the page again", wrong.status)
	}
	if !strings.Contains(wrong.body, `role="alert"`) {
		t.Errorf("the page does not announce its error:\n%s", wrong.body)
	}
	for _, name := range []string{"mallet", "alicf", "alicf@example.com", "nobody@example.com"} {
		unknown := try(name, "not-the-password-of-alice")
		if unknown.status != wrong.status || unknown.body != wrong.body {
			t.Errorf("unknown user %s: %d\n%s\nwrong password: %d\n%s", name, unknown.status, unknown.body, wrong.status, wrong.body)
		}
		if a, b := lines(unknown.header), lines(wrong.header); a != b {
			t.Errorf("unknown user %s: headers\n%s\nwrong password:\n%s", name, a, b)
		}
	}
	if right := try("alice", demoPassword); right.status == wrong.status {
		t.Errorf("the right password is answered %d too", right.status)
	}
}

func lines(h http.Header) string {
	var b strings.Builder
	h.Write(&b)
	// The length follows that of the name typed in.
	return regexp.MustCompile(`(?m)^Content-Length:.*$`).ReplaceAllString(b.String(), "")
}

func TestSignInPageIsStrict(t *testing.T) {
	d := sharedDemo(t)
	a := newVisitor(t, d.url).open("/")
	policy := a.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action"} {
		if !strings.Contains(policy, want) {
			t.Errorf("Content-Security-Policy %q lacks %s", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("Content-Security-Policy %q allows something unsafe", policy)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if got := a.header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s = %q, want %s", name, got, want)
		}
	}
	if got := a.header.Get("Referrer-Policy"); got != "same-origin" && got != "no-referrer" {
		t.Errorf("Referrer-Policy = %q", got)
	}
	if len(a.body) > 30<<10 {
		t.Errorf("the sign-in page has %d bytes, want at most 30 KiB", len(a.body))
	}
}

func TestForeignPostsOfTheSignInFormAreRefused(t *testing.T) {
	d := sharedDemo(t)
	for name, origin := range map[string]string{"another site": "https://evil.example", "null": "null"} {
		v := newVisitor(t, d.url)
		f := v.fill(v.open("/"), "bob", demoPassword)
		a := v.do(http.MethodPost, f.action.String(), strings.NewReader(f.values.Encode()),
			"Content-Type", "application/x-www-form-urlencoded", "Origin", origin,
			"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
		if a.status < 400 {
			t.Errorf("POST from %s = %d, want a refusal", name, a.status)
		}
	}
	// The token belongs to the browser that got the page: another one, with
	// everything copied but the cookies, is nobody.
	v, eve := newVisitor(t, d.url), newVisitor(t, d.url)
	f := v.fill(v.open("/"), "bob", demoPassword)
	eve.submit(f)
	if status, _ := eve.me(); status == http.StatusOK {
		t.Error("a form of one browser signs another one in")
	}
}

func TestReturnPathStaysOnThisHost(t *testing.T) {
	d := sharedDemo(t)
	for _, target := range []string{
		"//evil.example", "https://evil.example/", `/\evil.example`, "/%09/evil.example", "/%0d%0aSet-Cookie:x=1",
		"/./../../\\evil.example", "javascript:alert(1)", "\t//evil.example", "/@evil.example/..//evil.example",
	} {
		v := newVisitor(t, d.url)
		for _, key := range []string{"return_to", "rd", "next"} {
			q := "/_gatehouse/sign-in?" + key + "=" + strings.NewReplacer("%", "%25", " ", "%20", "#", "%23", "&", "%26", "\t", "%09", `\`, "%5C").Replace(target)
			page := v.open(q)
			if f, err := page.form(); err == nil && f.password != "" {
				page = v.submit(v.fill(page, "bob", demoPassword))
			}
			for _, hop := range page.hops {
				if !strings.HasPrefix(hop, d.url+"/") {
					t.Errorf("%s leads to %s", q, hop)
				}
			}
		}
	}
}

func TestManySignInsAtOnce(t *testing.T) {
	d := sharedDemo(t)
	v := newVisitor(t, d.url)
	pages := make([]*answer, 10)
	for i := range pages {
		pages[i] = v.open("/tab?n=" + string(rune('0'+i)))
	}
	// The last tab first: no attempt may depend on being the newest.
	for i := len(pages) - 1; i >= 0; i-- {
		f, err := pages[i].form()
		if err != nil {
			t.Fatalf("tab %d: %v\n%s", i, err, pages[i].body)
		}
		f.values.Set(f.name, "bob")
		f.values.Set(f.password, demoPassword)
		end := v.submit(f)
		if want := d.url + "/tab?n=" + string(rune('0'+i)); end.url.String() != want || end.status != http.StatusOK {
			t.Errorf("tab %d ends with %d at %s, want %s\n%s", i, end.status, end.url, want, strings.Join(end.hops, "\n"))
		}
	}
}
