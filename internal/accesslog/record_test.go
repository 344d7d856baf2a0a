package accesslog

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/internal/conf"
)

var update = flag.Bool("update", false, "write golden files")

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// whole returns a record with a value in each field.
func whole() *Record {
	return &Record{
		Time:      time.Date(2026, 9, 20, 12, 11, 12, 123_999_999, time.FixedZone("", 2*60*60)),
		RequestID: "01J8ZQ4C2M", TraceParent: parent,
		Method: "GET", Path: "/admin/users", Host: "app.example.com:8443", Protocol: "HTTP/2.0",
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0",
		Client:    netip.MustParseAddr("203.0.113.9"),
		Status:    403, Route: "admin", Upstream: "app", Duration: 1_800_400, Waited: 12345 * time.Microsecond,
		BytesIn: 17, BytesOut: 2310, Decision: "deny", Reason: "group_missing",
		Rule: conf.Pos{File: "gatehouse.yaml", Line: 21}, Revision: "8f3c1a09be77", Credential: "session", UserID: "01J7-alice",
	}
}

// poor returns a record with as little as a request can have.
func poor() *Record {
	return &Record{Time: time.Unix(0, 0), Method: "GET", Status: 404, Waited: -1, BytesIn: -1, BytesOut: -1}
}

func TestLinesLookAsDocumented(t *testing.T) {
	failed := whole()
	failed.Status, failed.Reason = 502, "upstream_down"
	var got []byte
	for _, r := range []*Record{whole(), failed, poor()} {
		got = r.Append(got)
	}
	got = appendDropped(got, time.Unix(1_800_000_000, 0), 12)
	const golden = "testdata/lines.jsonl"
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the lines are\n%s\nwant\n%s", got, want)
	}
}

func TestEveryFieldIsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operating.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## The access log\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\|").FindAllStringSubmatch(section, -1) {
		told = append(told, m[1])
	}
	var have []string
	for _, m := range regexp.MustCompile(`"([a-z0-9_.]+)":`).FindAllStringSubmatch(string(whole().Append(nil)), -1) {
		have = append(have, m[1])
	}
	if !slices.Equal(told, have) {
		t.Errorf("docs/operating.md has the fields\n%q, lines have\n%q", told, have)
	}
}

func TestLongValuesAreCutBetweenRunes(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{strings.Repeat("a", maxAgent), strings.Repeat("a", maxAgent)},
		{strings.Repeat("a", maxAgent+1), strings.Repeat("a", maxAgent-3) + "…"},
		{strings.Repeat("ä", maxAgent), strings.Repeat("ä", maxAgent/2-2) + "…"},
		{strings.Repeat("a", maxAgent-4) + "€€", strings.Repeat("a", maxAgent-4) + "…"},
		{strings.Repeat("\x80", maxAgent+1), strings.Repeat("\ufffd", maxAgent-3) + "…"},
	} {
		r := poor()
		r.UserAgent = c.in
		if got := parse(t, r)[fieldAgent]; got != c.want {
			t.Errorf("%d bytes of %.4q are written as %d bytes %.8q…, want %d", len(c.in), c.in, len(got.(string)), got, len(c.want))
		}
	}
}

func TestTraceIDIsExactlyOne(t *testing.T) {
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for given, want := range map[string]string{
		parent:                                trace,
		"01-" + trace + "-" + span + "-01":    trace,
		"01-" + trace + "-" + span + "-01-xy": trace,
		"":                                    "",
		trace:                                 "",
		parent + "-xy":                        "", // version 00 says no more
		"01-" + trace + "-" + span + "-01xy":  "",
		"ff-" + trace + "-" + span + "-01":    "",
		"00-" + strings.ToUpper(trace) + "-" + span + "-01":    "",
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01":   "",
		"00-" + trace + "-" + strings.Repeat("0", 16) + "-01":  "",
		"00_" + trace + "-" + span + "-01":                     "",
		"00-" + trace + "_" + span + "-01":                     "",
		"00-" + trace + "-" + span + "_01":                     "",
		"00-" + trace + "-" + span + "-0g":                     "",
		"00-" + trace[:31] + "\"-" + span + "-01":              "",
		strings.Repeat(parent, 1000):                           "",
		"zz-" + trace + "-" + span + "-01":                     "",
		"00-" + trace[:30] + "-" + trace[:2] + span + "-01":    "",
		"00-" + trace + "-" + span[:15] + "\n" + "-01\u2028\"": "",
	} {
		if got := traceID(given); got != want {
			t.Errorf("traceID(%.80q) = %q, want %q", given, got, want)
		}
	}
}

func TestTimesAreThoseOfTimeFormat(t *testing.T) {
	for _, at := range []time.Time{
		time.Unix(0, 0), time.Unix(1_709_164_799, 999_999_999), time.Date(2000, 2, 29, 23, 59, 59, 1e6, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 5e8, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
		time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 7, 1, 1, 2, 3, 0, time.FixedZone("", -5*3600)),
	} {
		if got, want := string(appendTime(nil, at)), at.UTC().Format("2006-01-02T15:04:05.000Z"); got != want {
			t.Errorf("appendTime(%v) = %s, want %s", at, got, want)
		}
	}
}

