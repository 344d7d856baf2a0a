//go:build unix

package h1

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// How a fuzzed exchange goes, by bits of its shape.
const (
	shapeBody   = 7      // what kind of body the request has
	shapeStray  = 7      // none, and more comes after each answer has been read
	shapePieces = 7 << 3 // in what pieces the server answers
	shapeEarly  = 1 << 6 // it answers before it has read the body
	shapeHangUp = 1 << 7 // it closes after each answer
)

const good = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"

// FuzzAgainstNetHTTP makes two exchanges over kept connections of h1 and the
// same over a new connection of net/http each. What the server saw and what
// came back must be the same, but that h1 may refuse more; what net/http
// refuses it must not accept. A third exchange sees whether anything is left.
func FuzzAgainstNetHTTP(f *testing.F) {
	log.SetOutput(io.Discard) // net/http prints what it finds on idle connections
	for _, s := range seeds() {
		f.Add(s.method, s.target, s.fields, s.body, s.shape, []byte(s.first), []byte(s.second))
	}
	f.Fuzz(func(t *testing.T, method, target, fields string, body []byte, shape uint8, first, second []byte) {
		r := fuzzedRequest(method, target, fields, body, shape)
		if !(&Transport{}).Handles(r(t.Context())) {
			return
		}
		compare(t, r, shape, first, second)
	})
}

// makeRequest makes the same request again and again.
type makeRequest func(context.Context) *http.Request

func plainRequest(ctx context.Context) *http.Request {
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://app.test/second", nil)
	r.Header.Set("User-Agent", "")
	return r
}

func fuzzedRequest(method, target, fields string, body []byte, shape uint8) makeRequest {
	return func(ctx context.Context) *http.Request {
		path, query, asked := strings.Cut(target, "?")
		u := &url.URL{Scheme: "http", Host: "app.test", Path: path, RawPath: path, RawQuery: query, ForceQuery: asked}
		if p, err := url.PathUnescape(path); err == nil {
			u.Path = p
		}
		r := (&http.Request{Method: method, URL: u, Header: http.Header{"User-Agent": {""}}}).WithContext(ctx)
		for line := range strings.SplitSeq(fields, "\n") {
			name, value, ok := strings.Cut(line, ":")
			switch {
			case !ok:
			case name == "Host":
				r.Host = value
			case name == "User-Agent":
				r.Header[name] = []string{value}
			default:
				r.Header[name] = append(r.Header[name], value)
			}
		}
		setBody(r, body, shape)
		return r
	}
}

// setBody gives r a body: small, of unknown length, large, or not as long as
// was said.
func setBody(r *http.Request, body []byte, shape uint8) {
	read := func(b []byte) { r.Body = io.NopCloser(bytes.NewReader(b)) }
	switch shape & shapeBody {
	case 1, 2:
		if read(body); len(body) == 0 {
			r.Body = http.NoBody
		}
		r.ContentLength = int64(len(body))
	case 3:
		read(body)
		r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
	case 4:
		large := bytes.Repeat(append(body, 'x'), 1+smallBody/(len(body)+1))
		read(large)
		r.ContentLength = int64(len(large))
	case 5:
		read(body)
		r.ContentLength = int64(len(body)) + 1
	case 6:
		read(append(body, 'x'))
		r.ContentLength = int64(len(body))
	}
}

// connectionFields are not passed on by h1; net/http sends what it is told.
var connectionFields = []string{
	"connection", "keep-alive", "proxy-connection", "transfer-encoding", "content-length",
	"trailer", "host", "expect", "upgrade",
}

// forNetHTTP takes out of r what h1 leaves out.
func forNetHTTP(r *http.Request) *http.Request {
	for name, values := range r.Header {
		if !slices.Contains(connectionFields, strings.ToLower(name)) {
			continue
		}
		if strings.EqualFold(name, "Connection") && hasToken(values, "close") {
			r.Close = true
		}
		delete(r.Header, name)
	}
	return r
}

