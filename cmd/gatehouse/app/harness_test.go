package app

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/html"

	"gatehouse/cmd/gatehouse/demo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	demoPassword = "correct horse battery"
	jobSecret    = "job-secret-0123456789-0123456789"
)

// world is the demo's gateway in front of the demo's application. It can be
// stopped and opened again on the same data and the same port.
type world struct {
	t      *testing.T
	origin string
	path   string // of the configuration
	plan   *Plan
	app    *App
	logs   *logs
	stop   func()
}

// newWorld runs a demo; each edit is a pair of texts of its configuration, the
// first replaced by the second.
func newWorld(t *testing.T, edits ...string) *world {
	t.Helper()
	upstream := httptest.NewServer(demo.App())
	t.Cleanup(upstream.Close)
	ln := listen(t, "127.0.0.1:0")
	w := &world{t: t, origin: "http://" + ln.Addr().String(), logs: newLogs()}
	dir := t.TempDir()
	text, err := demo.Config(demo.Setup{
		Origin: w.origin, Listen: []string{ln.Addr().String()}, Upstream: upstream.URL, Dir: dir,
		Passwords: passwords(), JobSecret: jobSecret,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.path = filepath.Join(dir, "gatehouse.yaml")
	write(t, w.path, strings.NewReplacer(edits...).Replace(string(text)))
	if w.plan, err = Load(w.path); err != nil {
		t.Fatal(err)
	}
	w.start(ln)
	t.Cleanup(func() { w.stop() })
	return w
}

func passwords() map[string]string {
	return map[string]string{"alice": demoPassword, "bob": demoPassword, "carol": demoPassword}
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// start serves on ln until stop, which fails the test unless all ends well.
func (w *world) start(ln net.Listener) {
	w.t.Helper()
	// The test's own context ends before its clean-up does.
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	a, err := Open(ctx, w.plan, Options{
		Log: slog.New(slog.NewJSONHandler(w.logs, nil)), Demo: true, DemoPasswords: passwords(), Listeners: []net.Listener{ln},
	})
	if err != nil {
		cancel()
		w.t.Fatal(err)
	}
	w.app = a
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run() = %v, want nil", err)
		}
		w.stop = func() {}
	}
}

// restart stops the gateway and opens it again, as a new process would.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start(listen(w.t, strings.TrimPrefix(w.origin, "http://")))
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

// browser is a person's browser: it keeps cookies, follows redirects, and says
// of itself what browsers say.
type browser struct {
	w    *world
	http *http.Client
}

func (w *world) browser() *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	transport := &http.Transport{}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &browser{w, &http.Client{Jar: jar, Transport: transport, Timeout: 20 * time.Second}}
}

// copied is another browser with the cookies of b.
func (b *browser) copied() *browser {
	b.w.t.Helper()
	u, err := url.Parse(b.w.origin)
	if err != nil {
		b.w.t.Fatal(err)
	}
	other := b.w.browser()
	other.http.Jar.SetCookies(u, b.http.Jar.Cookies(u))
	return other
}

// do sends a request; form makes it a POST of a page of ours.
func (b *browser) do(address string, form url.Values, header map[string]string) (answer, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.w.t.Context(), method, address, body)
	if err != nil {
		return answer{}, err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.w.origin)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	res, err := b.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res, string(text)}, err
}

var navigation = map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html"}

// open goes to a path and follows to where that leads.
func (b *browser) open(path string) answer {
	b.w.t.Helper()
	a, err := b.do(b.w.origin+path, nil, navigation)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return a
}

// fetch asks for a path as a script does, and returns the status.
func (b *browser) fetch(path string) int {
	b.w.t.Helper()
	a, err := b.do(b.w.origin+path, nil, map[string]string{"Sec-Fetch-Mode": "cors", "Accept": "application/json"})
	if err != nil {
		b.w.t.Fatal(err)
	}
	return a.StatusCode
}

// submit sends the one form of a page, with what the person typed.
func (b *browser) submit(page answer, typed map[string]string) (answer, error) {
	action, fields, err := formOf(page)
	if err != nil {
		return answer{}, err
	}
	for name, value := range typed {
		fields.Set(name, value)
	}
	return b.do(action, fields, navigation)
}

// signIn opens a path, signs in as user, and returns the page that follows.
func (b *browser) signIn(path, user string) answer {
	b.w.t.Helper()
	a, err := b.submit(b.open(path), map[string]string{"username": user, "password": demoPassword})
	if err != nil {
		b.w.t.Fatal(err)
	}
	return a
}

// formOf reads the form of a page as a browser would.
func formOf(page answer) (action string, fields url.Values, err error) {
	doc, err := html.Parse(strings.NewReader(page.body))
	if err != nil {
		return "", nil, err
	}
	fields = url.Values{}
	for n := range doc.Descendants() {
		attr := map[string]string{}
		for _, a := range n.Attr {
			attr[a.Key] = a.Val
		}
		switch n.Data {
		case "form":
			to, err := page.Request.URL.Parse(attr["action"])
			if err != nil {
				return "", nil, err
			}
			action = to.String()
		case "input":
			fields.Set(attr["name"], attr["value"])
		}
	}
	if action == "" {
		return "", nil, &noForm{page}
	}
	return action, fields, nil
}

type noForm struct{ page answer }

func (e *noForm) Error() string {
	return e.page.Request.URL.String() + ": " + e.page.Status + ": no form in: " + e.page.body
}
