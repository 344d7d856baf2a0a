package cli

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestBarTellsShareRateAndEnd(t *testing.T) {
	b := &bar{noun: "events", size: 1000}
	io.Copy(io.Discard, b.reader(strings.NewReader(strings.Repeat("x", 250))))
	b.judged(3000)
	b.judged(2000) // a slower worker tells later
	if got, want := b.line(2*time.Second), "[######------------------]  25%  3000 events  1500/s  ETA 6s   "; got != want {
		t.Errorf("the bar is %q, want %q", got, want)
	}
	b.color = true
	if got := b.line(2 * time.Second); !strings.Contains(got, "\x1b[32m######\x1b[0m---") {
		t.Errorf("the bar is %q, want color", got)
	}
	b.size = 0
	if got, want := b.line(2*time.Second), "3000 events  1500/s   "; got != want {
		t.Errorf("without a size the bar is %q, want %q", got, want)
	}
}

func TestBarIsForTerminalsUnlessAskedFor(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	t.Setenv("NO_COLOR", "")
	for _, c := range []struct {
		out          io.Writer
		when         string
		shown, color bool
	}{
		{&bytes.Buffer{}, "auto", false, false},
		{&bytes.Buffer{}, "always", true, false},
		{&bytes.Buffer{}, "never", false, false},
		{terminal, "auto", true, true},
		{terminal, "always", true, true},
		{terminal, "never", false, false},
	} {
		b := newBar(c.out, c.when, "events", 0)
		if b.end(); (b.out != nil) != c.shown || b.color != c.color {
			t.Errorf("%s on %T: shown %t, color %t; want %t, %t", c.when, c.out, b.out != nil, b.color, c.shown, c.color)
		}
	}
	t.Setenv("NO_COLOR", "1")
	b := newBar(terminal, "auto", "events", 0)
	if b.end(); b.color {
		t.Error("the bar has color although NO_COLOR is set")
	}
}
