package inproc

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestHandlerSeesAnOrdinaryRequest(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.RemoteAddr != RemoteAddr || r.TLS != nil || r.Host != "login.example.com" || r.RequestURI != "/a%2Fb?q=1" || r.URL.Host != "" {
			t.Errorf("got %q %v %q %q %q", r.RemoteAddr, r.TLS, r.Host, r.RequestURI, r.URL.Host)
		}
		if user, pass, _ := r.BasicAuth(); user != "id" || pass != "secret" {
			t.Error("the header did not arrive")
		}
		w.Header().Set("X-A", "1")
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("X-A", "late")
		_, _ = w.Write(append([]byte("got "), body...))
	})
	c := Client(mustURL(t, "https://login.example.com/pool"), h)
	req, _ := http.NewRequest(http.MethodPost, "https://login.example.com:443/a%2Fb?q=1", strings.NewReader("form"))
	req.Host = "login.example.com"
	req.SetBasicAuth("id", "secret")
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != "got form" || res.StatusCode != http.StatusTeapot || res.Header.Get("X-A") != "1" {
		t.Errorf("%d %v %q %v", res.StatusCode, res.Header, body, err)
	}
}

func TestOnlyTheExactOriginIsServed(t *testing.T) {
	called := 0
	c := Client(mustURL(t, "https://login.example.com"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called++ }))
	for _, u := range []string{
		"http://login.example.com/", "https://login.example.com:8443/", "https://login.example.com.evil.test/",
		"https://evil.test/", "https://login.example.com@evil.test/", "https://user@login.example.com/", "https://xlogin.example.com/",
	} {
		if _, err := c.Get(u); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v, want ErrForeign", u, err)
		}
	}
	if called != 0 {
		t.Errorf("the handler was called %d times", called)
	}
	network := httptest.NewServer(http.NotFoundHandler())
	defer network.Close()
	both := &http.Client{Transport: Transport(mustURL(t, "https://login.example.com"), http.NotFoundHandler(), http.DefaultTransport)}
	res, err := both.Get(network.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	hits := 0
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits++
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	res, err := Client(mustURL(t, "http://localhost:8080"), h).Get("http://localhost:8080/token")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusTemporaryRedirect || hits != 1 {
		t.Errorf("status %d after %d calls", res.StatusCode, hits)
	}
}

func TestPanicIsAnError(t *testing.T) {
	early := Client(mustURL(t, "http://a"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret detail") }))
	_, err := early.Get("http://a/")
	if !errors.Is(err, ErrPanic) || strings.Contains(err.Error(), "secret") {
		t.Errorf("early: %v", err)
	}
	late := Client(mustURL(t, "http://a"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		panic(http.ErrAbortHandler)
	}))
	res, err := late.Get("http://a/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); !errors.Is(err, ErrPanic) {
		t.Errorf("late: %v", err)
	}
}

func TestBodyIsCapped(t *testing.T) {
	flood := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 64<<10)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	network := httptest.NewServer(flood)
	defer network.Close()
	for name, c := range map[string]*http.Client{"in process": Client(mustURL(t, network.URL), flood), "network": Bounded(&http.Client{})} {
		res, err := c.Get(network.URL)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, res.Body)
		if !errors.Is(err, ErrTooLarge) || n > MaxBody {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		res.Body.Close()
	}
}

func TestSlowHandlerMeetsTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/body" {
				_, _ = w.Write([]byte("x"))
			}
			<-r.Context().Done()
		})
		tr := Transport(mustURL(t, "http://a"), h, nil)
		start := time.Now()
		req, _ := http.NewRequest(http.MethodGet, "http://a/", nil)
		if _, err := tr.RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no answer: %v", err)
		}
		req, _ = http.NewRequest(http.MethodGet, "http://a/body", nil)
		res, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(res.Body); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no end: %v", err)
		}
		res.Body.Close()
		if took := time.Since(start); took != 2*Deadline {
			t.Errorf("took %v", took)
		}
	})
}

func TestClosingTheBodyStopsTheHandler(t *testing.T) {
	stopped := make(chan error, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write([]byte("tick")); err != nil {
				stopped <- err
				return
			}
		}
	})
	res, err := Client(mustURL(t, "http://a"), h).Get("http://a/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	select {
	case <-stopped:
	case <-time.After(5 * time.Second):
		t.Error("the handler went on writing")
	}
}
