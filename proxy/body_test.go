package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"gatehouse/proxy/body"
)

// notAdmin is a rule that refuses one value and allows everything else, which
// is worth something only if the body is always there.
const notAdmin = `package orders

allow if not forbidden

forbidden if input.request.body.role == "admin"
`

const bodyRoutes = `
  - { name: lax, match: { path: "/lax/**" }, allow: { opa: { rule: data.orders.allow } }, body: { max: 100, accept: [parsed, absent, truncated] } }
  - { name: orders, match: { path: "/orders/**" }, allow: { opa: { rule: data.orders.allow } }, body: { max: 1KiB } }
  - { name: large, match: { path: "/large/**" }, allow: { opa: { rule: data.orders.allow } }, body: { max: 1MiB } }
  - { name: rest, match: { path: "/**" }, allow: signed-in }
`

// sent is one body on its way to a route that judges it.
type sent struct {
	text    string
	headers []string
	// unknown is true for a body without a Content-Length.
	unknown bool
}

func (w *world) send(client *http.Client, path string, b sent) *http.Response {
	w.t.Helper()
	var content io.Reader = strings.NewReader(b.text)
	if b.unknown {
		content = io.NopCloser(content) // hides the length from net/http
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.server.URL+path, content)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for _, line := range b.headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	res, err := client.Do(r)
	if err != nil {
		w.t.Fatalf("POST %s %.40q: %v", path, b.text, err)
	}
	w.t.Cleanup(func() { res.Body.Close() })
	return res
}

// clients are HTTP/1.1 and HTTP/2, the latter by prior knowledge.
func clients() map[string]*http.Client {
	var h2 http.Protocols
	h2.SetUnencryptedHTTP2(true)
	return map[string]*http.Client{"HTTP/1.1": {Transport: &http.Transport{}}, "HTTP/2": {Transport: &http.Transport{Protocols: &h2}}}
}

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, text)
	z.Close()
	return b.String()
}

