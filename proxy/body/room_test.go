package body

import (
	"errors"
	"strings"
	"testing"
)

func TestOnePersonDoesNotTakeAllTheMemory(t *testing.T) {
	rd := New(Limits{Bytes: 1 << 20})
	read := func(who string, size int) (*Taken, error) {
		return rd.Read(post(`"`+strings.Repeat("x", size)+`"`, "application/json"), who, 1<<20, nil)
	}
	var held []*Taken
	for {
		taken, err := read("eve", 10_000)
		if errors.Is(err, ErrBusy) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, taken)
	}
	if rd.room.free < 9*(1<<20)/10 || len(held) == 0 {
		t.Errorf("eve holds %d bodies and leaves %d of %d bytes, want a sixteenth at most", len(held), rd.room.free, 1<<20)
	}
	alice, err := read("alice", 200_000)
	if err != nil {
		t.Fatalf("alice, with one large body: %v", err)
	}
	if _, err := read("alice", 10_000); !errors.Is(err, ErrBusy) {
		t.Errorf("alice, with another beside it: %v, want ErrBusy", err)
	}
	alice.Release()
	for _, taken := range held {
		taken.Release()
	}
	if rd.room.free != 1<<20 || len(rd.room.by) != 0 {
		t.Errorf("%d bytes are left and %d persons remembered, want all and none", rd.room.free, len(rd.room.by))
	}
	if taken, err := read("eve", 10_000); err != nil {
		t.Errorf("eve, after giving all back: %v", err)
	} else {
		taken.Release()
	}
}
