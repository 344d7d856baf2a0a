package breach_test

import (
	"context"
	"crypto/sha1"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/idp/password/breach"
)

// service behaves like the range service: every range has entries, and padding
// with the count 0.
type service struct {
	*httptest.Server
	asked   atomic.Int64
	problem atomic.Pointer[http.HandlerFunc]
	known   map[string]int // password → count
	t       *testing.T
}

func newService(t *testing.T, known map[string]int) *service {
	s := &service{known: known, t: t}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	if h := s.problem.Load(); h != nil {
		(*h)(w, r)
		return
	}
	prefix, ok := strings.CutPrefix(r.URL.Path, "/range/")
	if !ok || len(prefix) != 5 || strings.ToUpper(prefix) != prefix || r.URL.RawQuery != "" || r.Method != http.MethodGet {
		s.t.Errorf("asked %s %s, want GET /range/ and five digits", r.Method, r.URL)
	}
	if r.Header.Get("Add-Padding") != "true" || r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
		s.t.Errorf("headers = %v", r.Header)
	}
	fmt.Fprintf(w, "%s:4\r\n", strings.Repeat("0", 35))
	for password, count := range s.known {
		if sum := fmt.Sprintf("%X", sha1.Sum([]byte(password))); sum[:5] == prefix {
			fmt.Fprintf(w, "%s:%d\r\n", sum[5:], count)
		}
	}
	fmt.Fprintf(w, "%s:0", strings.Repeat("F", 35))
}

// checker opens a Checker over the service and, with filter, over a file.
func (s *service) checker(filter string) *breach.Checker {
	s.t.Helper()
	base, err := url.Parse(s.URL + "/range/")
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := breach.Open(breach.Config{Filter: filter, RangeURL: base, At: []breach.Moment{breach.SignUp}, Action: breach.Block, MinCount: 10})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

func TestRangeSaysWhatWasSeenOftenEnough(t *testing.T) {
	s := newService(t, map[string]int{"password": 9545824, "seldom": 9, "padding": 0, "caf\u00e9": 10})
	c := s.checker("")
	for password, want := range map[string]breach.Finding{
		"password":   {Listed: true, Count: 9545824, Source: breach.FromRange},
		"seldom":     {Count: 9, Source: breach.FromRange},
		"padding":    {Source: breach.FromRange},
		"a good one": {Source: breach.FromRange},
		"cafe\u0301": {Listed: true, Count: 10, Source: breach.FromRange},
	} {
		if got := c.Check(t.Context(), password); got != want {
			t.Errorf("Check(%q) = %+v, want %+v", password, got, want)
		}
	}
}

func TestFilterAnswersWhenTheServiceDoesNot(t *testing.T) {
	filter, _ := build(t, write(t, "list", sorted(line("password", 5))), 1)
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	done := make(chan struct{})
	defer close(done)
	entry := strings.Repeat("0", 35) + ":1\n"
	for name, problem := range map[string]http.HandlerFunc{
		"redirect":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) },
		"status 500":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"status 429":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"wrong":        func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>sign in to the hotel</html>") },
		"empty":        func(http.ResponseWriter, *http.Request) {},
		"count":        func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("0", 35)+":-1") },
		"whole hashes": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("0", 40)+":1") },
		"huge":         func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(entry, 30_000)) },
		"slow": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, entry)
			w.(http.Flusher).Flush()
			<-done
		},
		"broken off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, entry)
		},
	} {
		s := newService(t, nil)
		s.problem.Store(&problem)
		c := s.checker(filter)
		begin := time.Now()
		got := c.Check(t.Context(), "password")
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s: answered after %s", name, took)
		}
		if got.Failure == nil || !got.Listed || got.Source != breach.FromFilter {
			t.Errorf("%s: Check = %+v, want the filter's answer and a failure", name, got)
			continue
		}
		// SHA-1 of password begins with 5BAA6.
		if text := got.Failure.Error(); strings.Contains(text, "5BAA6") || strings.Contains(text, s.URL) {
			t.Errorf("%s: the failure tells of the password: %s", name, text)
		}
		if got := s.checker("").Check(t.Context(), "password"); got.Failure == nil || got.Listed || got.Source != "" {
			t.Errorf("%s, no filter: Check = %+v, want nothing but a failure", name, got)
		}
		asked := s.asked.Load()
		if again := c.Check(t.Context(), "other"); again.Failure == nil || again.Listed || s.asked.Load() != asked {
			t.Errorf("%s: asked again at once: Check = %+v", name, again)
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestServiceThatIsDownTellsNothingOfThePassword(t *testing.T) {
	s := newService(t, nil)
	s.Close()
	got := s.checker("").Check(t.Context(), "password")
	if got.Failure == nil || strings.Contains(got.Failure.Error(), "5BAA6") {
		t.Errorf("Failure = %v", got.Failure)
	}
}

// A caller who leaves says nothing about the service.
func TestServiceIsAskedAgainAfterACallerLeft(t *testing.T) {
	s := newService(t, map[string]int{"password": 10})
	c := s.checker("")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if got := c.Check(gone, "password"); got.Failure == nil {
		t.Errorf("Check of a caller who left = %+v", got)
	}
	if got := c.Check(t.Context(), "password"); !got.Listed || got.Failure != nil {
		t.Errorf("the next Check = %+v, want it listed", got)
	}
}

func TestNothingConfiguredFindsNothing(t *testing.T) {
	c, err := breach.Open(breach.Config{At: []breach.Moment{breach.SignUp}, Action: breach.Block})
	if err != nil || c != nil {
		t.Fatalf("Open = %v, %v; want nil, nil", c, err)
	}
	if got := c.Check(t.Context(), "password"); got != (breach.Finding{}) || c.At(breach.SignUp) || c.Action() != "" || c.Close() != nil {
		t.Errorf("a nil Checker finds %+v", got)
	}
}
