package body

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// parse reads a text alone.
func parse(text string) (any, error) {
	rd := New(Limits{})
	p := parser{text: []byte(text), lease: &lease{room: rd.room, who: "someone"}}
	return p.document()
}

// reference decodes with encoding/json; ok is false unless it is one value.
func reference(text string) (v any, ok bool) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, err == io.EOF
}

func TestValuesAreThoseOfEncodingJSON(t *testing.T) {
	for _, text := range []string{
		"{}", "[]", "0", "-0", "-1.5e+10", "1E5", "true", "false", "null", `""`, ` [ 1 , 2 ] `, "\t{\r\n\"a\" : [] }\n",
		`{"a":{"b":[{"c":null}]},"d":"x"}`, `{"":1}`, `{"a":1,"A":2}`, `"é\u00e9\u20AC\ud83d\ude00\uD83D\uDE00"`, `"\"\\\/\b\f\n\r\t"`,
		`"\u0000"`, `"` + "\u2028" + `"`, `"` + "\uFEFF" + `"`, "1e308", "-1e-308", "0e0", "0.0e-308", "9007199254740993", "0.1",
		strings.Repeat("[", 64) + strings.Repeat("]", 64), `"` + strings.Repeat("x", 5000) + `"`, `[[],{},"",0,[[]]]`, "\"\x7f\"",
		`{"a\u0062":1,"b":2}`, `{"roles":["x","y"],"role":"user"}`,
	} {
		want, ok := reference(text)
		if !ok {
			t.Fatalf("encoding/json refuses %q", text)
		}
		if got, err := parse(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("parse(%.60q) = %#v, %v, want %#v", text, got, err, want)
		}
	}
}

func TestWhatReadersReadInTwoWaysIsNoValue(t *testing.T) {
	for what, text := range map[string]string{
		"nothing":                     "",
		"space":                       " \n",
		"two values":                  "{} {}",
		"something behind":            "{}x",
		"NUL behind":                  "{}\x00",
		"byte order mark":             "\xef\xbb\xbf{}",
		"UTF-16":                      "\xff\xfe{\x00}\x00",
		"UTF-16 without a mark":       "\x00{\x00}",
		"bad UTF-8":                   "\"\xc3\x28\"",
		"bad UTF-8 in a name":         "{\"\xff\":1}",
		"encoded surrogate":           "\"\xed\xa0\x80\"",
		"a name twice":                `{"role":"user","role":"admin"}`,
		"a name twice, once escaped":  `{"role":"user","r\u006fle":"admin"}`,
		"a name twice, both escaped":  `{"\u0072ole":"user","r\u006fle":"admin"}`,
		"a name twice, deep":          `[{"a":{"b":{"c":1,"d":2,"c":3}}}]`,
		"the empty name twice":        `{"":1,"":2}`,
		"first half of a pair":        `"\ud800"`,
		"second half of a pair":       `"\udc00"`,
		"halves swapped":              `"\ude00\ud83d"`,
		"half before a letter":        `"\ud83dx"`,
		"half before an escape":       `"\ud83d\n"`,
		"half before another first":   `"\ud83d\ud83d\ude00"`,
		"half a pair in a name":       `{"\ud800":1}`,
		"raw control":                 "\"a\nb\"",
		"raw NUL":                     "\"a\x00b\"",
		"raw control after an escape": "\"\\n\n\"",
		"bad escape":                  `"\x41"`,
		"short escape":                `"\u41"`,
		"sign in an escape":           `"\u+041"`,
		"open string":                 `"abc`,
		"open escape":                 `"abc\`,
		"open list":                   "[1",
		"open object":                 `{"a":1`,
		"comma at the end":            "[1,]",
		"comma at the end of members": `{"a":1,}`,
		"comma first":                 "[,1]",
		"no comma":                    "[1 2]",
		"no colon":                    `{"a" 1}`,
		"no name":                     "{1:2}",
		"single quotes":               "{'a':1}",
		"bare name":                   "{a:1}",
		"comment":                     "{} // x",
		"NaN":                         "NaN",
		"infinity":                    "-Infinity",
		"other case":                  "True",
		"word too long":               "nulll",
		"word cut":                    "tru",
		"leading zero":                "01",
		"leading zero after a sign":   "-01",
		"plus":                        "+1",
		"bare sign":                   "-",
		"no digit before a point":     ".5",
		"no digit after a point":      "1.",
		"no exponent":                 "1e",
		"no exponent after a sign":    "1e+",
		"hexadecimal":                 "0x10",
		"too large":                   "1e309",
		"absurdly large":              "1e999999",
		"too large in digits":         "9" + strings.Repeat("9", 400),
		"too small":                   "1e-999999",
		"too small for a double":      "0." + strings.Repeat("0", 50) + "1e-300",
		"exponent beyond an int":      "1e99999999999999999999999999",
		"too long":                    "0." + strings.Repeat("1", 63),
		"zero with a huge exponent":   "0e999999",
		"too deep":                    strings.Repeat("[", 65) + strings.Repeat("]", 65),
		"too deep in objects":         strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65),
		"far too deep":                strings.Repeat("[", 1_000_000),
		"no-break space":              "\u00a0{}",
		"form feed":                   "\f{}",
	} {
		if v, err := parse(text); err == nil {
			t.Errorf("%s: parse(%.60q) = %#v, want an error", what, text, v)
		}
	}
}

// FuzzParse compares with encoding/json, which is laxer: what we take it takes
// as the same value, and what it takes we take once it is written again in one
// way only.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,2.5e3,"x\u00e9",null,true]}`, `{"a":1,"a":2}`, `"\ud83d\ude00"`, `"\ud800"`, "1e999999", "[[[]]]", "{}{}", "\xef\xbb\xbf1",
		`{"a":1,"\u0061":2}`, "-0.0e-5", "\"\xff\"",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parse(string(data))
		want, ok := reference(string(data))
		switch {
		case err == nil && (!ok || !utf8.Valid(data)):
			t.Fatalf("parse(%q) = %#v, which encoding/json refuses", data, got)
		case err == nil && !reflect.DeepEqual(got, want):
			t.Fatalf("parse(%q) = %#v, want %#v", data, got, want)
		case !ok || !ordinary(want, 0):
			return
		}
		again, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parse(string(again)); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("parse(%q) = %#v, %v, want %#v", again, got, err, want)
		}
		if len(names(data)) == 0 && utf8.Valid(data) && !bytes.Contains(data, []byte(`\u`)) {
			if _, err := parse(string(data)); err != nil {
				t.Fatalf("parse(%q) = %v, want a value: no name stands twice and nothing is escaped", data, err)
			}
		}
	})
}