func compare(t *testing.T, first makeRequest, shape uint8, answers ...[]byte) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	requests := []makeRequest{first, plainRequest}
	std := make([]outcome, 2)
	stdServer := newScript(shape|shapeHangUp, answers)
	for i, r := range requests {
		tr := &http.Transport{DialContext: stdServer.dial, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10}
		std[i] = exchangeOnce(tr, forNetHTTP(numbered(r(ctx), i)))
		tr.CloseIdleConnections()
	}
	stdServer.wait()

	script := newScript(shape, append(slices.Clip(answers), []byte(good)))
	for i := range std {
		// What ends only with the connection needs the server to end it.
		o := std[i]
		script.hangUp[i] = script.hangUp[i] || o.err != nil || o.bodyErr != nil || o.Close || o.Code < 200
	}
	own := New(Options{Dial: script.dial})
	for i, r := range append(requests, plainRequest) {
		got := exchangeOnce(own, numbered(r(ctx), i))
		seen := script.settle(i, got.err == nil)
		if i == 2 {
			if got.err != nil || got.Body != "good" {
				t.Fatalf("the third exchange saw %q, %v", got.Body, got.err)
			}
			break
		}
		judge(t, r(ctx), answers[i], std[i], got)
		if got.err == nil && shape&shapeEarly == 0 {
			sameRequest(t, stdServer.records[i], seen)
		}
	}
	own.CloseIdleConnections()
	script.wait()
}

func numbered(r *http.Request, i int) *http.Request {
	r.Header["X-Number"] = []string{fmt.Sprint(i)}
	return r
}

// outcome is all that a client told of an exchange.
type outcome struct {
	Status, Proto  string
	Code, Maj, Min int
	Length         int64
	Coding         []string
	Close          bool
	Header         http.Header
	Before, After  http.Header // trailers
	Body           string
	err, bodyErr   error
}

func exchangeOnce(tr http.RoundTripper, r *http.Request) outcome {
	res, err := tr.RoundTrip(r)
	if err != nil {
		return outcome{err: err}
	}
	defer res.Body.Close()
	o := outcome{
		Status: res.Status, Proto: res.Proto, Code: res.StatusCode, Maj: res.ProtoMajor, Min: res.ProtoMinor,
		Length: res.ContentLength, Coding: res.TransferEncoding, Close: res.Close,
		Header: res.Header.Clone(), Before: res.Trailer.Clone(),
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return o
	}
	body, err := io.ReadAll(res.Body)
	o.Body, o.bodyErr, o.After = string(body), err, res.Trailer.Clone()
	return o
}

// stricter are the faults that net/http overlooks, in answers.
var stricter = []error{
	errBareLF, errField, errLength, errCoding, errStatus, errNotHTTP, errSwitch, errInterim, errTrailer, errChunk, errExcess,
}

// refusals are faults of requests, found before anything is sent.
var refusals = []error{errMethod, errTarget, errHost, errNoHost, errField, errNotHandled}

func isAny(err error, list []error) bool {
	return slices.ContainsFunc(list, func(e error) bool { return errors.Is(err, e) })
}

// judge compares what h1 told with what net/http told.
func judge(t *testing.T, r *http.Request, answer []byte, std, own outcome) {
	t.Helper()
	switch {
	case errors.Is(own.err, context.DeadlineExceeded) || errors.Is(own.bodyErr, context.DeadlineExceeded):
		t.Fatalf("h1 waits for more than %q", answer)
	case std.err != nil && own.err == nil:
		t.Fatalf("h1 takes %q for %+v, net/http says %v", answer, own, std.err)
	case std.err != nil:
		return
	case own.err != nil:
		if isAny(own.err, refusals) && !isCleanRequest(r) {
			return
		}
		if errors.Is(own.err, errUnequal) {
			return // net/http may have its answer before it notices
		}
		if !isAny(own.err, stricter) || isClean(answer) {
			t.Fatalf("h1 refuses %q of %q: %v; net/http takes it for %+v", answer, r.Method, own.err, std)
		}
		return
	}
	if std.bodyErr == nil && own.bodyErr == nil {
		if d := cmp.Diff(std, own, cmp.FilterPath(func(p cmp.Path) bool { return strings.HasSuffix(p.String(), "rr") }, cmp.Ignore())); d != "" {
			t.Fatalf("%q: net/http (-) against h1 (+):\n%s", answer, d)
		}
		return
	}
	if own.bodyErr == nil {
		t.Fatalf("h1 takes the body of %q for complete, net/http says %v", answer, std.bodyErr)
	}
	if std.bodyErr == nil && !isAny(own.bodyErr, stricter) {
		t.Fatalf("h1 says %v of the body of %q, net/http takes it for %q", own.bodyErr, answer, std.Body)
	}
	if !strings.HasPrefix(std.Body, own.Body) && !strings.HasPrefix(own.Body, std.Body) {
		t.Fatalf("%q: body %q of h1, %q of net/http", answer, own.Body, std.Body)
	}
	std.Body, std.After, std.bodyErr, own.Body, own.After, own.bodyErr = "", nil, nil, "", nil, nil
	if d := cmp.Diff(std, own, cmp.FilterPath(func(p cmp.Path) bool { return strings.HasSuffix(p.String(), "rr") }, cmp.Ignore())); d != "" {
		t.Fatalf("%q: net/http (-) against h1 (+):\n%s", answer, d)
	}
}

