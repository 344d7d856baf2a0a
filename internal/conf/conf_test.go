package conf_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/conf"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write the golden files anew")

// house is a small configuration that uses every feature of the decoder.
type house struct {
	PublicURL *url.URL           `yaml:"public_url"`
	Listen    int                `yaml:"listen"`
	Ratio     float64            `yaml:"ratio"`
	Port      uint16             `yaml:"port"`
	Debug     bool               `yaml:"debug"`
	Address   netip.Addr         `yaml:"address"`
	Trusted   []netip.Prefix     `yaml:"trusted"`
	Session   session            `yaml:"session"`
	Clients   []client           `yaml:"clients"`
	Providers map[string]*client `yaml:"providers"`
	Headers   map[string]string  `yaml:"headers"`
	Claims    map[string]any     `yaml:"claims"`
	Routes    []route            `yaml:"routes"`
	Key       conf.Secret        `yaml:"key"`
	Shared    `yaml:",inline"`
	Hidden    string `yaml:"-"`
}

// Shared is inlined into house.
type Shared struct {
	Pos   conf.Pos `yaml:"-"`
	Level string   `yaml:"level"`
}

func (s *Shared) Defaults() { s.Level = "info" }

type session struct {
	Idle      time.Duration `yaml:"idle"`
	MaxCookie conf.Size     `yaml:"max_cookie"`
}

func (s *session) Defaults() { *s = session{Idle: time.Hour, MaxCookie: 4096} }

func (s *session) Check(r *conf.Report) {
	if s.Idle > 24*time.Hour {
		r.Errorf(&s.Idle, "idle is longer than a day\nPeople forget to sign out.")
	}
	if s.Idle < time.Minute {
		r.Warnf(&s.Idle, "idle is under a minute")
	}
}

type client struct {
	Pos    conf.Pos    `yaml:"-"`
	ID     string      `yaml:"id"`
	Secret conf.Secret `yaml:"client_secret"`
}

type route struct {
	Pos   conf.Pos `yaml:"-"`
	Name  string   `yaml:"name"`
	Match match    `yaml:"match"`
	Allow allow    `yaml:"allow" help:"A route without \"allow\" protects nothing, so gatehouse will not start."`
}

func (x *route) Check(r *conf.Report) {
	if !r.Has(&x.Allow) {
		r.Errorf(&x.Allow, "route %q has no allow", x.Name)
	}
}

type match struct {
	Path      []string `yaml:"path"`
	Websocket *bool    `yaml:"websocket"`
}

// allow is a union: a word, or conditions.
type allow struct {
	Pos    conf.Pos `yaml:"-"`
	Word   string   `yaml:"-"`
	Groups []string `yaml:"groups"`
	AnyOf  []allow  `yaml:"any_of"`
	Not    *allow   `yaml:"not"`
}

func (a *allow) UnmarshalConf(n *conf.Node) {
	if n.Kind() != conf.Scalar {
		n.Decode(a)
		return
	}
	a.Word = n.Scalar()
	if a.Word != "anyone" && a.Word != "nobody" {
		n.Errorf("want anyone, nobody or conditions, got %q", a.Word)
	}
}

func parse(text string) (*house, *conf.File, error) {
	var h house
	f, err := conf.Parse("gatehouse.yaml", []byte(text), &h)
	return &h, f, err
}

func mustParse(t *testing.T, text string) (*house, *conf.File) {
	t.Helper()
	h, f, err := parse(text)
	if err != nil {
		t.Fatalf("Parse(%q) = %v", text, err)
	}
	return h, f
}

// wrong checks that the text has exactly these errors, written
// "line:column: message".
func wrong(t *testing.T, text string, want ...string) {
	t.Helper()
	_, _, err := parse(text)
	var p *conf.Problems
	if !errors.As(err, &p) {
		t.Errorf("Parse(%q) = %v, want %q", text, err, want)
		return
	}
	var got []string
	for _, e := range p.Errors() {
		got = append(got, fmt.Sprintf("%d:%d: %s", e.Pos.Line, e.Pos.Column, e.Message))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Parse(%q):\n got %q\nwant %q", text, got, want)
	}
}

