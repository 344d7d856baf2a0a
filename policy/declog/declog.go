package declog

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/policy"
)

const (
	// patience is how long a refusal waits for room in a queue.
	patience = 100 * time.Millisecond
	// flushTime is how long Run goes on writing once its context has ended.
	flushTime = 5 * time.Second
	// lastGrace is how long Run then waits for a sink that does not end.
	lastGrace = time.Second
	// maxBodies bounds the request bodies that wait to be written, in bytes of
	// their strings; a further one is left out of its record.
	maxBodies = 32 << 20
)

// Options are what New needs besides the configuration.
type Options struct {
	// Labels stand in each event: id, version, app. Nobody may change them.
	Labels map[string]string
	// Log is told when decisions are lost; nil means nobody.
	Log *slog.Logger
	// Stdout is where the file "-" goes; nil means os.Stdout.
	Stdout io.Writer
}

// Log records decisions. It is safe for concurrent use.
type Log struct {
	labels  map[string]string
	mask    mask
	allows  float64
	noBody  bool // the mask erases bodies, so none needs to wait
	outlets []*outlet
	flush   time.Duration
	log     *slog.Logger

	mu     sync.RWMutex // held for writing to close the queues
	closed bool

	recorded, sampledOut atomic.Uint64
	bodies               atomic.Int64 // bytes of bodies that wait
}

// Stats counts what became of the decisions since New.
type Stats struct {
	// Recorded were taken, SampledOut were allowed and not of the share.
	Recorded, SampledOut uint64
	// Sinks are in the order file, http, otlp; only those configured.
	Sinks []SinkStats
}

// SinkStats counts what became of the recorded decisions at one sink.
type SinkStats struct {
	// Name is file, http or otlp.
	Name string
	// Written reached the sink. Dropped found no room in the queue. Failed were
	// refused by the sink, or could not be written in time.
	Written, Dropped, Failed uint64
}

// New opens the places of cfg, which has passed its own checks. It starts
// nothing: decisions wait for Run.
func New(cfg policy.LogConfig, o Options) (*Log, error) {
	m, err := newMask(cfg.Mask)
	if err != nil {
		return nil, fmt.Errorf("open decision log: %w", err)
	}
	l := &Log{labels: o.Labels, mask: m, allows: cfg.Allows, flush: flushTime}
	l.noBody = l.mask.covers("request", "body")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	l.log = o.Log
	add := func(name string, s sink, err error) error {
		if err != nil {
			return fmt.Errorf("open decision log: %w", err)
		}
		l.outlets = append(l.outlets, newOutlet(name, s, cfg.Queue, o.Log))
		return nil
	}
	var errs []error
	if cfg.File != "" {
		s, err := newFileSink(cfg.File, o.Stdout)
		errs = append(errs, add("file", s, err))
	}
	if cfg.URL != nil {
		errs = append(errs, add("http", newHTTPSink(cfg.URL, cfg.Token.Reveal()), nil))
	}
	if cfg.OTLP != nil {
		s, err := newOTLPSink(cfg.OTLP, o.Labels)
		errs = append(errs, add("otlp", s, err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, nil
}

// Record takes one decision. It returns at once, or, for a refusal or a step-up
// that finds a queue full, within 100 ms. What e holds must not change any more.
func (l *Log) Record(e Entry) {
	allowed := e.Decision.Outcome == policy.OutcomeAllow
	if allowed && l.allows <= 0 {
		l.sampledOut.Add(1)
		return
	}
	if e.ID == "" {
		e.ID = newUUID()
	}
	if allowed && !sampled(e.ID, l.allows) {
		l.sampledOut.Add(1)
		return
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	l.recorded.Add(1)
	it := l.item(e)
	if l.closed {
		for _, o := range l.outlets {
			o.drop(it)
		}
		return
	}
	var full []*outlet
	for _, o := range l.outlets {
		if !o.offer(it) {
			full = append(full, o)
		}
	}
	switch {
	case len(full) == 0:
	case allowed:
		for _, o := range full {
			o.drop(it)
		}
	default:
		insist(full, it)
	}
}

// insist waits for room in each of the queues, for patience in all.
func insist(full []*outlet, it *item) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	late := false
	for _, o := range full {
		if !late && !o.stuck.Load() {
			select {
			case o.queue <- it:
				continue
			case <-timer.C:
				late = true
				o.stuck.Store(true)
			}
		}
		if !o.offer(it) {
			o.drop(it)
		}
	}
}

// sampled tells whether a decision is of the share that is recorded. It depends
// on nothing but its id.
func sampled(id string, share float64) bool {
	if share >= 1 {
		return true
	}
	h := fnv.New64a()
	h.Write([]byte(id))
	// The low bits of FNV are mixed best; 53 of them are a float64.
	return float64(h.Sum64()&(1<<53-1)) < share*math.Exp2(53)
}

// item makes what the queues hold. A body that would be masked, or for which
// there is no room, does not wait.
func (l *Log) item(e Entry) *item {
	it := &item{entry: e, log: l}
	it.left.Store(int32(len(l.outlets)))
	if e.Query.Body.State != policy.BodyParsed {
		return it
	}
	if l.noBody {
		it.entry.Query.Body.Value = nil
		return it
	}
	it.weight = sizeOf(e.Query.Body.Value)
	if l.bodies.Add(it.weight) > maxBodies {
		l.bodies.Add(-it.weight)
		it.weight, it.bodyless, it.entry.Query.Body.Value = 0, true, nil
	}
	return it
}

// Run writes until ctx ends, and then for up to five seconds what is still
// queued. It is called once. What is recorded afterwards is dropped.
func (l *Log) Run(ctx context.Context) {
	open, closeQueues := context.WithCancel(context.WithoutCancel(ctx))
	defer closeQueues()
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	for _, o := range l.outlets {
		wg.Go(func() { o.run(open, writing) })
	}
	<-ctx.Done()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	closeQueues()
	timer := time.AfterFunc(l.flush, stop)
	defer timer.Stop()
	ended := make(chan struct{})
	go func() {
		wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(l.flush + lastGrace):
		// A write to a disk or a pipe cannot be called off.
		l.log.Error("decision log: a sink hangs and is left behind")
	}
}

// Stats counts what became of the decisions.
func (l *Log) Stats() Stats {
	s := Stats{Recorded: l.recorded.Load(), SampledOut: l.sampledOut.Load()}
	for _, o := range l.outlets {
		s.Sinks = append(s.Sinks, SinkStats{o.name, o.written.Load(), o.dropped.Load(), o.failed.Load()})
	}
	return s
}
