package canon

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// request reads a request from bytes, as a server would.
func request(t testing.TB, raw string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatalf("ReadRequest(%q) = %v", raw, err)
	}
	delete(r.Header, "Host")
	return r
}

func get(target string) *http.Request {
	return &http.Request{
		Method: "GET", RequestURI: target, Host: "app.test", Header: http.Header{},
		ProtoMajor: 1, ProtoMinor: 1,
	}
}

func code(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return ""
	}
	if e.Odd != 0 {
		return e.Odd.String()
	}
	return e.Code
}

func TestPathHasOneSpelling(t *testing.T) {
	for _, c := range []struct{ target, path, escaped string }{
		{"/", "/", "/"},
		{"/a/b", "/a/b", "/a/b"},
		{"/%61dmin", "/admin", "/admin"},
		{"/%41DMIN", "/ADMIN", "/ADMIN"},
		{"//admin/x", "/admin/x", "/admin/x"},
		{"///admin//x//", "/admin/x/", "/admin/x/"},
		{"//evil.test/admin", "/evil.test/admin", "/evil.test/admin"},
		{"/.well-known/x", "/.well-known/x", "/.well-known/x"},
		{"/a..b/..c/d..", "/a..b/..c/d..", "/a..b/..c/d.."},
		{"/%2ewell-known", "/.well-known", "/.well-known"},
		{"/a%20b", "/a b", "/a%20b"},
		{"/c++", "/c++", "/c%2B%2B"},
		{"/c%2b%2B", "/c++", "/c%2B%2B"},
		{"/[id]|\"<>^`{}", "/[id]|\"<>^`{}", "/%5Bid%5D%7C%22%3C%3E%5E%60%7B%7D"},
		{"/z%c3%bcrich", "/zürich", "/z%C3%BCrich"},
		{"/a:b@c,d=e&f!$'()*~-._", "/a:b@c,d=e&f!$'()*~-._", "/a:b@c,d=e&f!$'()*~-._"},
		{"/%7Euser", "/~user", "/~user"},
	} {
		got, err := Parse(get(c.target))
		if err != nil || got.Path != c.path || got.EscapedPath != c.escaped || got.Odd != 0 || got.Other != "" {
			t.Errorf("Parse(%q) = path %q, escaped %q, odd %v, other %q, %v; want %q, %q",
				c.target, got.Path, got.EscapedPath, got.Odd, got.Other, err, c.path, c.escaped)
		}
	}
}

func TestOddPathHasTwoReadings(t *testing.T) {
	for _, c := range []struct{ target, path, other, escaped, odd string }{
		{"/a%2fb", "/a/b", "/a%2Fb", "/a%2Fb", "encoded_slash"},
		{"/q/%2F/n", "/q/n", "/q/%2F/n", "/q/%2F/n", "encoded_slash"},
		{"/a%5cb", "/a/b", `/a\b`, "/a%5Cb", "encoded_backslash"},
		{"/a;b=1", "/a", "/a;b=1", "/a;b=1", "semicolon"},
		{"/a/;b", "/a/", "/a/;b", "/a/;b", "semicolon"},
		{"/a%3bb", "/a", "/a;b", "/a%3Bb", "encoded_semicolon"},
		{"/w/a%3fb/c", "/w/a", "/w/a?b/c", "/w/a%3Fb/c", "encoded_question"},
		{"/w/c%23%20x", "/w/c", "/w/c# x", "/w/c%23%20x", "encoded_hash"},
		{"/admin%20", "/admin", "/admin ", "/admin%20", "segment_space"},
		{"/a/%20/b%20", "/a/b", "/a/ /b ", "/a/%20/b%20", "segment_space"},
		{"/a%c2%a0", "/a", "/a\u00a0", "/a%C2%A0", "segment_space"},
		{"/100%25", "/100%", "", "/100%25", "encoded_percent"},
		{"/job/f%252Fx", "/job/f%2Fx", "/job/f/x", "/job/f%252Fx", "double_encoding"},
		{"/%2561", "/%61", "/a", "/%2561", "double_encoding"},
		{"/%25%36%31", "/%61", "/a", "/%2561", "double_encoding"},
		{"/z\xc3\xbcrich", "/zürich", "", "/z%C3%BCrich", "non_ascii"},
	} {
		got, err := Parse(get(c.target))
		if err != nil || got.Path != c.path || got.Other != c.other || got.EscapedPath != c.escaped || got.Odd.String() != c.odd {
			t.Errorf("Parse(%q) = path %q, other %q, escaped %q, odd %v, %v; want %q, %q, %q, %s",
				c.target, got.Path, got.Other, got.EscapedPath, got.Odd, err, c.path, c.other, c.escaped, c.odd)
		}
	}
}

