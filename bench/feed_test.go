package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func feeding(where lineIs, header http.Header) target {
	return target{base: "http://localhost:80", prefix: "/api", path: page, header: header, feed: &feed{file: "/tmp/lines", lines: 10, where: where}}
}

func TestALinesPlaceIsTheRequestsPart(t *testing.T) {
	for _, c := range []struct {
		t     target
		whole string
	}{
		{feeding(linePath, http.Header{"X-A": {"b"}}), "GET LINE HTTP/1.1\r\nHost: localhost:80\r\nX-A: b\r\n\r\n"},
		{feeding(lineBearer, nil), "GET /api/page HTTP/1.1\r\nHost: localhost:80\r\nAuthorization: Bearer LINE\r\n\r\n"},
		{feeding(lineCookie, nil), "GET /api/page HTTP/1.1\r\nHost: localhost:80\r\nCookie: LINE\r\n\r\n"},
	} {
		before, after, err := c.t.around()
		if err != nil || before+"LINE"+after != c.whole {
			t.Errorf("request = %q %v, want %q", before+"LINE"+after, err, c.whole)
		}
	}
}

func TestAFeedGoesOnWhereItWas(t *testing.T) {
	turning := feeding(lineBearer, nil)
	turning.feed.used(13)
	if text, err := turning.script(); err != nil || !strings.Contains(text, "for _ = 1, 3 do") {
		t.Errorf("script after 13 of 10 lines: %v\n%s", err, text)
	}
	once := feeding(lineBearer, nil)
	once.feed.once = true
	once.feed.used(9)
	if text, err := once.script(); err != nil || !strings.Contains(text, "for _ = 1, 9 do") {
		t.Errorf("script after 9 of 10 lines: %v\n%s", err, text)
	}
	once.feed.used(1)
	if _, err := once.script(); !errors.Is(err, errUsedUp) {
		t.Errorf("script after the last line: %v, want errUsedUp", err)
	}
}

func TestLinesMustBeDistinct(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lines")
	if err := writeLines(file, []string{"a", "b", "c"}); err != nil {
		t.Fatal(err)
	}
	if n, err := distinctLines(file); n != 3 || err != nil {
		t.Errorf("distinctLines = %d %v, want 3", n, err)
	}
	if err := writeLines(file, []string{"a", "b", "a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := distinctLines(file); err == nil {
		t.Error("two equal lines pass for distinct")
	}
}

func TestManyMakesEachOnceAndStopsAtTheFirstError(t *testing.T) {
	list, err := many(t.Context(), 100, 7, func(_ context.Context, k int) (int, error) { return k, nil })
	if err != nil || len(list) != 100 || !slices.IsSorted(list) || list[99] != 99 {
		t.Errorf("many = %v %v", list, err)
	}
	broken := errors.New("broken")
	if _, err := many(t.Context(), 100, 3, func(_ context.Context, k int) (int, error) {
		if k == 40 {
			return 0, broken
		}
		return k, nil
	}); !errors.Is(err, broken) {
		t.Errorf("many = %v, want broken", err)
	}
}

func TestLatenciesAreSummedUp(t *testing.T) {
	var took []time.Duration
	for n := range 100 {
		took = append(took, time.Duration(100-n)*time.Millisecond)
	}
	want := load{requests: 100, rate: 50, p50: 51 * time.Millisecond, p99: 100 * time.Millisecond}
	if got := summed(took, 2*time.Second); got != want {
		t.Errorf("summed = %+v, want %+v", got, want)
	}
}

func TestMemoryIsReadFromStatus(t *testing.T) {
	if mib, err := statusMiB("Name:\tbare\nVmHWM:\t   9000 kB\nVmRSS:\t    2048 kB\nThreads:\t3\n", "VmRSS:"); mib != 2 || err != nil {
		t.Errorf("statusMiB = %v %v, want 2", mib, err)
	}
	if _, err := statusMiB("Name:\tzombie\n", "VmRSS:"); err == nil {
		t.Error("a process without memory has some")
	}
}

func TestOtherPeoplesFoldersAreNotTrusted(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir, err := keptDir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := keptDir(); err == nil {
		t.Error("a folder that others may read is taken")
	}
}
