package password_test

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/idp/password"
	"gatehouse/idp/password/breach"
)

// usual is the policy of a file that says nothing about it.
func usual() password.Config {
	var c password.Config
	c.Defaults()
	return c
}

// reasons asks a policy of c and returns the reasons in order.
func reasons(t *testing.T, c password.Config, of password.Candidate) []password.Reason {
	t.Helper()
	p := password.NewPolicy(c, password.New(password.Options{}), nil, "login.example.com")
	_, err := p.Check(t.Context(), of)
	var refused *password.RefusedError
	if err != nil && !errors.As(err, &refused) {
		t.Fatalf("Check(%q) = %v", of.Password, err)
	}
	var list []password.Reason
	if refused != nil {
		for _, r := range refused.Refusals {
			if r.Text == "" || strings.Contains(r.Text, of.Password) && of.Password != "" && of.Password != "password" {
				t.Errorf("the sentence for %q is %q", r.Reason, r.Text)
			}
			list = append(list, r.Reason)
		}
	}
	return list
}

func TestUsualPolicy(t *testing.T) {
	names := []string{"dana.example", "Dana@Corp.example", "", "Dana Example"}
	for pw, want := range map[string][]password.Reason{
		"correct horse battery":            nil,
		"hinab-kodut-saleg":                nil,
		"日本語パスワード長い":                       nil,
		"":                                 {password.Malformed},
		"nul\x00inside and more":           {password.Malformed},
		"\xff\xff\xff\xff\xff\xff\xff\xff": {password.Malformed},
		strings.Repeat("aB3$", 65):         {password.TooLong},
		strings.Repeat("a", 1<<20):         {password.TooLong},
		"x9$Kq!z":                          {password.TooShort, password.TooEasy},
		"x9$Kq!zW":                         {password.TooEasy},
		"x9$Kq!zWu":                        nil,
		"e\u0301e\u0301e\u0301e\u0301":     {password.TooShort, password.TooEasy},
		"password":                         {password.TooEasy},
		"Password1!":                       {password.TooEasy},
		"qwertyuiop":                       {password.TooEasy},
		"aaaaaaaaaaaaaaaaaaaa":             {password.TooEasy},
		"éééééééééééééééééééé": {password.TooEasy},
		"Dana.Example":             {password.IsName, password.TooEasy},
		"ｄａｎａ．ｅｘａｍｐｌｅ":             {password.IsName},
		" DANA@CORP.EXAMPLE ":      {password.IsName},
		"          ":               {password.TooEasy},
		"danaexample":              {password.TooEasy},
		"login.example.com":        {password.TooEasy},
		"Example2026":              {password.TooEasy},
		strings.Repeat("aB3$", 64): {password.TooEasy},
		"w7Gq-tiger.Lamp/ocean*" + strings.Repeat("zz", 117): nil,
	} {
		if got := reasons(t, usual(), password.Candidate{Password: pw, Names: names}); !slices.Equal(got, want) {
			t.Errorf("reasons against %.40q = %v, want %v", pw, got, want)
		}
	}
}

func TestEveryReasonIsTold(t *testing.T) {
	c := usual()
	c.MinLength, c.Require = 12, []password.Class{password.Symbol, password.Digit, password.Upper, password.Lower}
	got := reasons(t, c, password.Candidate{Password: "ñandú", Names: []string{"Ñandú"}})
	want := []password.Reason{password.TooShort, password.NoUpper, password.NoDigit, password.NoSymbol, password.IsName, password.TooEasy}
	if !slices.Equal(got, want) {
		t.Errorf("reasons = %v, want %v", got, want)
	}
}

func TestRequiredClasses(t *testing.T) {
	c := password.Config{MinLength: 8}
	for class, pws := range map[password.Class][2][]string{
		password.Upper:  {{"abcdefgH", "élanvitalÉ"}, {"abcdefgh1."}},
		password.Lower:  {{"ABCDEFGh"}, {"ABCDEFGH1."}},
		password.Digit:  {{"abcdefg1", "abcdefg٣"}, {"abcdefgh"}},
		password.Symbol: {{"abcdefg~", "abcdefg\\", "abcdefg\"", "abcd efgh", "=abcdefgh"}, {"abcdefgh", " abcdefgh", "abcdefgh ", "abcdefgh€"}},
	} {
		c.Require = []password.Class{class}
		for i, list := range pws {
			for _, pw := range list {
				if got := len(reasons(t, c, password.Candidate{Password: pw})); got != i {
					t.Errorf("%s in %q: %d reasons, want %d", class, pw, got, i)
				}
			}
		}
	}
}