func TestHiddenDotsAreRefused(t *testing.T) {
	refuse(t, map[string]string{
		"/a/../b":         "dot_segment",
		"/a/.":            "dot_segment",
		"/.":              "dot_segment",
		"/...":            "dot_segment",
		"/a/%2e%2e/b":     "dot_segment",
		"/a/.%2E/b":       "dot_segment",
		"/a/%2e":          "dot_segment",
		"/a/..%2fb":       "dot_segment",
		"/a%2F..%2Fb":     "dot_segment",
		"/a/..%5cb":       "dot_segment",
		"/a/..;/b":        "dot_segment",
		"/a/..;":          "dot_segment",
		"/a/..%3b/b":      "dot_segment",
		"/a/..%23/b":      "dot_segment",
		"/a/..%3f/b":      "dot_segment",
		"/a/x%23/../b":    "dot_segment",
		"/a/..%20/b":      "dot_segment",
		"/a/%20../b":      "dot_segment",
		"/a/..%c2%a0/b":   "dot_segment",
		"/a/%252e%252e/b": "deep_encoding",
		"/a/%252E":        "deep_encoding",
		"/a/..%252fb":     "deep_encoding",
		"/a%255cb":        "deep_encoding",
		"/a%2500":         "deep_encoding",
		"/a%250a":         "deep_encoding",
		"/a%25c0%25ae":    "deep_encoding",
		"/a%253bb":        "deep_encoding",
		"/a%252520":       "deep_encoding",
		"/a%2520/b":       "deep_encoding",
		"/a%25252fb":      "deep_encoding",
	})
}

func TestTargetIsRefused(t *testing.T) {
	refuse(t, map[string]string{
		"":                              "bad_target",
		"*":                             "bad_target",
		"http://app.test/admin":         "absolute_form",
		"app.test:443":                  "absolute_form",
		"admin":                         "absolute_form",
		"/a%00":                         "control",
		"/a%0ab":                        "control",
		"/a%0D":                         "control",
		"/a%7f":                         "control",
		"/a%c2%85b":                     "control",
		"/a%c2%9f":                      "control",
		"/a\x01":                        "control",
		"/a\x7f":                        "control",
		"/a%c0%ae":                      "bad_utf8",
		"/a%ff":                         "bad_utf8",
		"/a\xff":                        "bad_utf8",
		"/a%ed%a0%80":                   "bad_utf8",
		"/a#/b":                         "raw_hash",
		"/a?b#c":                        "raw_hash",
		"/a\\b":                         "raw_backslash",
		"/a b":                          "bad_path",
		"/a%":                           "bad_path",
		"/a%2":                          "bad_path",
		"/a%zz":                         "bad_path",
		"/a%u002fb":                     "bad_path",
		"/%%32%65%%32%65/b":             "bad_path",
		"/a?b c":                        "bad_query",
		"/a?b\x00":                      "bad_query",
		"/a?b\x7f":                      "bad_query",
		"/a?b\r\nX: y":                  "bad_query",
		"/a%2fb%5cc":                    "ambiguous",
		"/a%2fb;c":                      "ambiguous",
		"/a;b%3bc":                      "ambiguous",
		"/a;b/c":                        "ambiguous",
		"/a;b/":                         "ambiguous",
		"/a%3bb/c":                      "ambiguous",
		"/a%23b%3fc":                    "ambiguous",
		"/a%20/b%2fc":                   "ambiguous",
		"/a%252fb%2fc":                  "ambiguous",
		"/" + strings.Repeat("a", 8192): "target_too_long",
	})
	if _, err := Parse(get("/" + strings.Repeat("a", 8191))); err != nil {
		t.Errorf("Parse(8 KiB) = %v, want nil", err)
	}
}

