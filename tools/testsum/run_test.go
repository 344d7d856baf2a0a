package main

import (
	"fmt"
	"strings"
	"testing"
)

func summarise(t *testing.T, lines ...string) (*run, string) {
	t.Helper()
	r := newRun()
	var out strings.Builder
	if err := r.read(strings.NewReader(strings.Join(lines, "\n")), &out); err != nil {
		t.Fatal(err)
	}
	return r, out.String()
}

func done(action, name string) string {
	return fmt.Sprintf(`{"Action":%q,"Package":"a","Test":%q}`, action, name)
}

func said(name, text string) string {
	return fmt.Sprintf(`{"Action":"output","Package":"a","Test":%q,"Output":%q}`, name, text)
}

func expect(t *testing.T, r *run, passed, failed, skipped int) {
	t.Helper()
	if p, f, s := r.count(); p != passed || f != failed || s != skipped {
		t.Errorf("count = %d, %d, %d, want %d, %d, %d", p, f, s, passed, failed, skipped)
	}
}

func TestSubtestsCountAndTheirFrameDoesNot(t *testing.T) {
	r, out := summarise(t, done("pass", "A/x"), done("pass", "A/y"), done("pass", "A"), done("pass", "B"), done("pass", ""))
	expect(t, r, 3, 0, 0)
	if !strings.HasPrefix(out, "pass a ") {
		t.Errorf("output = %q", out)
	}
}

func TestFailureIsPrintedOnce(t *testing.T) {
	r, out := summarise(t, said("A/x", "why\n"), done("fail", "A/x"), done("pass", "A/y"), done("fail", "A"), done("fail", ""))
	expect(t, r, 1, 1, 0)
	if strings.Count(out, "why") != 1 || !strings.Contains(out, "== a A/x\n") {
		t.Errorf("output = %q", out)
	}
}

func TestFrameThatFailsByItselfCounts(t *testing.T) {
	r, _ := summarise(t, done("pass", "A/x"), done("fail", "A"), done("fail", ""))
	expect(t, r, 1, 1, 0)
}

func TestPackageThatDoesNotBuildCounts(t *testing.T) {
	r, out := summarise(t,
		`{"ImportPath":"a","Action":"build-output","Output":"a.go:1: syntax error\n"}`,
		said("", "FAIL a [build failed]\n"), done("fail", ""))
	expect(t, r, 0, 1, 0)
	if !strings.Contains(out, "syntax error") {
		t.Errorf("output = %q", out)
	}
}

func TestSkipsCountAndSayWhy(t *testing.T) {
	r, out := summarise(t, said("A", "no browser\n"), done("skip", "A"), done("pass", ""))
	expect(t, r, 0, 0, 1)
	if !strings.Contains(out, "no browser") {
		t.Errorf("output = %q", out)
	}
}

func TestPackageWithoutTestsIsSilent(t *testing.T) {
	r, out := summarise(t, done("skip", ""), "not json")
	expect(t, r, 0, 0, 0)
	if out != "not json\n" {
		t.Errorf("output = %q", out)
	}
}
