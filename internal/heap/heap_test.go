package heap_test

import (
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/internal/heap"
)

// keep puts the settings of the process back.
func keep(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
}

func files(pairs ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fsys[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fsys
}

func env(set map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := set[name]
		return v, ok
	}
}

func TestLimitIsTheSmallestAround(t *testing.T) {
	const unlimited1 = "9223372036854771712\n"
	for _, tt := range []struct {
		name string
		root fstest.MapFS
		want int64
	}{
		{"no control groups", files(), heap.None},
		{"version 2, at the root of a container", files("proc/self/cgroup", "0::/\n", "sys/fs/cgroup/memory.max", "1000\n"), 1000},
		{"version 2, max is none", files("proc/self/cgroup", "0::/\n", "sys/fs/cgroup/memory.max", "max\n"), heap.None},
		{"version 2, nested: the lower one holds", files("proc/self/cgroup", "0::/a/b\n",
			"sys/fs/cgroup/a/memory.max", "500\n", "sys/fs/cgroup/a/b/memory.max", "700\n"), 500},
		{"version 2, nested: its own", files("proc/self/cgroup", "0::/a/b\n",
			"sys/fs/cgroup/a/memory.max", "max\n", "sys/fs/cgroup/a/b/memory.max", "700\n"), 700},
		{"version 2, the path of the host", files("proc/self/cgroup", "0::/kube/pod\n", "sys/fs/cgroup/memory.max", "300\n"), 300},
		{"version 2, outside of its namespace", files("proc/self/cgroup", "0::/../..\n", "sys/fs/cgroup/memory.max", "300\n"), 300},
		{"version 1", files("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/1\n",
			"sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "900\n", "sys/fs/cgroup/memory/memory.limit_in_bytes", unlimited1), 900},
		{"version 1, none", files("proc/self/cgroup", "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes", unlimited1), heap.None},
		{"version 1, beside other controllers", files("proc/self/cgroup", "4:hugetlb,memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes", "900\n"), 900},
		{"both: the lower one", files("proc/self/cgroup", "4:memory:/\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes", "900\n", "sys/fs/cgroup/memory.max", "800\n"), 800},
		{"what is no number", files("proc/self/cgroup", "nonsense\n0::/\n", "sys/fs/cgroup/memory.max", "-5\n"), heap.None},
	} {
		if got := heap.Limit(tt.root); got != tt.want {
			t.Errorf("%s: Limit = %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestGrowthIsBounded(t *testing.T) {
	const mib = 1 << 20
	for live, want := range map[uint64]int{0: 200, 8 * mib: 200, 64 * mib: 200, 96 * mib: 133, 128 * mib: 100, 4096 * mib: 100} {
		if got := heap.Percent(live); got != want {
			t.Errorf("Percent(%d MiB) = %d, want %d", live/mib, got, want)
		}
	}
	for live := uint64(mib); live < 1<<34; live += live / 3 {
		if added := live / 100 * uint64(heap.Percent(live)); added > max(live, 128*mib) {
			t.Errorf("a heap of %d bytes may grow by %d, want at most as much again, or 128 MiB", live, added)
		}
	}
}

func TestLimitOfTheGroupIsKept(t *testing.T) {
	keep(t)
	root := files("proc/self/cgroup", "0::/\n", "sys/fs/cgroup/memory.max", "1073741824\n")
	heap.Tune(root, env(nil)).Stop()
	if got, want := debug.SetMemoryLimit(-1), int64(966367620); got < want-100 || got > want+100 {
		t.Errorf("memory limit = %d, want 90 %% of 1 GiB", got)
	}
}

func TestEnvironmentStands(t *testing.T) {
	keep(t)
	debug.SetGCPercent(77)
	root := files("proc/self/cgroup", "0::/\n", "sys/fs/cgroup/memory.max", "1073741824\n")
	tuning := heap.Tune(root, env(map[string]string{"GOGC": "77", "GOMEMLIMIT": "off"}))
	defer tuning.Stop()
	if got := debug.SetGCPercent(77); got != 77 {
		t.Errorf("with GOGC set the percentage is %d, want 77", got)
	}
	if got := debug.SetMemoryLimit(-1); got != math.MaxInt64 {
		t.Errorf("with GOMEMLIMIT set the limit is %d, want none", got)
	}
	if got, want := fmt.Sprint(tuning.Attrs()...), fmt.Sprint(slog.Int("gc_percent", 77), slog.Int("memory_limit", -1)); got != want {
		t.Errorf("Attrs = %s, want %s", got, want)
	}
}

func TestPercentageFollowsTheHeap(t *testing.T) {
	keep(t)
	tuning := heap.Tune(files(), env(nil))
	defer tuning.Stop()
	until := func(want string, fine func(percent int) bool) {
		t.Helper()
		deadline := time.After(20 * time.Second)
		for {
			runtime.GC()
			now := tuning.Attrs()[0].(slog.Attr).Value.Int64()
			if fine(int(now)) {
				return
			}
			select {
			case <-deadline:
				t.Fatalf("the percentage is %d, want %s", now, want)
			default:
				runtime.Gosched()
			}
		}
	}
	until("200 for a small heap", func(p int) bool { return p == 200 })
	large := make([]byte, 256<<20)
	until("100 for a large heap", func(p int) bool { return p < 120 })
	runtime.KeepAlive(large)
	until("200 again", func(p int) bool { return p == 200 })
}