// refuse asks for each target with which code, or oddity, it is refused.
func refuse(t *testing.T, targets map[string]string) {
	t.Helper()
	for target, want := range targets {
		got, err := Parse(get(target))
		if code(err) != want || got != (Request{}) {
			t.Errorf("Parse(%.40q) = %+v, %v; want only %s", target, got, err, want)
		}
	}
}

func TestHexCaseDoesNotCount(t *testing.T) {
	for _, pair := range [][2]string{{"/a%2fb", "/a%2Fb"}, {"/a%5cb", "/a%5Cb"}, {"/a%3bb", "/a%3Bb"}, {"/a%3fb", "/a%3Fb"}, {"/%c3%bc", "/%C3%BC"}, {"/%7e", "/%7E"}} {
		lower, err1 := Parse(get(pair[0]))
		upper, err2 := Parse(get(pair[1]))
		if lower != upper || err1 != nil || err2 != nil {
			t.Errorf("Parse(%q) = %+v, %v, but Parse(%q) = %+v, %v", pair[0], lower, err1, pair[1], upper, err2)
		}
	}
}

func TestQueryIsKeptByteForByte(t *testing.T) {
	for _, q := range []string{"", "a=1;role=admin", "a=%zz&role=admin", "z=/public/", "?/public/", "x=\xff\xfe", "a=b+c%20d", strings.Repeat("a&", 3000) + "role=admin"} {
		got, err := Parse(get("/a?" + q))
		if err != nil || got.RawQuery != q || got.Path != "/a" {
			t.Errorf("Parse(/a?%.30s) = path %q, query %.30q, %v; want the query as it was", q, got.Path, got.RawQuery, err)
		}
	}
}

func TestHostIsCanonical(t *testing.T) {
	for _, c := range []struct{ raw, plain, secure string }{
		{"app.test", "app.test", "app.test"},
		{"APP.Test.", "app.test", "app.test"},
		{"app.test:80", "app.test", "app.test:80"},
		{"app.test:443", "app.test:443", "app.test"},
		{"ADM.TEST.:8443", "adm.test:8443", "adm.test:8443"},
		{"localhost:8080", "localhost:8080", "localhost:8080"},
		{"XN--MNCHEN-3YA.example", "xn--mnchen-3ya.example", "xn--mnchen-3ya.example"},
		{"my_service", "my_service", "my_service"},
		{"127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8080"},
		{"[::1]", "[::1]", "[::1]"},
		{"[0:0:0:0:0:0:0:1]:443", "[::1]:443", "[::1]"},
		{"[2001:DB8::A]:80", "[2001:db8::a]", "[2001:db8::a]:80"},
		{"", "", ""},
		{".", "", ""},
		{"app.test..", "", ""},
		{"a..b", "", ""},
		{".a", "", ""},
		{"adm.test,pub.test", "", ""},
		{"user@app.test", "", ""},
		{"app.test ", "", ""},
		{" app.test", "", ""},
		{"app.test/", "", ""},
		{"app.test\\x", "", ""},
		{"app.test#", "", ""},
		{"app.test?", "", ""},
		{"app%2etest", "", ""},
		{"app.test:", "", ""},
		{"app.test:0", "", ""},
		{"app.test:080", "", ""},
		{"app.test:65536", "", ""},
		{"app.test:8o", "", ""},
		{"app.test:80:80", "", ""},
		{":80", "", ""},
		{"::1", "", ""},
		{"[::1", "", ""},
		{"[]", "", ""},
		{"[::1]x", "", ""},
		{"[::1]:", "", ""},
		{"[fe80::1%25eth0]", "", ""},
		{"[127.0.0.1]", "", ""},
		{"[app.test]", "", ""},
		{"münchen.example", "", ""},
		{strings.Repeat("a", 64) + ".test", "", ""},
		{strings.Repeat("a.", 130) + "test", "", ""},
		{"app.test\x00", "", ""},
		{"]", "", ""},
		{"*", "", ""},
	} {
		if got, ok := Host(c.raw, false); got != c.plain || ok != (c.plain != "") {
			t.Errorf("Host(%q, false) = %q, %v; want %q", c.raw, got, ok, c.plain)
		}
		if got, ok := Host(c.raw, true); got != c.secure || ok != (c.secure != "") {
			t.Errorf("Host(%q, true) = %q, %v; want %q", c.raw, got, ok, c.secure)
		}
		if again, _ := Host(c.plain, false); again != c.plain {
			t.Errorf("Host(%q, false) = %q, want it unchanged", c.plain, again)
		}
	}
}

