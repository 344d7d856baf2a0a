package accesslog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// place is where lines go in a test. It hangs while held is locked.
type place struct {
	held sync.Mutex

	mu    sync.Mutex
	text  bytes.Buffer
	calls int
	err   error
	room  int // bytes that err leaves room for
}

func (p *place) Write(text []byte) (int, error) {
	p.held.Lock()
	defer p.held.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.err == nil {
		return p.text.Write(text)
	}
	n := min(p.room, len(text))
	p.room -= n
	p.text.Write(text[:n])
	return n, p.err
}

func (p *place) fails(err error, room int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err, p.room = err, room
}

func (p *place) read() (text string, calls int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String(), p.calls
}

// started runs a log until the end of the test, or until the function that comes
// back is called.
func started(t *testing.T, out io.Writer, log *slog.Logger) (*Log, func()) {
	t.Helper()
	l := New(out, log)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })
	end := func() { cancel(); wg.Wait() }
	t.Cleanup(end)
	return l, end
}

func (l *Log) counts(t *testing.T, when string, want Stats) {
	t.Helper()
	if got := l.Stats(); got != want {
		t.Errorf("%s the counts are %+v, want %+v", when, got, want)
	}
}

func TestLinesWaitForOthersButNotLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{}
		l, end := started(t, p, nil)
		defer end()
		for range 3 {
			l.Write(whole())
			time.Sleep(50 * time.Millisecond)
		}
		if text, _ := p.read(); text != "" {
			t.Errorf("it was written at once: %s", text)
		}
		time.Sleep(patience)
		synctest.Wait()
		if text, calls := p.read(); strings.Count(text, "\n") != 3 || calls != 1 {
			t.Errorf("after %v there are %d calls with\n%s\nwant one with 3 lines", patience, calls, text)
		}
		l.counts(t, "then", Stats{Written: 3})
	})
}

func TestAFullBatchIsWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{}
		l, end := started(t, p, nil)
		defer end()
		for size := 0; size <= batchSize; size += len(whole().Append(nil)) {
			l.Write(whole())
		}
		synctest.Wait() // no time passes
		if text, _ := p.read(); len(text) < batchSize/2 {
			t.Errorf("%d bytes were written of a full batch", len(text))
		}
	})
}

func TestNothingIsLostAmongMany(t *testing.T) {
	p := &place{}
	l, end := started(t, p, nil)
	const writers, each = 8, 500
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				l.Write(whole())
			}
		})
	}
	wg.Wait()
	end()
	l.Write(whole()) // a request that ended while draining
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	st := l.Stats()
	if st.Written+st.Dropped != writers*each+1 || st.Failed != 0 || st.Written == 0 {
		t.Errorf("%d records are counted as %+v", writers*each+1, st)
	}
	text, _ := p.read()
	var lines, told uint64
	for line := range strings.Lines(text) {
		var v struct {
			Msg     string
			Dropped uint64
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if told += v.Dropped; v.Msg == "request" {
			lines++
		}
	}
	if lines != st.Written || told != st.Dropped {
		t.Errorf("%d lines were written, %d told to be missing, counted %+v", lines, told, st)
	}
}

func TestASinkThatHangsHoldsUpNobody(t *testing.T) {
	p := &place{}
	l, end := started(t, p, nil)
	p.held.Lock()
	size := len(whole().Append(nil))
	const twice = 2 * maxBatches * batchSize
	for n := 0; n < twice; n += size {
		l.Write(whole()) // would wait here for ever
	}
	st := l.Stats()
	if st.Dropped == 0 || st.Written != 0 {
		t.Errorf("with a hanging sink the counts are %+v", st)
	}
	p.held.Unlock()
	end()
	text, _ := p.read()
	if len(text) > maxBatches*batchSize+1000 {
		t.Errorf("%d bytes had waited, more than the bound", len(text))
	}
	if want := `"dropped":`; strings.Count(text, want) == 0 || l.told != l.Stats().Dropped {
		t.Errorf("%d of %d missing records were told", l.told, l.Stats().Dropped)
	}
	if l.made > keptBatches {
		t.Errorf("%d batches are kept after a burst, want at most %d", l.made, keptBatches)
	}
}

func TestTheEndDoesNotWaitForASinkThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pr, pw := io.Pipe()
		var said bytes.Buffer
		l, end := started(t, pw, slog.New(slog.NewTextHandler(&said, nil)))
		l.Write(whole())
		begin := time.Now()
		end()
		if d := time.Since(begin); d != flushTime || !strings.Contains(said.String(), "hangs") {
			t.Errorf("Run returned after %v, want %v, and said %q", d, flushTime, said.String())
		}
		if err := l.Close(); !errors.Is(err, errHangs) {
			t.Errorf("Close() = %v, want %v", err, errHangs)
		}
		pr.Close()
		synctest.Wait()
	})
}

func TestErrorsOfTheSinkAreCountedAndToldOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, said := &place{}, &place{}
		l, end := started(t, p, slog.New(slog.NewTextHandler(said, nil)))
		defer end()
		write := func() {
			l.Write(whole())
			time.Sleep(time.Second)
		}
		p.fails(syscall.ENOSPC, 10)
		for range 90 {
			write()
		}
		l.counts(t, "on a full disk", Stats{Failed: 90})
		if text, _ := said.read(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "no space left") {
			t.Errorf("in 90 s it said\n%s\nwant two lines", text)
		}
		p.fails(nil, 0)
		write()
		l.counts(t, "when there is room again", Stats{Written: 1, Failed: 90})
		text, _ := p.read()
		lines := strings.Split(text, "\n")
		if len(lines) != 4 || len(lines[0]) != 10 || !strings.Contains(lines[1], `"msg":"request"`) || !strings.HasSuffix(lines[2], `"dropped":90}`) {
			t.Errorf("the file has\n%s\nwant half a line, a record, and how many are missing", text)
		}
	})
}

func TestCloseWritesWhatWaits(t *testing.T) {
	p := &place{}
	l := New(p, nil)
	l.Write(whole())
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	l.Write(whole())
	if text, _ := p.read(); strings.Count(text, "\n") != 1 {
		t.Errorf("after Close there is\n%s\nwant one line", text)
	}
	l.counts(t, "after Close", Stats{Written: 1, Dropped: 1})
}

// discard counts and forgets.
type discard struct{}

func (discard) Write(text []byte) (int, error) { return len(text), nil }

func TestWritingAllocatesNothing(t *testing.T) {
	l, end := started(t, discard{}, nil)
	defer end()
	r := whole()
	for range 1000 {
		l.Write(r)
	}
	// A collection in the middle may empty the pool of buffers.
	if n := testing.AllocsPerRun(1000, func() { l.Write(r) }); n >= 1 {
		t.Errorf("Write() allocates %v times", n)
	}
}

func BenchmarkWrite(b *testing.B) {
	l := New(discard{}, nil)
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })
	b.Cleanup(func() { cancel(); wg.Wait() })
	b.Run("one", func(b *testing.B) {
		r := whole()
		b.ReportAllocs()
		for b.Loop() {
			l.Write(r)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			r := whole()
			for pb.Next() {
				l.Write(r)
			}
		})
	})
}
