package policy

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/conf"
)

// parseLog reads the value of policy.log.
func parseLog(text string) (*LogConfig, error) {
	var c Config
	_, err := conf.Parse("gatehouse.yaml", []byte("log: "+text+"\n"), &c)
	return c.Log, err
}

func TestLogKnowsItsDefaults(t *testing.T) {
	c, err := parseLog("{ file: /var/log/gatehouse.jsonl }")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/input/user/email", "/input/user/name", "/input/credential/claims", "/input/request/query", "/input/request/body"}
	if c.Allows != 0.1 || c.Queue != 10_000 || !slices.Equal(c.Mask, want) {
		t.Errorf("defaults are %v, %d, %v; want 0.1, 10000, %v", c.Allows, c.Queue, c.Mask, want)
	}
	if c, err := parseLog("{ file: \"-\", mask: [], allows: 0 }"); err != nil || len(c.Mask) != 0 || c.Allows != 0 {
		t.Errorf("an empty mask and no share are %v, %v (%v)", c.Mask, c.Allows, err)
	}
}

func TestLogGoesWhereItMay(t *testing.T) {
	for _, text := range []string{
		"{ url: \"https://logs.example.com/in?key=1\", token: abc }", "{ url: http://127.0.0.1:9000/ }", "{ url: \"http://[::1]/\" }",
		"{ url: http://logs.localhost/ }", "{ otlp: http://localhost:4318/v1/logs }", "{ otlp: https://otel.example.com, file: \"-\" }",
		"{ file: x, allows: 1, queue: 1, mask: [/input/request/variables/a~0b~1c, /input/route, /input/time, /input/user/groups/0, /input/credential] }",
	} {
		if _, err := parseLog(text); err != nil {
			t.Errorf("log: %s = %v, want no error", text, err)
		}
	}
	for text, want := range map[string]string{
		"{}":                                              "names no place",
		"{ allows: 0.5 }":                                 "names no place",
		"{ file: \"\" }":                                  "file is empty",
		"{ url: http://logs.example.com }":                "unencrypted",
		"{ otlp: http://10.0.0.1:4318 }":                  "unencrypted",
		"{ url: ftp://127.0.0.1/ }":                       "want a URL",
		"{ url: https://u:p@logs.example.com/ }":          "no user or password",
		"{ otlp: \"https://otel.example.com/?key=1\" }":   "has a query",
		"{ file: x, token: abc }":                         "token is sent to url",
		"{ file: x, allows: 1.1 }":                        "allows is 1.1",
		"{ file: x, allows: -0.1 }":                       "allows is -0.1",
		"{ file: x, allows: .nan }":                       "allows",
		"{ file: x, queue: 0 }":                           "queue is 0",
		"{ file: x, queue: 1000001 }":                     "queue is 1000001",
		"{ file: x, mask: [/input] }":                     "names nothing below /input",
		"{ file: x, mask: [/result/reason] }":             "names nothing below /input",
		"{ file: x, mask: [/input/user/name, /input/~] }": "neither ~0",
		"{ file: x, mask: [/input/usr/email] }":           "did you mean /input/user?",
		"{ file: x, mask: [/input/user/emial] }":          "did you mean /input/user/email?",
		"{ file: x, mask: [/input/user/phone_number] }":   "names no part of what is recorded",
		"{ file: x, mask: [/input/request/headers/x] }":   "names no part of what is recorded",
		"{ file: x, mask: [/input/route/name] }":          "names no part of what is recorded",
	} {
		if _, err := parseLog(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("log: %s = %v, want an error with %q", text, err, want)
		}
	}
}

func TestMaskPointerIsTheInverseOfParseMask(t *testing.T) {
	for pointer, want := range map[string][]string{
		"/input/user/email":    {"user", "email"},
		"/input/a~1b/~0/~01":   {"a/b", "~", "~1"},
		"/input/user/":         {"user", ""},
		"/input/user/groups/0": {"user", "groups", "0"},
	} {
		tokens, err := ParseMask(pointer)
		if err != nil || !slices.Equal(tokens, want) || MaskPointer(tokens) != pointer {
			t.Errorf("ParseMask(%s) = %q, %v, and back %s; want %q", pointer, tokens, err, MaskPointer(tokens), want)
		}
	}
}
