package strength

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"sync"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go/data"
)

// words are all lists in one: the rank of each word in the list where it comes
// first, by its hash under a seed of this process. That two words have the same one
// is as good as impossible, and would make a password look weaker at worst.
type words struct {
	seed  maphash.Seed
	ranks map[uint64]int32
	most  int // bytes of the longest word
}

func (w *words) rank(word []byte) (int32, bool) {
	if len(word) > w.most {
		return 0, false
	}
	rank, ok := w.ranks[maphash.Bytes(w.seed, word)]
	return rank, ok
}

// keyboard is who is next to whom: for each character, the keys around it in the
// order of their directions, "" where there is none. A key is what it writes, with
// and without shift.
type keyboard struct {
	around map[rune][]string
	degree float64 // keys next to a key, in the mean
}

// lists are what is looked for.
type lists struct {
	words     words
	keyboards []keyboard
}

// load reads the lists, once. They are part of the program: what is wrong with them
// is wrong with it.
var load = sync.OnceValue(func() *lists {
	l := &lists{words: words{seed: maphash.MakeSeed(), ranks: make(map[uint64]int32, 50_000)}}
	for _, name := range []string{"Passwords", "English", "Surnames", "FemaleNames", "MaleNames"} {
		var list struct{ List []string }
		read(name, &list)
		for i, word := range list.List {
			h, rank := maphash.String(l.words.seed, word), int32(i+1)
			if before, ok := l.words.ranks[h]; !ok || rank < before {
				l.words.ranks[h] = rank
			}
			l.words.most = max(l.words.most, len(word))
		}
	}
	for _, name := range []string{"Qwerty", "Dvorak", "Keypad", "MacKeypad"} {
		var graph struct{ Graph map[string][]string }
		read(name, &graph)
		k := keyboard{around: map[rune][]string{}}
		for key, around := range graph.Graph {
			r, _ := utf8.DecodeRuneInString(key)
			k.around[r] = around
			for _, next := range around {
				if next != "" {
					k.degree++
				}
			}
		}
		k.degree /= float64(len(k.around))
		l.keyboards = append(l.keyboards, k)
	}
	return l
})

func read(name string, into any) {
	text, err := data.Asset("data/" + name + ".json")
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		panic(fmt.Sprintf("strength: list %s: %v", name, err))
	}
}