func TestHistoryKeepsEarlierPasswordsAway(t *testing.T) {
	c := password.Config{MinLength: 8, History: 3}
	h := password.New(password.Options{})
	old := []string{cheap("the newest one", 64, 1, 1, 16, 32), "unusable", madeElsewhere["bcrypt 2b"], cheap("the oldest one", 64, 1, 1, 16, 32)}
	p := password.NewPolicy(c, h, nil)
	for pw, used := range map[string]bool{"the newest one": true, known: true, "the oldest one": false, "a new one": false} {
		_, err := p.Check(t.Context(), password.Candidate{Password: pw, Old: old})
		var refused *password.RefusedError
		if errors.As(err, &refused) != used || used && !refused.Has(password.UsedBefore) {
			t.Errorf("Check(%q) = %v, want it used before: %t", pw, err, used)
		}
	}
	before := h.Calls()
	_, _ = p.Check(t.Context(), password.Candidate{Password: "short", Old: old})
	if h.Calls() != before {
		t.Error("a password that was refused anyway was compared with the earlier ones")
	}
	c.History = 0
	if got := reasons(t, c, password.Candidate{Password: "the newest one", Old: old}); got != nil {
		t.Errorf("without history: %v", got)
	}
}

// lists answers that the password was seen so often.
func lists(t *testing.T, pw string, action breach.Action, at ...breach.Moment) *breach.Checker {
	t.Helper()
	digest := fmt.Sprintf("%X", sha1.Sum([]byte(pw)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%s:7\n", digest[5:]) }))
	t.Cleanup(srv.Close)
	base, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := breach.Open(breach.Config{RangeURL: base, At: at, Action: action, MinCount: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestBreachedPasswordIsRefusedOrReported(t *testing.T) {
	const pw = "stolen but strong one"
	for name, c := range map[string]struct {
		action  breach.Action
		at      breach.Moment
		refused bool
		listed  bool
	}{
		"block":          {breach.Block, breach.SignUp, true, true},
		"require change": {breach.RequireChange, breach.SignUp, true, true},
		"report":         {breach.Report, breach.SignUp, false, true},
		"not then":       {breach.Block, breach.Change, false, false},
	} {
		p := password.NewPolicy(usual(), password.New(password.Options{}), lists(t, pw, c.action, c.at))
		found, err := p.Check(t.Context(), password.Candidate{Password: pw, At: breach.SignUp})
		var refused *password.RefusedError
		if errors.As(err, &refused) != c.refused || found.Listed != c.listed || c.refused && !refused.Has(password.Breached) {
			t.Errorf("%s: Check = %+v, %v", name, found, err)
		}
	}
}

// Scoring is work that anybody can ask for, and waits in the queue of the hashes.
func TestStrengthIsScoredBehindTheBound(t *testing.T) {
	h := password.New(password.Options{Parallel: 1, MemoryKiB: 1, Wait: time.Nanosecond})
	slow := cheap("pw", 128<<10, 1, 1, 16, 32)
	running := make(chan error)
	before := h.Calls()
	go func() { running <- h.Verify(t.Context(), slow, "pw") }()
	for h.Calls() == before {
		time.Sleep(time.Millisecond)
	}
	if _, err := password.NewPolicy(usual(), h, nil).Check(t.Context(), password.Candidate{Password: "correct horse battery"}); !errors.Is(err, password.ErrBusy) {
		t.Errorf("behind a slow hash: %v, want ErrBusy", err)
	}
	if err := <-running; err != nil {
		t.Error(err)
	}
}

func TestLongPasswordsAreScoredInTime(t *testing.T) {
	p := password.NewPolicy(usual(), password.New(password.Options{}), nil)
	begin := time.Now()
	for _, unit := range []string{"p@ssw0rd4l33t5$1", "abcABC123", "1/1/11", "qwertyuiop"} {
		_, _ = p.Check(t.Context(), password.Candidate{
			Password: strings.Repeat(unit, 256/len(unit)), Names: []string{strings.Repeat(unit, 1000)},
		})
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("four passwords of 256 characters took %s", took)
	}
}

func FuzzPolicy(f *testing.F) {
	p := password.NewPolicy(usual(), password.New(password.Options{}), nil, "login.example.com")
	f.Add("correct horse", "dana@example.com")
	f.Add("p@ssw0rd 1/1/1911 qwertz", "日本 語")
	f.Fuzz(func(t *testing.T, pw, name string) {
		_, err := p.Check(t.Context(), password.Candidate{Password: pw, Names: []string{name}})
		if refused := (*password.RefusedError)(nil); err != nil && !errors.As(err, &refused) {
			t.Fatalf("Check = %v", err)
		}
	})
}

// BenchmarkStrength measures what is scored beside a hash.
func BenchmarkStrength(b *testing.B) {
	p := password.NewPolicy(usual(), password.New(password.Options{}), nil)
	for b.Loop() {
		_, _ = p.Check(b.Context(), password.Candidate{Password: strings.Repeat("p@ssw0rd4l33t5$1", 4)})
	}
}