func TestDefaultPortIsThatOfTheConnection(t *testing.T) {
	r := get("/")
	r.Host = "app.test:443"
	if got, _ := Parse(r); got.Host != "app.test:443" {
		t.Errorf("Host over plain http = %q, want app.test:443", got.Host)
	}
	r.TLS = &tls.ConnectionState{}
	if got, _ := Parse(r); got.Host != "app.test" {
		t.Errorf("Host over TLS = %q, want app.test", got.Host)
	}
}

func TestTwoHostsAreRefused(t *testing.T) {
	r := get("/")
	r.ProtoMajor, r.ProtoMinor = 2, 0
	r.Header["Host"] = []string{"APP.test."}
	if _, err := Parse(r); err != nil {
		t.Errorf("Parse(:authority app.test, host APP.test.) = %v, want nil", err)
	}
	r.Header["Host"] = []string{"evil.test"}
	if _, err := Parse(r); code(err) != "bad_host" {
		t.Errorf("Parse(:authority app.test, host evil.test) = %v, want bad_host", err)
	}
}

func TestMethodIsKnownAndUpperCase(t *testing.T) {
	for _, m := range Methods() {
		r := get("/")
		r.Method = m
		if got, err := Parse(r); err != nil || got.Method != m {
			t.Errorf("Parse(%s /) = %q, %v", m, got.Method, err)
		}
	}
	for m, status := range map[string]int{
		"get": 400, "Get": 400, "hEaD": 400, "propfind": 400,
		"CONNECT": 405, "TRACE": 405, "TRACK": 405, "connect": 405,
		"": 501, "PRI": 501, "GETT": 501, "X": 501, "DEBUG": 501, strings.Repeat("A", 40): 501,
	} {
		r := get("/")
		r.Method = m
		_, err := Parse(r)
		var e *Error
		if !errors.As(err, &e) || e.Status != status {
			t.Errorf("Parse(%s /) = %v, want %d", m, err, status)
		}
	}
}

func TestHeaderFieldsAreCounted(t *testing.T) {
	r := get("/")
	for i := range 200 {
		r.Header.Add(fmt.Sprintf("X-%d", i%7), "v")
	}
	if _, err := Parse(r); err != nil {
		t.Errorf("Parse(200 fields) = %v, want nil", err)
	}
	r.Header.Add("X-1", "v")
	if _, err := Parse(r); code(err) != "too_many_fields" {
		t.Errorf("Parse(201 fields) = %v, want too_many_fields", err)
	}
}

func TestTwoLengthsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"CL and TE":            func(r *http.Request) { r.Header.Set("Content-Length", "6"); r.ContentLength = -1 },
		"length and TE":        func(r *http.Request) { r.ContentLength = 6 },
		"TE among the headers": func(r *http.Request) { r.Header.Set("Transfer-Encoding", "chunked"); r.ContentLength = -1 },
		"TE identity":          func(r *http.Request) { r.TransferEncoding = []string{"identity"}; r.ContentLength = -1 },
		"TE twice":             func(r *http.Request) { r.TransferEncoding = []string{"chunked", "chunked"}; r.ContentLength = -1 },
	} {
		r := get("/")
		r.Method, r.TransferEncoding = "POST", []string{"chunked"}
		change(r)
		if _, err := Parse(r); code(err) != "two_lengths" {
			t.Errorf("%s: Parse = %v, want two_lengths", name, err)
		}
	}
	if _, err := Parse(request(t, "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")); err != nil {
		t.Errorf("Parse(chunked) = %v, want nil", err)
	}
	if _, err := Parse(request(t, "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1\r\n\r\nx")); err != nil {
		t.Errorf("Parse(Content-Length: 1) = %v, want nil", err)
	}
}

