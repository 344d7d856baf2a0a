package accesslog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// batchSize is how many bytes are written at once.
	batchSize = 32 << 10
	// maxBatches bounds what waits and what is being written: 1 MiB.
	maxBatches = 32
	// keptBatches is how many stay allocated, 192 KiB: one that is filled, one
	// that is written, and some for a burst.
	keptBatches = 6
	// patience is how long the first line of a batch waits for others.
	patience = 200 * time.Millisecond
	// flushTime is how long the end waits for a sink.
	flushTime = 5 * time.Second
	// quiet is how long nothing is said about a sink after an error of it.
	quiet = time.Minute
	// usualLine is room for the line of nearly every request.
	usualLine = 1 << 10
	// largestKept is the longest buffer for one line that is used again.
	largestKept = 8 << 10
)

// errHangs says that a sink did not take what was left within flushTime.
var errHangs = errors.New("access log: the sink hangs and is left behind")

// Log takes records from many goroutines and writes them from one.
type Log struct {
	out io.Writer
	log *slog.Logger

	buffers sync.Pool     // of *buffer
	began   chan struct{} // the first record of a batch is there
	full    chan struct{} // a batch is full
	pen     chan struct{} // holds a value while somebody writes to out

	mu      sync.Mutex
	closed  bool
	filling *batch   // nil while nothing waits
	waiting []*batch // full ones, oldest first
	free    []*batch
	made    int // batches there are, in use or free

	written, dropped, failed atomic.Uint64

	// Held with the pen.
	told     uint64 // records that out was told are missing
	torn     bool   // what was written last does not end a line
	reported time.Time
	note     []byte
}

// buffer is room for the line of one record.
type buffer struct{ text []byte }

// batch is some lines, to be written at once.
type batch struct {
	text    []byte
	records uint64
}

// Stats counts what became of the records since New.
type Stats struct {
	// Written reached the sink. Dropped found 1 MiB waiting, or came after Close.
	// Failed were refused by the sink.
	Written, Dropped, Failed uint64
}

// New returns a log that writes to out: each call of out.Write gets whole lines,
// from one goroutine at a time. It starts nothing: records wait for Run. out stays
// the caller's to close, after Close. Errors of out go to log, at most one a
// minute; nil means nobody.
func New(out io.Writer, log *slog.Logger) *Log {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Log{
		out: out, log: log,
		buffers: sync.Pool{New: func() any { return &buffer{make([]byte, 0, usualLine)} }},
		began:   make(chan struct{}, 1), full: make(chan struct{}, 1), pen: make(chan struct{}, 1),
	}
}

// Write takes a record. It never waits for the sink, and allocates nothing but a
// batch where requests come faster than they are written. r is the caller's again
// when it returns.
func (l *Log) Write(r *Record) {
	b := l.buffers.Get().(*buffer)
	b.text = r.Append(b.text[:0])
	l.add(b.text)
	if cap(b.text) <= largestKept {
		l.buffers.Put(b)
	}
}

// add copies a line to the batch that is being filled.
func (l *Log) add(text []byte) {
	l.mu.Lock()
	first := l.filling == nil && len(l.waiting) == 0
	filled := false
	if b := l.filling; b != nil && len(b.text)+len(text) > batchSize {
		l.waiting, l.filling, filled = append(l.waiting, b), nil, true
	}
	if l.filling == nil {
		l.filling = l.empty()
	}
	taken := l.filling != nil
	if taken {
		l.filling.text = append(l.filling.text, text...)
		l.filling.records++
	}
	l.mu.Unlock()
	switch {
	case !taken:
		l.dropped.Add(1)
	case first:
		signal(l.began)
	}
	if filled {
		signal(l.full)
	}
}

// empty returns a batch to fill, nil when there are enough. mu is held.
func (l *Log) empty() *batch {
	if n := len(l.free); n > 0 && !l.closed {
		b := l.free[n-1]
		l.free = l.free[:n-1]
		return b
	}
	if l.closed || l.made == maxBatches {
		return nil
	}
	l.made++
	return &batch{text: make([]byte, 0, batchSize)}
}

// release takes back a batch that was written.
func (l *Log) release(b *batch) {
	b.text, b.records = b.text[:0], 0
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.free) < keptBatches && cap(b.text) <= batchSize {
		l.free = append(l.free, b)
		return
	}
	l.made--
}

// take returns all that waits, oldest first.
func (l *Log) take() []*batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.waiting
	l.waiting = nil
	if l.filling != nil {
		all = append(all, l.filling)
		l.filling = nil
	}
	return all
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is known already
	}
}

// Run writes until ctx ends, and then what waits still, for up to five seconds.
// It is called once. Records that come afterwards wait for Close.
func (l *Log) Run(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.write(ctx.Done())
	}()
	<-ctx.Done()
	if err := within(flushTime, ended); err != nil {
		l.log.Error("access log is not written to its end", "error", err)
	}
}

// Close writes what waits still, for up to five seconds; an error tells that the
// sink did not take it in time. Records that come afterwards are dropped. It is
// called after Run, where that was called, has returned.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.flush()
	}()
	return within(flushTime, ended)
}

// within waits for the end of something that writes: a write to a disk or a pipe
// cannot be called off.
func within(d time.Duration, ended <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return errHangs
	}
}

// write writes batches until done.
func (l *Log) write(done <-chan struct{}) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case <-l.began:
		case <-done:
			l.flush()
			return
		}
		timer.Reset(patience)
		select {
		case <-l.full:
		case <-timer.C:
		case <-done:
		}
		l.flush()
	}
}

// flush writes all that waits now. What comes meanwhile makes the next batch, so
// that a busy log is not written line by line.
func (l *Log) flush() {
	l.pen <- struct{}{}
	defer func() { <-l.pen }()
	var err error
	for _, b := range l.take() {
		var n int
		n, err = l.put(b.text)
		good := uint64(bytes.Count(b.text[:n], []byte{'\n'}))
		l.written.Add(good)
		l.failed.Add(b.records - good)
		l.release(b)
		l.report(err)
	}
	if err == nil {
		l.tellMissing()
	}
}

// tellMissing writes how many records were lost since that was last told.
func (l *Log) tellMissing() {
	missing := l.dropped.Load() + l.failed.Load() - l.told
	if missing == 0 {
		return
	}
	l.note = appendDropped(l.note[:0], time.Now(), missing)
	n, err := l.put(l.note)
	if n == len(l.note) {
		l.told += missing
	}
	l.report(err)
}

// put writes lines and returns how many bytes of them were taken.
func (l *Log) put(text []byte) (int, error) {
	if l.torn {
		// Half a line stays alone: what follows must be readable.
		if _, err := l.out.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		l.torn = false
	}
	n, err := l.out.Write(text)
	n = min(max(n, 0), len(text))
	if n < len(text) && err == nil {
		err = io.ErrShortWrite
	}
	l.torn = n > 0 && text[n-1] != '\n'
	return n, err
}

// report tells of an error, unless one was told within the last minute.
func (l *Log) report(err error) {
	if err == nil || !l.reported.IsZero() && time.Since(l.reported) < quiet {
		return
	}
	l.reported = time.Now()
	l.log.Error("access log has an error", "error", fmt.Errorf("write access log: %w", err), "failed", l.failed.Load())
}

// Stats counts what became of the records. It is safe for concurrent use.
func (l *Log) Stats() Stats {
	return Stats{l.written.Load(), l.dropped.Load(), l.failed.Load()}
}