// ordinary tells whether v keeps within the limits of depth and numbers.
func ordinary(v any, depth int) bool {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		exponent := strings.ContainsAny(string(v), "eE")
		return err == nil && len(v) <= maxNumber && !exponent && (f != 0 || strings.Trim(string(v), "-0.") == "")
	case []any:
		for _, x := range v {
			if !ordinary(x, depth+1) {
				return false
			}
		}
		return depth < maxDepth
	case map[string]any:
		for _, x := range v {
			if !ordinary(x, depth+1) {
				return false
			}
		}
		return depth < maxDepth
	}
	return true
}

// names returns the names that stand twice in one object of a valid text.
func names(data []byte) (twice []string) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	type level struct {
		object bool
		name   bool // a name comes next
		seen   map[string]bool
	}
	var stack []level
	for {
		token, err := d.Token()
		if err != nil {
			return twice
		}
		if n := len(stack); n > 0 && stack[n-1].object {
			top := &stack[n-1]
			if name, ok := token.(string); ok && top.name {
				if top.seen[name] {
					twice = append(twice, name)
				}
				top.seen[name], top.name = true, false
				continue
			}
			top.name = true
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			stack = append(stack, level{object: token == json.Delim('{'), name: true, seen: map[string]bool{}})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
	}
}

func BenchmarkParse(b *testing.B) {
	text := []byte(`{"items":[` + strings.Repeat(`{"sku":"a-1","count":3,"price":12.5,"tags":["x","y"]},`, 700) + `{}]}`)
	rd := New(Limits{})
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		p := parser{text: text, lease: &lease{room: rd.room, who: "someone"}}
		if _, err := p.document(); err != nil {
			b.Fatal(err)
		}
		p.lease.give(p.lease.held)
	}
}
