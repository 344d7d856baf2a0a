package declog

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	// firstRetry and lastRetry bound the pause before a batch is tried again; it
	// doubles each time.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
	// giveUp is how long a batch is tried: one that a service cannot take must
	// not hold up the others for ever.
	giveUp = 5 * time.Minute
	// warnEvery is how often one sink complains at most.
	warnEvery = time.Minute
)

// errRefused is wrapped by errors that trying again does not mend.
var errRefused = errors.New("refused")

// sink is a place that decisions are written to. Its methods are called by one
// goroutine.
type sink interface {
	// write writes the first n of batch, all of it when err is nil. It returns
	// when ctx ends.
	write(ctx context.Context, batch []*item) (n int, err error)
	// batch is how much it takes at once.
	batch() batch
	// close ends it.
	close()
}

// batch bounds what is written at once: so many decisions, and no further one
// once their lines reach so many bytes or the first has waited so long.
type batch struct {
	count, bytes int
	wait         time.Duration
}

// outlet is a sink behind its queue.
type outlet struct {
	name  string
	sink  sink
	queue chan *item
	log   *slog.Logger
	retry time.Duration // the first pause

	// stuck is true when the queue was full for as long as a refusal waits, and
	// has taken nothing since.
	stuck                    atomic.Bool
	written, dropped, failed atomic.Uint64
	warned                   atomic.Int64 // Unix nanoseconds
}

func newOutlet(name string, s sink, size int, log *slog.Logger) *outlet {
	return &outlet{name: name, sink: s, queue: make(chan *item, size), log: log, retry: firstRetry}
}

// offer puts it into the queue if there is room.
func (o *outlet) offer(it *item) bool {
	select {
	case o.queue <- it:
		// Read first: a write would make every request fight for the line.
		if o.stuck.Load() {
			o.stuck.Store(false)
		}
		return true
	default:
		return false
	}
}

func (o *outlet) drop(it *item) {
	it.done()
	o.dropped.Add(1)
	o.warn("decision log: the queue is full, decisions are not recorded", nil)
}

// run writes until open ends and the queue is empty. Writing ends with writing.
func (o *outlet) run(open, writing context.Context) {
	defer o.sink.close()
	for {
		batch := o.gather(open)
		if len(batch) == 0 {
			return
		}
		o.write(writing, batch)
	}
}

// gather takes the next batch from the queue. It is empty only when open has
// ended and the queue is empty.
func (o *outlet) gather(open context.Context) []*item {
	limits := o.sink.batch()
	first := o.take(open, nil)
	if first == nil {
		return nil
	}
	_, line := first.encoded()
	batch, size := []*item{first}, len(line)
	late := time.NewTimer(limits.wait)
	defer late.Stop()
	for len(batch) < limits.count && size < limits.bytes {
		it := o.take(open, late.C)
		if it == nil {
			break
		}
		_, line := it.encoded()
		batch, size = append(batch, it), size+len(line)
	}
	return batch
}

// take returns the next decision. It waits until open ends or late comes; nil
// is no such wait. It returns nil if there is none.
func (o *outlet) take(open context.Context, late <-chan time.Time) *item {
	select {
	case it := <-o.queue:
		return it
	default:
	}
	select {
	case it := <-o.queue:
		return it
	case <-late:
		return nil
	case <-open.Done():
	}
	// Nobody adds to the queue once open has ended.
	select {
	case it := <-o.queue:
		return it
	default:
		return nil
	}
}

// write writes batch, again and again where that may help, and counts.
func (o *outlet) write(ctx context.Context, batch []*item) {
	defer func() {
		for _, it := range batch {
			it.done()
		}
	}()
	begin, pause, rest := time.Now(), o.retry, batch
	for {
		n, err := o.sink.write(ctx, rest)
		o.written.Add(uint64(n))
		if rest = rest[n:]; len(rest) == 0 {
			return
		}
		o.warn("decision log: decisions cannot be written", err)
		if errors.Is(err, errRefused) || time.Since(begin) > giveUp || !sleep(ctx, pause) {
			o.failed.Add(uint64(len(rest)))
			return
		}
		pause = min(2*pause, lastRetry)
	}
}

// sleep waits for d, or up to half of it less, so that gateways do not come all
// at once. It reports false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d - rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// warn complains, but not more often than once in warnEvery.
func (o *outlet) warn(text string, err error) {
	now, last := time.Now().UnixNano(), o.warned.Load()
	if last != 0 && now-last < int64(warnEvery) || !o.warned.CompareAndSwap(last, now) {
		return
	}
	a := []any{
		slog.String("gatehouse.sink", o.name), slog.Uint64("gatehouse.dropped", o.dropped.Load()),
		slog.Uint64("gatehouse.failed", o.failed.Load()),
	}
	if err != nil {
		a = append(a, slog.String("error", plain(err).Error()))
	}
	o.log.Warn(text, a...)
}

// plain is err without the URL that net/http puts before it: its query may be a
// secret.
func plain(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
