package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"
)

const (
	barEvery = 200 * time.Millisecond
	barWidth = 24
)

// bar shows how far a command has come, on one line that it writes again and
// again.
type bar struct {
	out   io.Writer // nil: nobody looks
	color bool
	noun  string // what is counted: events
	size  int64  // bytes (or whatever else) to read, 0 if unknown
	begin time.Time

	read, events atomic.Int64
	stop         chan struct{}
	wg           sync.WaitGroup
}

// checkProgress checks the flag --progress.
func checkProgress(when string) error {
	switch when {
	case "auto", "always", "never":
		return nil
	}
	return usage("--progress is %q, want auto, always or never", when)
}

// newBar starts a bar on out that counts nouns, for size bytes of input or, with
// 0, an unknown number. when is auto (only on a terminal), always or never. It has color on a
// terminal, unless NO_COLOR is set (https://no-color.org).
func newBar(out io.Writer, when, noun string, size int64) *bar {
	file, ok := out.(*os.File)
	terminal := ok && term.IsTerminal(int(file.Fd()))
	b := &bar{noun: noun, size: size, begin: time.Now(), stop: make(chan struct{})}
	if when == "never" || when == "auto" && !terminal {
		return b
	}
	b.out, b.color = out, terminal && os.Getenv("NO_COLOR") == ""
	b.wg.Go(func() {
		ticker := time.NewTicker(barEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				b.draw("\r")
			case <-b.stop:
				return
			}
		}
	})
	return b
}

// judged is told how many of what it counts are done.
func (b *bar) judged(n int64) {
	for have := b.events.Load(); n > have && !b.events.CompareAndSwap(have, n); have = b.events.Load() {
	}
}

// end draws the bar a last time.
func (b *bar) end() {
	if b.out == nil {
		return
	}
	close(b.stop)
	b.wg.Wait()
	b.draw("\n")
}

func (b *bar) draw(end string) { fmt.Fprint(b.out, b.line(time.Since(b.begin))+end) }

// line is "[####----] 50%  1200 events  600/s  ETA 2s"; without a size it has
// neither bar nor end.
func (b *bar) line(took time.Duration) string {
	events := b.events.Load()
	text := fmt.Sprintf("%d %s  %.0f/s", events, b.noun, float64(events)/max(took.Seconds(), 0.001))
	if b.size > 0 {
		share := min(float64(b.read.Load())/float64(b.size), 1)
		full := int(share * barWidth)
		done := strings.Repeat("#", full)
		if b.color {
			done = "\x1b[32m" + done + "\x1b[0m"
		}
		text = fmt.Sprintf("[%s%s] %3.0f%%  %s", done, strings.Repeat("-", barWidth-full), 100*share, text)
		if share > 0 {
			left := time.Duration(float64(took) * (1/share - 1)).Round(time.Second)
			text += fmt.Sprintf("  ETA %v", left)
		}
	}
	return text + "   " // over what a longer line left there
}

// reader counts what is read of r.
func (b *bar) reader(r io.Reader) io.Reader { return &countingReader{r, b} }

type countingReader struct {
	io.Reader
	b *bar
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.b.read.Add(int64(n))
	return n, err
}
