package whatif

import (
	"slices"

	"gatehouse/policy"
)

// A condition is met, not met, or unknown, and a rule allows only if it is met
// (Kleene's strong logic). In a matrix some conditions are open: the column says
// nothing of what they look at, so that they may come out in any of the three
// ways, each by itself, but equal conditions alike. This file finds out whether
// the rule comes out the same all the same.

// set is a set of results; the bits stand in the order not met, unknown, met.
type set uint8

const (
	setMiss set = 1 << iota
	setUnknown
	setHit
	setAny = setMiss | setUnknown | setHit
)

// open tells how a leaf that the column leaves open is spelt, so that equal
// leaves are spelt alike, and what to call it; "" for a leaf that is settled.
type open func(leaf *policy.Finding) (key, kind string)

// tree is a tree of conditions as this file looks at it.
type tree struct {
	word     string // any of, all of, not; "" for a leaf
	children []*tree
	key      string // of an open leaf
	kind     string
	settled  set // of any other leaf
}

func treeOf(f *policy.Finding, o open) *tree {
	if len(f.Children) == 0 {
		t := &tree{settled: setUnknown}
		t.key, t.kind = o(f)
		switch f.Result {
		case policy.Hit:
			t.settled = setHit
		case policy.Miss:
			t.settled = setMiss
		}
		return t
	}
	t := &tree{word: f.Text}
	for _, c := range f.Children {
		t.children = append(t.children, treeOf(c, o))
	}
	return t
}

// possible returns a set that holds every result t can have, once the leaves in
// fixed have the result there. It holds no other if each open leaf that is not
// in fixed occurs once.
func (t *tree) possible(fixed map[string]set) set {
	switch {
	case t.word == "" && t.key == "":
		return t.settled
	case t.word == "":
		if s, ok := fixed[t.key]; ok {
			return s
		}
		return setAny
	case t.word == "not":
		s := t.children[0].possible(fixed)
		return s&setUnknown | s&setMiss<<2 | s&setHit>>2
	}
	s := t.children[0].possible(fixed)
	for _, c := range t.children[1:] {
		s = combine(t.word, s, c.possible(fixed))
	}
	return s
}

// combine joins the results of two conditions: the lower of any two for all of,
// the higher for any of.
func combine(word string, a, b set) (s set) {
	for x := setMiss; x <= setHit; x <<= 1 {
		for y := setMiss; y <= setHit; y <<= 1 {
			switch {
			case a&x == 0 || b&y == 0:
			case word == "all of":
				s |= min(x, y)
			default:
				s |= max(x, y)
			}
		}
	}
	return s
}

// maxShared bounds how many conditions that occur more than once are tried out
// one by one: three results each.
const maxShared = 8

// outcomes returns whether t can be met, and whether it can fail to be. It is
// exact unless more than maxShared open leaves occur more than once; then it may
// say of a constant rule that both can be.
func (t *tree) outcomes() (met, other bool) {
	times := map[string]int{}
	var shared []string
	t.each(func(leaf *tree) {
		if times[leaf.key]++; leaf.key != "" && times[leaf.key] == 2 {
			shared = append(shared, leaf.key)
		}
	})
	if len(shared) > maxShared {
		shared = nil
	}
	return t.try(map[string]set{}, shared)
}

// try goes through the results of the leaves in shared, until both outcomes have
// been seen or there is nothing left to try.
func (t *tree) try(fixed map[string]set, shared []string) (met, other bool) {
	s := t.possible(fixed)
	met, other = s&setHit != 0, s&^setHit != 0
	if met != other || len(shared) == 0 {
		return met, other
	}
	met, other = false, false
	for x := setMiss; x <= setHit && !(met && other); x <<= 1 {
		fixed[shared[0]] = x
		m, o := t.try(fixed, shared[1:])
		met, other = met || m, other || o
	}
	delete(fixed, shared[0])
	return met, other
}

func (t *tree) each(f func(leaf *tree)) {
	if t.word == "" {
		f(t)
	}
	for _, c := range t.children {
		c.each(f)
	}
}

// hangsOn lists the kinds of the open leaves, in the order of the file, but for
// those below a part of the rule that comes out the same whatever they are.
func (t *tree) hangsOn(kinds []string) []string {
	switch s := t.possible(nil); {
	case s&(s-1) == 0: // one result
		return kinds
	case t.word == "":
		if !slices.Contains(kinds, t.kind) {
			kinds = append(kinds, t.kind)
		}
	}
	for _, c := range t.children {
		kinds = c.hangsOn(kinds)
	}
	return kinds
}
