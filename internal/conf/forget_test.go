package conf_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"gatehouse/internal/conf"
)

// item is a struct with a default, a list and a map.
type item struct {
	Pos  conf.Pos          `yaml:"-"`
	Name string            `yaml:"name"`
	Idle int               `yaml:"idle"`
	List []string          `yaml:"list"`
	Map  map[string]string `yaml:"map"`
}

func (i *item) Defaults() { i.Idle = 7 }

func (i *item) Check(r *conf.Report) {
	if i.Name == "odd" {
		r.Warnf(&i.Name, "odd name")
		r.Warnf(&i.Idle, "and no idle")
	}
}

type items struct {
	Items []*item `yaml:"items"`
}

func itemsText(n int) []byte {
	var b strings.Builder
	b.WriteString("items:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - { name: i%d, list: [a, b, c], map: { x: y, z: w } }\n", i)
	}
	return []byte(b.String())
}

func TestForgetKeepsWhatWasFound(t *testing.T) {
	var into items
	f, err := conf.Parse("a.yaml", []byte("items:\n  - { name: even, list: [a] }\n  - { name: odd }\n"), &into)
	if err != nil {
		t.Fatal(err)
	}
	digest, told := f.Digest(), f.Problems().Error()
	if want := "a.yaml:3:13: odd name"; !strings.Contains(told, want) || !strings.Contains(told, "a.yaml:3:5: and no idle") || !strings.Contains(told, "^^^") {
		t.Fatalf("before: %s\nwant %q with an excerpt", told, want)
	}
	f.Forget()
	if f.Digest() != digest {
		t.Error("Forget changed the digest")
	}
	if got := f.Problems().Error(); got != told {
		t.Errorf("after Forget:\n%s\nwant\n%s", got, told)
	}
	if f.Has(&into.Items[0].Name) {
		t.Error("Has after Forget = true, want false: the index is gone")
	}
	f.Report().Errorf(into.Items[1].Pos, "too late")
	if got := f.Problems().Error(); !strings.Contains(got, "a.yaml:3:5: too late") {
		t.Errorf("a report after Forget: %s", got)
	}
}

func TestPositionsAreFoundWhileDecodingGoesOn(t *testing.T) {
	var into items
	f, err := conf.Parse("a.yaml", itemsText(100), &into)
	if err != nil {
		t.Fatal(err)
	}
	for i, it := range into.Items {
		if got := f.Pos(&it.Name); got.Line != i+2 || got.Column != 13 || it.Pos.Line != i+2 || it.Idle != 7 {
			t.Fatalf("item %d: Pos = %v, its own %v, idle %d", i, got, it.Pos, it.Idle)
		}
		if f.Has(&it.Idle) {
			t.Fatalf("item %d: Has(idle) = true, and the file has none", i)
		}
	}
}

func TestLargeMapsKnowTheirKeys(t *testing.T) {
	var b strings.Builder
	b.WriteString("items:\n  - name: x\n    map:\n")
	for i := range 100 {
		fmt.Fprintf(&b, "      k%d: v\n", i)
	}
	var into items
	if _, err := conf.Parse("a.yaml", []byte(b.String()), &into); err != nil || len(into.Items[0].Map) != 100 {
		t.Fatalf("Parse = %v, %d keys", err, len(into.Items[0].Map))
	}
	for _, again := range []int{0, 15, 16, 17, 99} {
		_, err := conf.Parse("a.yaml", fmt.Appendf(nil, "%s      k%d: w\n", b.String(), again), &items{})
		if want := fmt.Sprintf(`key "k%d" is written twice; the first stands in line %d`, again, again+4); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("k%d again: %v, want %q", again, err, want)
		}
	}
}

func TestDecodingGrowsLinearly(t *testing.T) {
	spent := func(n int) uint64 {
		text := itemsText(n)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := conf.Parse("a.yaml", text, &items{}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	spent(1) // what is made once
	small, large := spent(2_000), spent(8_000)
	if large > 5*small {
		t.Errorf("four times the items take %d bytes, %.1f times those of a quarter; want at most five times", large, float64(large)/float64(small))
	}
	if each := large / 8_000; each > 8<<10 {
		t.Errorf("an item takes %d bytes to decode, want at most 8 KiB", each)
	}
}
