package login

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory[int](time.Hour)
	for i := range 3 * maxRemembered {
		key := fmt.Sprint(i)
		if i%2 == 0 {
			m.put(key, i)
		} else if _, added := m.add(key, i); !added {
			t.Fatalf("%s is known", key)
		}
		if n := m.len(); n > maxRemembered {
			t.Fatalf("%d of %d are kept, want %d at most", n, i+1, maxRemembered)
		}
	}
	// The oldest give way.
	for i := range 3 * maxRemembered {
		_, known := m.get(fmt.Sprint(i))
		if i < 2*maxRemembered && known || i >= 3*maxRemembered-maxRemembered/2 && !known {
			t.Fatalf("entry %d of %d: known %v", i, 3*maxRemembered, known)
		}
	}
	// Writing the same again is no reason to forget others.
	before := m.len()
	for range maxRemembered {
		m.put("same", 1)
	}
	if n := m.len(); n > before+1 {
		t.Errorf("one entry made %d of %d", n, before)
	}
	if _, known := m.get(fmt.Sprint(3*maxRemembered - 1)); !known {
		t.Error("one entry pushed another out")
	}
}

func TestMemoryForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory[string](time.Minute)
		m.put("a", "1")
		time.Sleep(59 * time.Second)
		if v, known := m.get("a"); !known || v != "1" {
			t.Errorf("get(a) = %q, %v, want 1", v, known)
		}
		if v, added := m.add("a", "2"); added || v != "1" {
			t.Errorf("add(a) = %q, %v, want 1", v, added)
		}
		time.Sleep(time.Second)
		if _, known := m.get("a"); known {
			t.Error("a is known after a minute")
		}
		if v, added := m.add("a", "2"); !added || v != "2" {
			t.Errorf("add(a) = %q, %v, want 2", v, added)
		}
		m.remove("a")
		if _, known := m.get("a"); known {
			t.Error("a is known although removed")
		}
		// What is past does not stay for long while others come.
		for i := range 200 {
			m.put(fmt.Sprint(i), "x")
			time.Sleep(time.Second)
		}
		if n := m.len(); n > 121 {
			t.Errorf("%d entries where 60 are alive", n)
		}
		// A newer value counts wherever the older one stands, and lasts as long
		// as any.
		m.put("b", "old")
		for i := range 60 {
			m.put(fmt.Sprint("c", i), "x")
			time.Sleep(time.Second)
			if i == 30 {
				m.put("b", "new")
			}
		}
		if v, _ := m.get("b"); v != "new" {
			t.Errorf("get(b) = %q, want new", v)
		}
		m.remove("b")
		if v, known := m.get("b"); known {
			t.Errorf("get(b) = %q although removed", v)
		}
	})
}
