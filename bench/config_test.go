package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/cmd/gatehouse/app"
)

func valuesFor(s setup) values {
	return values{
		setup: s, dir: "/tmp/bench", port: 4000, metrics: 4001, public: "http://localhost:4000", issuer: "http://127.0.0.1:4000",
		app: "http://127.0.0.1:4002", tools: "http://127.0.0.1:4003", login: "http://127.0.0.1:4004",
	}
}

func TestGatehouseTakesEveryConfiguration(t *testing.T) {
	for _, s := range []setup{{}, {idp: true}, {routes: 25}, {quiet: true}, {idp: true, quiet: true}, {idp: true, users: true, postgres: "postgres://postgres@/bench?host=%2Ftmp"}} {
		file := filepath.Join(t.TempDir(), "gatehouse.yaml")
		if err := os.WriteFile(file, []byte(valuesFor(s).config()), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := app.Load(file); err != nil {
			t.Errorf("%+v: %v\n%s", s, err, valuesFor(s).config())
		}
	}
}

func TestKeysAreWrittenOnlyWhereTheyAreKnown(t *testing.T) {
	v := valuesFor(setup{quiet: true})
	if text := v.config(); strings.Contains(text, "access_log") {
		t.Errorf("a binary without access log is told to write none:\n%s", text)
	}
	v.knows.accessLog = true
	if text := v.config(); !strings.Contains(text, `telemetry: { access_log: "off" }`) {
		t.Errorf("quiet does not turn the access log off:\n%s", text)
	}
	if text := valuesFor(setup{}).config(); strings.Contains(text, "transport") {
		t.Errorf("the usual transport is written out:\n%s", text)
	}
	if text := valuesFor(setup{h1: true}).config(); !strings.Contains(text, "transport: h1") {
		t.Errorf("no transport h1:\n%s", text)
	}
}

func TestEachMoreRouteHasAPathOfItsOwn(t *testing.T) {
	text := valuesFor(setup{routes: 12}).config()
	for n := range 12 {
		if count := strings.Count(text, fmt.Sprintf("path: %s/**", numbered(n))); count != 1 {
			t.Errorf("route %d stands there %d times", n, count)
		}
	}
}