func wide(text string) string {
	b := []byte{0xFF, 0xFE}
	for _, u := range utf16.Encode([]rune(text)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

// A rule that refuses what a body says holds however the body is sent.
func TestNoWayOfSendingABodyHidesItFromTheRule(t *testing.T) {
	w := newWorldWith(t, bodyRoutes, setup{rego: notAdmin})
	const admin, user = `{"role":"admin"}`, ` {"role": "user", "note": "\u00e9" } `
	cookie := "Cookie: " + w.session("bob")
	refused := map[string]sent{
		"plain":                   {text: admin},
		"without a length":        {text: admin, unknown: true},
		"over the limit":          {text: admin + strings.Repeat(" ", 2000)},
		"over it, no length":      {text: admin + strings.Repeat(" ", 2000), unknown: true},
		"far over the limit":      {text: strings.Repeat(" ", 1<<20) + admin, unknown: true},
		"hidden behind the limit": {text: `{"note":"` + strings.Repeat("x", 1100) + `","role":"admin"}`},
		"gzip":                    {text: zipped(admin), headers: []string{"Content-Encoding: gzip"}},
		"gzip unsaid":             {text: zipped(admin)},
		"said to be gzip":         {text: admin, headers: []string{"Content-Encoding: gzip"}},
		"not JSON":                {text: `role=admin`},
		"not said to be JSON":     {text: admin, headers: []string{"Content-Type: text/plain"}},
		"a form":                  {text: "role=admin", headers: []string{"Content-Type: application/x-www-form-urlencoded"}},
		"cut":                     {text: admin[:len(admin)-1]},
		"doubled":                 {text: admin + admin},
		"two values":              {text: user + admin},
		"name twice":              {text: `{"role":"user","role":"admin"}`},
		"name twice, escaped":     {text: `{"role":"user","\u0072ole":"admin"}`},
		"byte order mark":         {text: "\xef\xbb\xbf" + admin},
		"UTF-16":                  {text: wide(admin)},
		"UTF-16 said":             {text: wide(admin), headers: []string{"Content-Type: application/json; charset=utf-16"}},
		"escaped":                 {text: `{"r\u006fle":"\u0061dmin"}`},
		"absent":                  {text: ""},
		"absent, chunked":         {text: "", unknown: true},
		"too deep":                {text: strings.Repeat("[", 70) + strings.Repeat("]", 70)},
	}
	for name, client := range clients() {
		for what, b := range refused {
			b.headers = append([]string{cookie}, b.headers...)
			before := w.app.hits.Load()
			if res := w.send(client, "/orders/1", b); res.StatusCode != 403 || w.app.hits.Load() != before {
				t.Errorf("%s, %s: %d, want 403 before the application", name, what, res.StatusCode)
			}
		}
		for _, unknown := range []bool{false, true} {
			res := w.send(client, "/orders/1", sent{text: user, unknown: unknown, headers: []string{cookie}})
			if got := w.app.got(); res.StatusCode != 200 || got.Body != user {
				t.Errorf("%s, length unknown %t: %d and %q arrived, want 200 and %q", name, unknown, res.StatusCode, got.Body, user)
			}
			if got := w.app.got().Headers.Get("Content-Length"); !unknown && got != fmt.Sprint(len(user)) {
				t.Errorf("%s: Content-Length %q arrived, want that of the client", name, got)
			}
		}
	}
}

// Where a route takes them, a body that is larger than it reads passes whole,
// and none is none.
func TestRoutesCanTakeWhatTheyDoNotRead(t *testing.T) {
	w := newWorldWith(t, bodyRoutes, setup{rego: notAdmin})
	cookie := "Cookie: " + w.session("bob")
	large := `{"role":"` + strings.Repeat("x", 300_000) + `"}`
	for name, client := range clients() {
		for _, text := range []string{large, ""} {
			for _, unknown := range []bool{false, true} {
				res := w.send(client, "/lax/1", sent{text: text, unknown: unknown, headers: []string{cookie}})
				if got := w.app.got().Body; res.StatusCode != 200 || got != text {
					t.Errorf("%s: %d bytes: %d, and %d bytes arrived", name, len(text), res.StatusCode, len(got))
				}
			}
		}
		if res := w.send(client, "/lax/1", sent{text: `{"role":"admin"}`, headers: []string{cookie}}); res.StatusCode != 403 {
			t.Errorf("%s: the rule is not asked: %d, want 403", name, res.StatusCode)
		}
		if res := w.send(client, "/lax/1", sent{text: `{"role":`, headers: []string{cookie}}); res.StatusCode != 403 {
			t.Errorf("%s: unparsable passes: %d, want 403", name, res.StatusCode)
		}
	}
}

// A client that waits for leave to send gets it once it is known who asks, and
// a stranger never.
func TestBodiesAreAskedForOnceItIsKnownWhoAsks(t *testing.T) {
	w := newWorldWith(t, bodyRoutes, setup{rego: notAdmin})
	const text = `{"role":"user"}`
	c, err := net.Dial("tcp", w.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	answer := bufio.NewReader(c)
	head := fmt.Sprintf("POST /orders/1 HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n", w.site.Host, len(text))
	fmt.Fprintf(c, "%sCookie: %s\r\n\r\n", head, w.session("bob"))
	if line, _ := answer.ReadString('\n'); !strings.Contains(line, " 100 ") {
		t.Fatalf("the first answer is %q, want 100 Continue", line)
	}
	io.WriteString(c, text)
	rest, _ := io.ReadAll(answer)
	if !strings.Contains(string(rest), " 200 ") || w.app.got().Body != text {
		t.Errorf("after the body: %.60s, and %q arrived", rest, w.app.got().Body)
	}
	if got := w.raw(head + "\r\n"); !strings.HasPrefix(got, "HTTP/1.1 401") {
		t.Errorf("a stranger is answered %.60s, want 401 without waiting for the body", got)
	}
}

// What has come so far is not all: nothing is decided on it.
func TestSlowBodiesAreRefusedAndNeverJudged(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, bodyRoutes, setup{rego: notAdmin, bodies: body.New(body.Limits{Time: 200 * time.Millisecond})})
	cookie := "Cookie: " + w.session("bob")
	got := w.raw("POST /lax/1 HTTP/1.1\r\nHost: " + w.site.Host + "\r\n" + cookie + "\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{}")
	if !strings.HasPrefix(got, "HTTP/1.1 408") || !strings.Contains(got, "Connection: close") || w.app.hits.Load() != 0 {
		t.Errorf("a body that stops is answered %.200s, want 408 and the end", got)
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	content, write := io.Pipe()
	defer write.Close()
	go func() { write.Write([]byte("{")) }()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.server.URL+"/lax/1", content)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", w.session("bob"))
	res, err := clients()["HTTP/2"].Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 408 {
		t.Errorf("over HTTP/2: %d, want 408", res.StatusCode)
	}
}

// The time that a body may take to be judged is no limit on the upload itself.
func TestUploadsGoOnAfterTheirBeginningWasJudged(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, bodyRoutes, setup{rego: notAdmin, bodies: body.New(body.Limits{Time: 300 * time.Millisecond})})
	for name, client := range clients() {
		content, write := io.Pipe()
		go func() {
			for range 4 {
				write.Write(bytes.Repeat([]byte("x"), 200))
				<-time.After(200 * time.Millisecond)
			}
			write.Close()
		}()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL+"/lax/1", content)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cookie", w.session("bob"))
		res, err := client.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		res.Body.Close()
		if got := w.app.got().Body; res.StatusCode != 200 || len(got) != 800 {
			t.Errorf("%s: %d, and %d bytes arrived, want 200 and 800", name, res.StatusCode, len(got))
		}
	}
}

