package body

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"gatehouse/policy"
)

// post returns a request as net/http hands it to a handler.
func post(text, contentType string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

// chunked is the same without a length.
func chunked(text string) *http.Request {
	r := post("x", "application/json")
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(strings.NewReader(text)), -1, []string{"chunked"}
	return r
}

func read(t *testing.T, r *http.Request, limit int) *Taken {
	t.Helper()
	rd := New(Limits{})
	taken, err := rd.Read(r, "someone", limit, nil)
	if err != nil {
		t.Fatalf("Read = %v", err)
	}
	return taken
}

func TestStatesOfABody(t *testing.T) {
	const kind = "application/json"
	for _, c := range []struct {
		what string
		r    *http.Request
		want policy.BodyState
	}{
		{"none", post("", kind), policy.BodyNone},
		{"none without type", post("", ""), policy.BodyNone},
		{"chunked and empty", chunked(""), policy.BodyNone},
		{"a value", post(`{"a":1}`, kind), policy.BodyParsed},
		{"a chunked value", chunked(`{"a":1}`), policy.BodyParsed},
		{"at the limit", post(`"12345678"`, kind), policy.BodyParsed},
		{"chunked at the limit", chunked(`"12345678"`), policy.BodyParsed},
		{"one byte more", post(`"123456789"`, kind), policy.BodyCut},
		{"one space more", post(`"12345678" `, kind), policy.BodyCut},
		{"chunked and one byte more", chunked(`"12345678" `), policy.BodyCut},
		{"much more", chunked(strings.Repeat(" ", 5000)), policy.BodyCut},
		{"more that is not JSON", post("not JSON at all", "text/plain"), policy.BodyCut},
		{"space alone", post("  ", kind), policy.BodyBroken},
		{"not JSON", post("a=b", kind), policy.BodyBroken},
	} {
		taken := read(t, c.r, 10)
		if got := taken.Seen().State; got != c.want {
			t.Errorf("%s is %q, want %q", c.what, got, c.want)
		}
		if (taken.Seen().Value != nil) != (c.want == policy.BodyParsed) {
			t.Errorf("%s: value %v beside state %q", c.what, taken.Seen().Value, c.want)
		}
	}
	var none *Taken
	if none.Seen().State != policy.BodyUnread || none.Whole() {
		t.Error("a body nobody asked for has a state")
	}
	none.Release()
}

func TestOnlyWhatIsAnnouncedAsJSONIsParsed(t *testing.T) {
	for kind, want := range map[string]policy.BodyState{
		"application/json":                  policy.BodyParsed,
		"Application/JSON; charset=UTF-8":   policy.BodyParsed,
		`application/json; charset="utf-8"`: policy.BodyParsed,
		"application/json; profile=x":       policy.BodyParsed,
		"application/vnd.api+json":          policy.BodyParsed,
		"":                                  policy.BodyBroken,
		"text/plain":                        policy.BodyBroken,
		"text/json":                         policy.BodyBroken,
		"+json":                             policy.BodyBroken,
		"application/x-www-form-urlencoded": policy.BodyBroken,
		"application/json-seq":              policy.BodyBroken,
		"application/jsonp":                 policy.BodyBroken,
		"application/json; charset=utf-16":  policy.BodyBroken,
		"application/json; charset=utf-8; charset=utf-16": policy.BodyBroken,
		"application/json; charset=":                      policy.BodyBroken,
		"application/json, text/plain":                    policy.BodyBroken,
		"application/json;;":                              policy.BodyBroken,
	} {
		if got := read(t, post(`{"a":1}`, kind), 100).Seen().State; got != want {
			t.Errorf("a value announced as %q is %q, want %q", kind, got, want)
		}
	}
}

func TestDoubtAboutTheHeadersIsNoParsedBody(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        policy.BodyState
	}{
		{"Content-Encoding", "identity", policy.BodyParsed},
		{"Content-Encoding", "gzip", policy.BodyBroken},
		{"Content-Encoding", "deflate", policy.BodyBroken},
		{"Content-Encoding", "identity, gzip", policy.BodyBroken},
		{"Content-Encoding", "", policy.BodyBroken},
		{"Content_Encoding", "gzip", policy.BodyBroken},
		{"Content_Encoding", "identity", policy.BodyBroken},
		{"Content.Encoding", "gzip", policy.BodyBroken},
		{"content_type", "text/plain", policy.BodyBroken},
		{"Content-Type", "text/plain", policy.BodyBroken}, // a second line
		{"Content-Language", "en", policy.BodyParsed},
	} {
		r := post(`{"a":1}`, "application/json")
		r.Header[c.name] = append(r.Header[c.name], c.value)
		if got := read(t, r, 100).Seen().State; got != c.want {
			t.Errorf("a body with %s: %q is %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

// Whatever became of it for the rules, the body arrives as it came.
func TestTheBodyIsPassedOnByteByByte(t *testing.T) {
	for _, text := range []string{"", "{}", `{"a": 1 }`, "\xff\xfe", "0123456789", "0123456789a", strings.Repeat("0123456789", 10_000)} {
		for _, r := range []*http.Request{post(text, "application/json"), chunked(text)} {
			r.Body = struct {
				io.Reader
				io.Closer
			}{iotest.OneByteReader(r.Body), r.Body}
			taken := read(t, r, 10)
			got, err := io.ReadAll(taken.Body())
			if err != nil || string(got) != text {
				t.Errorf("%.20q of %d bytes arrived as %.20q of %d: %v", text, len(text), got, len(got), err)
			}
			if taken.Whole() != (len(text) <= 10) {
				t.Errorf("%.20q: Whole = %t", text, taken.Whole())
			}
		}
	}
}

// No more is taken from the client than one byte over the limit.
func TestNoMoreIsReadThanTheRouteAllows(t *testing.T) {
	rest := strings.NewReader(strings.Repeat("x", 100_000))
	r := chunked("")
	r.Body = io.NopCloser(rest)
	read(t, r, 5000)
	if got := 100_000 - rest.Len(); got != 5001 {
		t.Errorf("%d bytes were read, want 5001", got)
	}
}

func TestABodyThatBreaksOffIsAnError(t *testing.T) {
	broken := errors.New("connection lost")
	r := chunked("")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"a":1}`), iotest.ErrReader(broken)))
	rd := New(Limits{Bytes: 1 << 20})
	if _, err := rd.Read(r, "someone", 100, nil); !errors.Is(err, broken) {
		t.Errorf("Read = %v, want %v", err, broken)
	}
	if got := rd.room.free; got != 1<<20 {
		t.Errorf("%d bytes are left after an error, want all", got)
	}
}

func TestSlowSendersAreNotWaitedFor(t *testing.T) {
	rd := New(Limits{Time: 100 * time.Millisecond})
	result := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := rd.Read(r, "someone", 100, http.NewResponseController(w))
		result <- err
	}))
	defer server.Close()
	body, send := io.Pipe()
	defer send.Close()
	go func() { send.Write([]byte(`{"a":`)) }()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if res, err := http.DefaultTransport.RoundTrip(r); err == nil {
			res.Body.Close()
		}
	}()
	select {
	case err := <-result:
		if !errors.Is(err, ErrSlow) {
			t.Errorf("Read = %v, want ErrSlow", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a sender that stopped is waited for")
	}
}

// The deadline ends with the reading: what is left of the body may take its
// time, and so may the answer, for which the server watches the connection.
func TestTheDeadlineEndsWithTheReading(t *testing.T) {
	rd := New(Limits{Time: 100 * time.Millisecond})
	result := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		taken, err := rd.Read(r, "someone", 10, http.NewResponseController(w))
		if err != nil {
			result <- err
			return
		}
		select {
		case <-r.Context().Done():
			result <- r.Context().Err()
			return
		case <-time.After(300 * time.Millisecond):
		}
		_, err = io.Copy(io.Discard, taken.Body())
		result <- err
	}))
	defer server.Close()
	for what, more := range map[string]string{"whole": "", "longer": strings.Repeat("x", 50)} {
		body, send := io.Pipe()
		go func() {
			io.WriteString(send, `"12345678"`+more)
			if more != "" {
				<-time.After(200 * time.Millisecond)
			}
			send.Close()
		}()
		res, err := http.Post(server.URL, "application/json", body)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if err := <-result; err != nil {
			t.Errorf("a %s body that was judged in time: %v, want no deadline any longer", what, err)
		}
	}
}

// A drop now and then does not move the end.
func TestDripsDoNotMoveTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := chunked("")
		r.Body = io.NopCloser(drip{})
		begin := time.Now()
		_, err := New(Limits{}).Read(r, "someone", 1<<20, nil)
		if took := time.Since(begin); !errors.Is(err, ErrSlow) || took > 11*time.Second {
			t.Errorf("Read = %v after %v, want ErrSlow after 10s", err, took)
		}
	})
}

// drip sends a byte every second.
type drip struct{}

func (drip) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return copy(p, "x"), nil
}

func TestMemoryIsBoundedAndGivenBack(t *testing.T) {
	const all = 100_000
	rd := New(Limits{Bytes: all})
	var held []*Taken
	for {
		taken, err := rd.Read(post(`{"a":"`+strings.Repeat("x", 5000)+`"}`, "application/json"), fmt.Sprint("person ", len(held)), 10_000, nil)
		if errors.Is(err, ErrBusy) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, taken)
	}
	if n := len(held); n < 3 || n > all/10_000 {
		t.Errorf("%d bodies of 5 kB are held at once in 100 kB, want a few", n)
	}
	for _, taken := range held {
		taken.Release()
		taken.Release() // once is enough
	}
	if got := rd.room.free; got != all {
		t.Errorf("%d bytes are left at the end, want %d", got, all)
	}
}

// What a value takes is more than its text: a small body of many values must
// not take memory that nobody counted.
func TestManyValuesWeighMoreThanTheirText(t *testing.T) {
	rd := New(Limits{Bytes: 1 << 20})
	for _, item := range []string{"[]", "{}", "1", `""`} {
		text := "[" + strings.Repeat(item+",", 30_000) + item + "]"
		if _, err := rd.Read(post(text, "application/json"), "someone", 1<<20, nil); !errors.Is(err, ErrBusy) {
			t.Errorf("30,000 times %s in 1 MiB: %v, want ErrBusy", item, err)
		}
	}
	object := new(bytes.Buffer)
	for i := range 12_000 {
		fmt.Fprintf(object, `,"%d":0`, i)
	}
	if _, err := rd.Read(post("{"+object.String()[1:]+"}", "application/json"), "someone", 1<<20, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("12,000 members in 1 MiB: %v, want ErrBusy", err)
	}
	if got := rd.room.free; got != 1<<20 {
		t.Errorf("%d bytes are left, want all", got)
	}
}