func TestTwelveMistakesAreToldAtOnce(t *testing.T) {
	text, err := os.ReadFile("testdata/broken.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = parse(string(text))
	got := err.Error() + "\n"
	golden := filepath.Join("testdata", "broken.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestEveryTypeIsDecoded(t *testing.T) {
	h, _ := mustParse(t, `
public_url: https://app.example.com/x
listen: 8080
ratio: 0.25
port: 65535
debug: true
address: 2001:db8::1
trusted: [10.0.0.0/8, 192.0.2.1, "2001:db8::/32", "::1"]
session: { idle: 23h30m, max_cookie: 64KiB }
clients:
  - id: web
    client_secret: hunter2
providers:
  corp: { id: corp-client }
headers: { X-User: "claim:sub", x-dept: claim:dept }
claims: { n: 7, f: 1.5, yes: true, list: [a, null], day: 2020-01-02 }
routes:
  - name: admin
    match: { path: /admin/**, websocket: false }
    allow: { any_of: [anyone, { groups: admins }], not: nobody }
key: s3cret
level: debug
`)
	no := false
	h.PublicURL, h.Trusted, h.Address = parsedURL(t, h), parsedTrusted(t, h), netip.Addr{}
	want := house{
		Listen: 8080, Ratio: 0.25, Port: 65535, Debug: true,
		Session:   session{23*time.Hour + 30*time.Minute, 64 << 10},
		Clients:   []client{{pos(11, 5), "web", "hunter2"}},
		Providers: map[string]*client{"corp": {pos(14, 9), "corp-client", ""}},
		Headers:   map[string]string{"X-User": "claim:sub", "x-dept": "claim:dept"},
		Claims: map[string]any{
			"n": 7, "f": 1.5, "yes": true, "list": []any{"a", nil}, "day": "2020-01-02",
		},
		Routes: []route{{
			Pos: pos(18, 5), Name: "admin", Match: match{[]string{"/admin/**"}, &no},
			Allow: allow{
				Pos: pos(20, 12),
				AnyOf: []allow{
					{Pos: pos(20, 23), Word: "anyone"},
					{Pos: pos(20, 31), Groups: []string{"admins"}},
				},
				Not: &allow{Pos: pos(20, 57), Word: "nobody"},
			},
		}},
		Key: "s3cret", Shared: Shared{pos(2, 1), "debug"},
	}
	if diff := cmp.Diff(want, *h, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func pos(line, column int) conf.Pos {
	return conf.Pos{File: "gatehouse.yaml", Line: line, Column: column}
}

func parsedURL(t *testing.T, h *house) *url.URL {
	t.Helper()
	if h.PublicURL == nil || h.PublicURL.String() != "https://app.example.com/x" || h.Address.String() != "2001:db8::1" {
		t.Errorf("public_url = %v, address = %v", h.PublicURL, h.Address)
	}
	return nil
}

func parsedTrusted(t *testing.T, h *house) []netip.Prefix {
	t.Helper()
	if got := fmt.Sprint(h.Trusted); got != "[10.0.0.0/8 192.0.2.1/32 2001:db8::/32 ::1/128]" {
		t.Errorf("trusted = %s", got)
	}
	return nil
}

func TestDefaultsHoldWhereTheFileIsSilent(t *testing.T) {
	h, _ := mustParse(t, "session: { idle: 2h }\n")
	if h.Session != (session{2 * time.Hour, 4096}) || h.Level != "info" {
		t.Errorf("session = %+v, level = %q", h.Session, h.Level)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "{}"} {
		if h, _ := mustParse(t, empty); h.Session.Idle != time.Hour {
			t.Errorf("Parse(%q): idle = %s, want 1h", empty, h.Session.Idle)
		}
	}
}

func TestUnknownKeys(t *testing.T) {
	wrong(t, "lisen: 1\n", `1:1: unknown key "lisen" — did you mean "listen"?`)
	wrong(t, "session: {iddle: 1h}\n", `1:11: unknown key "iddle" in session — did you mean "idle"?`)
	wrong(t, "providers: {corp: {client-secret: a}}\n",
		`1:20: unknown key "client-secret" in providers.corp — did you mean "client_secret"?`)
	wrong(t, "routes:\n- {name: a, allow: anyone, match: {pth: /}}\n",
		`2:36: unknown key "pth" in match of route "a" — did you mean "path"?`)
	wrong(t, "routes:\n- {name: a, allow: {any_of: [{grups: a}]}}\n",
		`2:31: unknown key "grups" in allow.any_of[0] of route "a" — did you mean "groups"?`)
	wrong(t, "clients: [{client_secret:hunter2}]\n", `1:12: a space is missing after "client_secret:" in clients[0]`)
	wrong(t, "quite-something: 1\n", `1:1: unknown key "quite-something"`)
}

func TestExtensionKeysAreIgnored(t *testing.T) {
	mustParse(t, "x-note: {a: [b]}\nsession: { x-y: 1 }\nroutes: [{name: a, allow: {groups: a, x-z: 1}}]\n")
}

func TestMisspeltMandatoryKeyIsOneMistake(t *testing.T) {
	_, _, err := parse("routes: [{name: a, alow: anyone}]\n")
	if n := strings.Count(err.Error(), "gatehouse.yaml:"); n != 1 {
		t.Errorf("%d mistakes told, want 1:\n%v", n, err)
	}
	if !strings.Contains(err.Error(), "\n  A route without \"allow\" protects nothing") {
		t.Errorf("no help in:\n%v", err)
	}
	wrong(t, "routes: [{name: a}]\n", `1:10: route "a" has no allow`)
}

func TestDuplicateKeysAndDocuments(t *testing.T) {
	wrong(t, "listen: 1\nlisten: 2\n", `2:1: key "listen" is written twice; the first stands in line 1`)
	wrong(t, "headers: {a: b, 'a': c}\n", `1:17: key "a" is written twice; the first stands in line 1`)
	wrong(t, "listen: 1\n---\nlisten: 2\n", "2:1: a second YAML document begins here; the file must hold one")
	wrong(t, "[a, b]: 1\n? {c: d}\n: 2\n",
		"1:1: a key must be a single word; values with braces must be quoted",
		"2:3: a key must be a single word; values with braces must be quoted")
}

func TestWrongShapes(t *testing.T) {
	wrong(t, "session: 1h\n", "1:10: session: want a map of keys, got a single value")
	wrong(t, "clients: {id: a}\n", "1:10: clients: want a list, got a map of keys")
	wrong(t, "headers: [a]\n", "1:10: headers: want a map of keys, got a list")
	wrong(t, "listen: [1]\n", "1:9: listen: want a single value, got a list")
	wrong(t, "- listen\n", "1:1: want a map of keys, got a list")
	const none = "has no value; remove the key, or quote a value that begins with #, & or ~"
	wrong(t, "key:\nsession:\nlisten: ~\nclients: null\n",
		"1:5: key: "+none, "2:9: session: "+none, "3:9: listen: "+none, "4:10: clients: "+none)
}

func TestWrongScalars(t *testing.T) {
	for _, word := range []string{"yes", "no", "on", "off", "True", "1", `"true "`} {
		wrong(t, "debug: "+word, fmt.Sprintf("1:8: debug: want true or false, got %q", strings.Trim(word, `"`)))
	}
	wrong(t, "listen: 0644", `1:9: listen: want a whole number without leading zeros or signs, got "0644"`)
	wrong(t, "listen: +1", `1:9: listen: want a whole number without leading zeros or signs, got "+1"`)
	wrong(t, "listen: 1e3", `1:9: listen: want a whole number, got "1e3"`)
	wrong(t, "listen: 99999999999999999999", `1:9: listen: the number is too large, got "99999999999999999999"`)
	wrong(t, "port: 65536", `1:7: port: want a whole number from 0 to 65535, got "65536"`)
	wrong(t, "ratio: .nan", `1:8: ratio: want a number, got ".nan"`)
	wrong(t, "ratio: NaN", `1:8: ratio: want a number, got "NaN"`)
	wrong(t, "address: 10.0.0.0/8", `1:10: address: want an IP address such as 192.0.2.1 or 2001:db8::1, got "10.0.0.0/8"`)
	wrong(t, "trusted: 10.0.0.1/8", `1:10: trusted: want a network; 10.0.0.0/8 is the one that holds this address, got "10.0.0.1/8"`)
	wrong(t, "trusted: [a]", `1:11: trusted[0]: want a network such as 10.0.0.0/8, or an address, got "a"`)
	wrong(t, "listen: !!int 1", "1:9: listen: YAML tags are not supported; a value that begins with ! must be quoted")
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour,
		"1d12h": 36 * time.Hour, "0": 0, "0s": 0, "1.5h": 90 * time.Minute,
	} {
		if got, err := conf.ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "90", "-1h", "1d-1h", "d", "1d1d", "1h1d", "99999d1h", "65535d9999999h", "1.5d", "1d 1h", "h", "1d+1h"} {
		if got, err := conf.ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
	wrong(t, "session: {idle: 90}", `1:17: session.idle: want a duration such as 90s, 15m, 1h30m or 7d (the unit is missing), got "90"`)
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]conf.Size{
		"0": 0, "512": 512, "64KiB": 64 << 10, "10 MiB": 10 << 20, "1GiB": 1 << 30,
	} {
		got, err := conf.ParseSize(text)
		if err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
		if s := strings.ReplaceAll(text, " ", ""); got.String() != s {
			t.Errorf("Size(%d).String() = %q, want %q", got, got, s)
		}
	}
	for _, text := range []string{"", "10MB", "10M", "-1", "1.5MiB", "MiB", "9999999999GiB", "0x10", "64kib"} {
		if got, err := conf.ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestURLsSayWhyTheyAreWrong(t *testing.T) {
	for text, reason := range map[string]string{
		"app.example.com":    "it must begin with https:// or http://",
		"localhost:8080":     "it must begin with https:// or http://",
		"https:///x":         "the host is missing",
		"https://u:pw@a.com": "no user or password in it",
	} {
		_, _, err := parse("public_url: " + text)
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("public_url %q: %v, want %q", text, err, reason)
		}
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("the password is told in:\n%v", err)
		}
	}
}

func TestChecksReportAtTheField(t *testing.T) {
	_, _, err := parse("listen: 1\nsession:\n  idle: 48h\n")
	want := `gatehouse.yaml:3:9: idle is longer than a day
    2 | session:
    3 |   idle: 48h
      |         ^^^
  People forget to sign out.

1 error`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestWarningsDoNotStop(t *testing.T) {
	_, f := mustParse(t, "session: { idle: 1s }\n")
	w := f.Problems().Warnings()
	if len(w) != 1 || !strings.HasPrefix(w[0].String(), "gatehouse.yaml:1:18: idle is under a minute  (warning)\n") {
		t.Errorf("warnings = %v", w)
	}
}

func TestLaterChecksJoinTheReport(t *testing.T) {
	h, f := mustParse(t, "listen: 1\nroutes:\n- {name: a, allow: anyone}\n- {name: b, allow: nobody}\n")
	r := f.Report()
	r.Errorf(&h.Routes[1].Allow, "second")
	r.Errorf(h.Routes[0].Pos, "first")
	r.Errorf(&h.Routes[0].Match, "absent: told at its route")
	var got []string
	for _, e := range f.Problems().Errors() {
		got = append(got, fmt.Sprintf("%d:%d %s", e.Pos.Line, e.Pos.Column, e.Message))
	}
	want := []string{"3:3 first", "3:3 absent: told at its route", "4:20 second"}
	if !reflect.DeepEqual(got, want) || f.Err() == nil {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPositionsOfFields(t *testing.T) {
	h, f := mustParse(t, "listen: 1\nproviders:\n  corp:\n    id: a\ntrusted: [10.0.0.0/8, '::1']\nroutes: [{name: r, allow: {not: anyone}}]\n")
	for field, want := range map[any]string{
		&h.Listen:                "1:9",
		&h.Providers["corp"].ID:  "4:9",
		h.Providers["corp"]:      "4:5",
		&h.Trusted[1]:            "5:23",
		h.Routes[0].Allow.Not:    "6:33",
		h.Routes[0].Allow.Pos:    "6:27",
		&h.Routes[0].Allow.Pos:   "6:27",
		&h.Session.Idle:          "0:0", // a default
		&h.Routes[0].Match.Path:  "0:0",
		&h.Routes[0].Allow.AnyOf: "0:0",
	} {
		p := f.Pos(field)
		if got := fmt.Sprintf("%d:%d", p.Line, p.Column); got != want {
			t.Errorf("Pos(%T) = %s, want %s", field, got, want)
		}
	}
	if !f.Has(&h.Listen) || f.Has(&h.Session) {
		t.Error("Has: listen is set and session is not")
	}
}

func TestMissingFileIsOneSentence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	var h house
	_, err := conf.Load(path, &h)
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != "read configuration "+path+": no such file or directory" {
		t.Errorf("Load = %v", err)
	}
	dir := t.TempDir()
	if _, err := conf.Load(dir, &h); err == nil || err.Error() != "read configuration "+dir+": is a directory" {
		t.Errorf("Load of a folder = %v", err)
	}
}

func TestWindowsLinesAndByteOrderMark(t *testing.T) {
	wrong(t, "\ufefflisten: 1\r\nlisen: 2\r\n", `2:1: unknown key "lisen" — did you mean "listen"?`)
	_, _, err := parse("\ufeff# ü\r\nheaders: {ä: b}\r\nlisen: 2\r\n")
	if err == nil || !strings.Contains(err.Error(), "    2 | headers: {ä: b}\n    3 | lisen: ***\n      | ^^^^^\n") {
		t.Errorf("got:\n%v", err)
	}
	wrong(t, "\xff\xfel\x00", "0:0: the file is UTF-16; save it as UTF-8")
}

func TestAnchorsAndMerges(t *testing.T) {
	h, _ := mustParse(t, `
x-base: &base { id: web, client_secret: hunter2 }
clients:
  - *base
  - { <<: *base, id: other }
  - { <<: [{ id: third }, *base] }
`)
	for i, want := range []string{"web", "other", "third"} {
		if c := h.Clients[i]; c.ID != want || c.Secret != "hunter2" {
			t.Errorf("clients[%d] = %s, %s, want %s", i, c.ID, c.Secret.Reveal(), want)
		}
	}
	wrong(t, "clients: [{<<: hunter2}]", "1:16: << merges maps only")
}

func TestSuggest(t *testing.T) {
	known := []string{"allow", "match", "name", "on_unauthenticated", "ip"}
	for word, want := range map[string]string{
		"alow": "allow", "allwo": "allow", "nmae": "name", "Allow": "allow", "on-unauthenticated": "on_unauthenticated",
		"aallow": "allow", "xy": "", "ipp": "ip", "something": "", "": "",
	} {
		if got := conf.Suggest(word, known); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", word, got, want)
		}
	}
}