func TestOnlyExactExpectationIsTaken(t *testing.T) {
	for value, ok := range map[string]bool{"100-continue": true, "100-Continue": true, "y 100-continue": false, "100-continue, 100-continue": false, "200-ok": false, "": false} {
		r := get("/")
		r.Header["Expect"] = []string{value}
		if _, err := Parse(r); (err == nil) != ok {
			t.Errorf("Parse(Expect: %q) = %v, want ok %v", value, err, ok)
		}
	}
	r := get("/")
	r.Header["Expect"] = []string{"100-continue", "100-continue"}
	if _, err := Parse(r); code(err) != "bad_expect" {
		t.Errorf("Parse(two Expect lines) = %v, want bad_expect", err)
	}
}

func TestOnlyAnExactWebsocketIsAnUpgrade(t *testing.T) {
	const head = "GET /ws HTTP/1.1\r\nHost: app.test\r\n"
	const good = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
	for raw, want := range map[string]string{
		head + good: "websocket",
		head + "Connection: close\r\nConnection:\tupgrade\r\nUpgrade: websocket\r\n": "websocket",
		head:                             "",
		head + "Connection: upgrade\r\n": "",
		head + "Upgrade: websocket\r\n":  "other",
		head + "Connection: xupgrade\r\nUpgrade: websocket\r\n":                "other",
		head + "Connection: upgrade\r\nUpgrade: h2c\r\n":                       "other",
		head + "Connection: upgrade\r\nUpgrade: H2C\r\n":                       "other",
		head + "Connection: upgrade\r\nUpgrade: h2c, websocket\r\n":            "other",
		head + "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n": "other",
		head + "Connection: upgrade\r\nUpgrade: websocket/13\r\n":              "other",
		head + good + "Content-Length: 1\r\n":                                  "other",
		head + good + "Transfer-Encoding: chunked\r\n":                         "other",
		"POST /ws HTTP/1.1\r\nHost: app.test\r\n" + good:                       "other",
		"GET /ws HTTP/1.0\r\nHost: app.test\r\n" + good:                        "other",
	} {
		got, err := Parse(request(t, raw+"\r\n"))
		kind := map[[2]bool]string{{true, false}: "websocket", {false, true}: "other"}[[2]bool{got.Websocket, got.OtherUpgrade}]
		if err != nil || kind != want {
			t.Errorf("Parse(%q) = %q, %v; want %q", raw, kind, err, want)
		}
	}
}

func TestRoutesNameOddities(t *testing.T) {
	got, err := ParseOddities([]string{"encoded_slash", "semicolon"})
	if err != nil || got != EncodedSlash|Semicolon || got.String() != "encoded_slash,semicolon" {
		t.Errorf("ParseOddities = %v, %v", got, err)
	}
	for _, name := range []string{"dot_segment", "control", "bad_utf8", "raw_hash", "raw_backslash", "absolute_form", "empty_host", "ambiguous", "deep_encoding", "slash", "", "Semicolon"} {
		if got, err := ParseOddities([]string{name}); err == nil {
			t.Errorf("ParseOddities(%q) = %v, want an error", name, got)
		} else if !strings.Contains(err.Error(), "encoded_slash, encoded_backslash,") {
			t.Errorf("ParseOddities(%q) = %v, want the names there are", name, err)
		}
	}
	seen := map[string]bool{}
	for o := Oddity(1); o < afterLast; o <<= 1 {
		name := o.String()
		if name == "" || seen[name] || oddity(name) != o {
			t.Errorf("oddity %b is named %q", o, name)
		}
		seen[name] = true
	}
}