func TestTooManyBodiesAreRefused(t *testing.T) {
	w := newWorldWith(t, bodyRoutes, setup{rego: notAdmin, bodies: body.New(body.Limits{Bytes: 6000})})
	cookie := "Cookie: " + w.session("bob")
	client := clients()["HTTP/1.1"]
	many := `[` + strings.Repeat("0,", 400) + `0]`
	res := w.send(client, "/orders/1", sent{text: many, headers: []string{cookie}})
	var problem struct{ Code string }
	if err := json.NewDecoder(res.Body).Decode(&problem); err != nil || res.StatusCode != 503 || problem.Code != "bodies_busy" || res.Header.Get("Retry-After") == "" {
		t.Errorf("beyond the memory: %d %q, Retry-After %q, %v", res.StatusCode, problem.Code, res.Header.Get("Retry-After"), err)
	}
	for range 20 { // what a request held is given back at its end, refused or not
		for _, text := range []string{`{"role":"user"}`, `{"role":"admin"}`, `{`, many} {
			w.send(client, "/orders/1", sent{text: text, headers: []string{cookie}})
		}
	}
	if res := w.send(client, "/orders/1", sent{text: `{"role":"user"}`, headers: []string{cookie}}); res.StatusCode != 200 {
		t.Errorf("afterwards: %d, want 200", res.StatusCode)
	}
}

// Whoever is refused is told so at once, and not once all has been sent.
func TestNobodyHasToSendTheRestOfARefusedBody(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, bodyRoutes, setup{rego: notAdmin, bodies: body.New(body.Limits{Bytes: 6000})})
	head := "Host: " + w.site.Host + "\r\nCookie: " + w.session("bob") + "\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n"
	for _, c := range []struct{ path, body, want string }{
		{"/orders/1", strings.Repeat(" ", 1500), "403"}, // larger than the route reads
		{"/large/1", strings.Repeat(" ", 7000), "503"},  // larger than what is left
	} {
		begin := time.Now()
		got := w.raw("POST " + c.path + " HTTP/1.1\r\n" + head + c.body)
		if took := time.Since(begin); !strings.HasPrefix(got, "HTTP/1.1 "+c.want) || !strings.Contains(got, "Connection: close") || took > 5*time.Second {
			t.Errorf("the beginning of a body to %s is answered %.100s after %v, want %s at once", c.path, got, took, c.want)
		}
	}
}

func TestABodyThatBreaksOffIsRefused(t *testing.T) {
	w := newWorldWith(t, bodyRoutes, setup{rego: notAdmin})
	cookie := "Cookie: " + w.session("bob")
	got := w.raw("POST /lax/1 HTTP/1.1\r\nHost: " + w.site.Host + "\r\n" + cookie + "\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 400") || w.app.hits.Load() != 0 {
		t.Errorf("a broken chunk is answered %.100s, want 400", got)
	}
}
