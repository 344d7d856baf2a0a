package conf

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// pairsOf returns the keys and values of a map in the order of the file, those
// of merged maps (<<) behind them; nil for anything but a map. A key written
// twice is recorded, and its first value counts.
func (f *File) pairsOf(y *yaml.Node) []pair {
	y = resolve(y)
	if y.Kind != yaml.MappingNode {
		return nil
	}
	if pairs, ok := f.pairs.of(y); ok {
		return pairs
	}
	pairs := make([]pair, 0, len(y.Content)/2)
	var merged []*yaml.Node
	seen := keysSeen{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := resolve(y.Content[i]), y.Content[i+1]
		switch first, twice := seen.line(pairs, k.Value); {
		case k.Kind != yaml.ScalarNode || isNull(k) || k.Style&yaml.TaggedStyle != 0:
			f.add(f.at(y.Content[i]), false, "a key must be a single word; values with braces must be quoted")
		case k.ShortTag() == "!!merge":
			merged = append(merged, v)
		case twice:
			f.duplicate(k, first)
		default:
			pairs = append(pairs, pair{k, v})
		}
	}
	if merged != nil {
		// A map that merges itself finds this and ends.
		f.pairs.keep(y, nil)
		for _, m := range merged {
			pairs = f.merge(pairs, m)
		}
		f.pairs.keep(y, pairs)
	}
	f.pairs.last, f.pairs.lastOf = pairs, y
	return pairs
}

// known remembers the pairs of maps that merge others, and of the one that was
// looked at last: who asks for one key asks for the next.
type known struct {
	merging map[*yaml.Node][]pair
	lastOf  *yaml.Node
	last    []pair
}

func (k *known) of(y *yaml.Node) (pairs []pair, ok bool) {
	if pairs, ok = k.merging[y]; ok {
		return pairs, true
	}
	return k.last, k.lastOf == y
}

func (k *known) keep(y *yaml.Node, pairs []pair) {
	if k.merging == nil {
		k.merging = map[*yaml.Node][]pair{}
	}
	k.merging[y] = pairs
}

// manyKeys is from how many keys on a map is worth the making.
const manyKeys = 16

// keysSeen remembers keys of a large map.
type keysSeen struct {
	lines map[string]int
	noted int // of pairs
}

// line returns the line of the pair that has the key.
func (s *keysSeen) line(pairs []pair, key string) (line int, ok bool) {
	if len(pairs) < manyKeys {
		for _, p := range pairs {
			if p.key.Value == key {
				return p.key.Line, true
			}
		}
		return 0, false
	}
	if s.lines == nil {
		s.lines = map[string]int{}
	}
	for _, p := range pairs[s.noted:] {
		s.lines[p.key.Value] = p.key.Line
	}
	s.noted = len(pairs)
	line, ok = s.lines[key]
	return line, ok
}

func (f *File) duplicate(k *yaml.Node, first int) {
	name := safeKey(k.Value)
	if name == k.Value {
		f.show(k)
	}
	f.add(f.at(k), false, fmt.Sprintf("key %q is written twice; the first stands in line %d", name, first))
}

// merge adds the pairs of a merged map, or of a list of them, whose keys are
// not there yet.
func (f *File) merge(pairs []pair, y *yaml.Node) []pair {
	y = resolve(y)
	if y.Kind == yaml.SequenceNode {
		for _, c := range y.Content {
			if resolve(c).Kind == yaml.MappingNode {
				pairs = f.merge(pairs, c)
			}
		}
		return pairs
	}
	if y.Kind != yaml.MappingNode {
		f.add(f.at(y), false, "<< merges maps only")
		return pairs
	}
	have := map[string]bool{}
	for _, p := range pairs {
		have[p.key.Value] = true
	}
	for _, p := range f.pairsOf(y) {
		f.visited++
		if !have[p.key.Value] {
			pairs = append(pairs, p)
		}
	}
	return pairs
}
