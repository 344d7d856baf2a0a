package heap

import (
	"io/fs"
	"log/slog"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	// most is the percentage of a small heap: a gateway lives in some ten MiB, and
	// would collect at every ten MiB more. At 400 it would use half as much of the
	// processor for that again, which is next to nothing by then, and half as much
	// memory more under load.
	most = 200
	// least is that of a large one: the default of Go.
	least = 100
	// growth is how much may be added to a heap of up to this size between two
	// collections; a larger one may double.
	growth = 128 << 20
	// share is how many percent of the limit of a control group the collector
	// keeps below: the rest is for what it does not count.
	share = 90
)

// Percent returns the percentage for a heap with so many live bytes: 200 up to
// 64 MiB, then as much as 128 MiB is of it, and 100 from 128 MiB on.
func Percent(live uint64) int {
	return int(min(most, max(least, growth*100/max(live, 1))))
}

// Tuning are the settings that Tune made. It is safe for concurrent use.
type Tuning struct {
	percent atomic.Int64
	limit   int64
	stopped atomic.Bool
}

// Tune sets the percentage of the garbage collector and its memory limit, 90 % of
// that of the control group, each unless the environment has the variable GOGC or
// GOMEMLIMIT. root is the root of the file system, lookup is os.LookupEnv. The
// percentage then follows the live heap, after each collection, until Stop.
func Tune(root fs.FS, lookup func(string) (string, bool)) *Tuning {
	t := &Tuning{limit: debug.SetMemoryLimit(-1)}
	if _, set := lookup("GOMEMLIMIT"); !set {
		if limit := Limit(root); limit != None {
			t.limit = limit / 100 * share
			debug.SetMemoryLimit(t.limit)
		}
	}
	if _, set := lookup("GOGC"); set {
		t.percent.Store(int64(percentNow()))
		return t
	}
	t.follow()
	t.arm()
	return t
}

// Stop leaves the settings as they are.
func (t *Tuning) Stop() { t.stopped.Store(true) }

// Attrs are gc_percent and memory_limit, in bytes, for a log; -1 is none.
func (t *Tuning) Attrs() []any {
	limit := t.limit
	if limit == None {
		limit = -1
	}
	return []any{slog.Int64("gc_percent", t.percent.Load()), slog.Int64("memory_limit", limit)}
}

// mark dies at the next collection. It holds a pointer, so that it shares no
// block with other small things, which would keep it alive.
type mark struct{ *Tuning }

// arm has the settings looked at after the next collection. A timer would look
// too late: with a heap that has grown, the next collection is far.
func (t *Tuning) arm() {
	runtime.SetFinalizer(&mark{t}, func(m *mark) {
		if !m.stopped.Load() {
			m.follow()
			m.arm()
		}
	})
}

// follow sets the percentage for the heap of now. Setting it stops the world for
// a moment, so small differences are left.
func (t *Tuning) follow() {
	want, have := int64(Percent(sample("/gc/heap/live:bytes"))), t.percent.Load()
	if have == 0 || want*10 < have*9 || want*10 > have*11 {
		debug.SetGCPercent(int(want))
		t.percent.Store(want)
	}
}

// percentNow returns the percentage that is set, -1 for off.
func percentNow() int {
	percent := sample("/gc/gogc:percent")
	if percent > 1<<31 {
		return -1
	}
	return int(percent)
}

func sample(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}

// Trim collects what is garbage, gives free memory back to the system, and lets go
// of the pages of the program: for times when much was done that is not done again
// soon. It takes as long as a collection, and others go on meanwhile.
func Trim() {
	debug.FreeOSMemory()
	letGo()
}