var (
	cleanHead = regexp.MustCompile(`^HTTP/1\.[01] [1-9][0-9][0-9]( [\t\x20-\x7e\x80-\xff]*)?\r\n` +
		`([-!#$%&'*+.^_|~0-9A-Za-z` + "`" + `]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n`)
	cleanLength = regexp.MustCompile(`(?i)\ncontent-length:[ \t]*[0-9]+[ \t]*\r`)
	anyLength   = regexp.MustCompile(`(?i)\ncontent-length:`)
	cleanCoding = regexp.MustCompile(`(?i)\ntransfer-encoding:[ \t]*chunked[ \t]*\r`)
	anyCoding   = regexp.MustCompile(`(?i)\ntransfer-encoding:`)
	anyTrailer  = regexp.MustCompile(`(?i)\ntrailer:`)
)

// isClean is another reader's opinion on the heads of an answer: true only if
// there is no reason at all to refuse them.
func isClean(answer []byte) bool {
	for range max1xx + 1 {
		head := cleanHead.FindString(fromLatin1(answer))
		if head == "" {
			return false
		}
		raw := len([]rune(head)) // one byte each
		interim, lengths, codings := head[9] == '1', len(anyLength.FindAllString(head, -1)), len(anyCoding.FindAllString(head, -1))
		switch {
		case strings.HasPrefix(head[9:], "101"), lengths+codings > 1, anyTrailer.MatchString(head),
			lengths == 1 && !cleanLength.MatchString(head), codings == 1 && !cleanCoding.MatchString(head),
			codings == 1 && head[7] == '0', interim && lengths+codings > 0:
			return false
		}
		if !interim {
			return true
		}
		answer = answer[raw:]
	}
	return false
}

// fromLatin1 makes a rune of each byte, for regexp.
func fromLatin1(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		s.WriteRune(rune(c))
	}
	return s.String()
}

var (
	cleanName   = regexp.MustCompile("^[-!#$%&'*+.^_|~0-9A-Za-z`]+$")
	cleanValue  = regexp.MustCompile(`^[\t\x20-\x7e\x80-\xff]*$`)
	cleanTarget = regexp.MustCompile(`^/[\x21-\x7e\x80-\xff]*$`)
	cleanHost   = regexp.MustCompile(`^[-.:0-9A-Za-z]+$`)
)

// isCleanRequest is the same for requests.
func isCleanRequest(r *http.Request) bool {
	latin := func(s string) string { return fromLatin1([]byte(s)) }
	if r.Method != "" && !cleanName.MatchString(r.Method) || !cleanHost.MatchString(hostOf(r)) ||
		!cleanTarget.MatchString(latin(r.URL.RequestURI())) {
		return false
	}
	for name, values := range r.Header {
		lower := strings.ToLower(name)
		if !cleanName.MatchString(name) || lower == "expect" || lower == "upgrade" || lower == "connection" {
			return false
		}
		for _, v := range values {
			if !cleanValue.MatchString(latin(v)) {
				return false
			}
		}
	}
	return true
}