// parse returns the members of the line of r.
func parse(t *testing.T, r *Record) map[string]any {
	t.Helper()
	line := r.Append(nil)
	if bytes.Count(line, []byte{'\n'}) != 1 || line[len(line)-1] != '\n' || !utf8.Valid(line) {
		t.Errorf("not one line of UTF-8: %q", line)
	}
	for _, r := range string(line[:len(line)-1]) {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			t.Errorf("the line has %U", r)
		}
	}
	m := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatalf("no JSON: %v\n%s", err, line)
	}
	return m
}

func TestHostAndPortAreToldApart(t *testing.T) {
	for host, want := range map[string][2]any{
		"app.test": {"app.test"}, "app.test:8080": {"app.test", json.Number("8080")}, "[2001:db8::1]:443": {"2001:db8::1", json.Number("443")},
		"[2001:db8::1]": {"2001:db8::1"}, "2001:db8::1": {"2001:db8::1"}, "app.test:": {"app.test:"}, "app.test:080": {"app.test:080"},
		"app.test:x": {"app.test:x"}, ":80": {nil, json.Number("80")}, "": {}, "[": {"["}, "]:80": {"]", json.Number("80")}, "[]": {},
	} {
		r := poor()
		r.Host = host
		if m := parse(t, r); m[fieldHost] != want[0] || m[fieldPort] != want[1] {
			t.Errorf("%q is %v and %v, want %v", host, m[fieldHost], m[fieldPort], want)
		}
	}
}

func FuzzLineIsOneJSONObject(f *testing.F) {
	f.Add("GET", "/a\"b\\c\x00\n\u2028\u0085\xff€", "agent\x7f", "eth0\"", parent, int64(1_234_567), int64(-1), int64(0), 200)
	f.Add("", strings.Repeat("\x01", 3000), strings.Repeat("€", 300), "", "", int64(-1), int64(1), int64(-5), 599)
	f.Fuzz(func(t *testing.T, a, path, agent, zone, trace string, took, up, size int64, n int) {
		addr := netip.MustParseAddr("fe80::1").WithZone(zone)
		r := &Record{
			Time: time.Unix(took%1e12, up), RequestID: a, TraceParent: trace, Method: a, Path: path, Host: a, Protocol: a, UserAgent: agent,
			Client: addr, Status: n, Route: a, Upstream: agent, Duration: time.Duration(took), Waited: time.Duration(up), BytesIn: size, BytesOut: took,
			Decision: zone, Reason: a, Rule: conf.Pos{File: path, Line: n}, Revision: a, Credential: a, UserID: agent,
		}
		m := parse(t, r)
		same := func(key, given string, longest int) {
			t.Helper()
			got, _ := m[key].(string)
			if want := string([]rune(given)); len(given) <= longest && got != want {
				t.Errorf("%s is %q, want %q", key, got, want)
			} else if len(given) > longest && !strings.HasSuffix(got, "…") {
				t.Errorf("%s is %q, want it cut", key, got)
			}
		}
		same(fieldMethod, a, maxValue)
		same(fieldPath, path, maxPath)
		same(fieldAgent, agent, maxAgent)
		same(fieldUser, agent, maxValue)
		same(fieldDecision, zone, maxValue)
		if zone == "" && m[fieldClient] != "fe80::1" {
			t.Errorf("client is %v", m[fieldClient])
		}
		if got := m[fieldStatus].(json.Number).String(); got != fmt.Sprint(n) {
			t.Errorf("status is %v, want %d", got, n)
		}
		checkMillis(t, m[fieldDuration], max(took, 0))
		if up < 0 {
			if got, there := m[fieldWaited]; got != nil || !there {
				t.Errorf("upstream_ms is %v, want null", got)
			}
		} else {
			checkMillis(t, m[fieldWaited], up)
		}
		if _, there := m[fieldIn]; there != (size >= 0) {
			t.Errorf("bytes_in is there: %v, for %d", there, size)
		}
	})
}

func checkMillis(t *testing.T, got any, ns int64) {
	t.Helper()
	us := ns / 1000
	if want := fmt.Sprintf("%d.%03d", us/1000, us%1000); got.(json.Number).String() != want {
		t.Errorf("%d ns are %v ms, want %s", ns, got, want)
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	r, line := whole(), make([]byte, 0, 4<<10)
	r.Client = netip.MustParseAddr("2001:db8::1%eth0")
	if n := testing.AllocsPerRun(100, func() { line = r.Append(line[:0]) }); n > 0 {
		t.Errorf("Append() allocates %v times", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	r, line := whole(), make([]byte, 0, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		line = r.Append(line[:0])
	}
	b.SetBytes(int64(len(line)))
}
