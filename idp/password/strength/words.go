package strength

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// known calls found for each word in text, which is in lower case: its place, and
// its rank in its list.
func (e *estimate) known(text []rune, found func(begin, end int, rank float64)) {
	word := make([]byte, 0, 4*len(text))
	for begin := range text {
		word = word[:0]
		for end := begin + 1; end <= len(text); end++ {
			word = utf8.AppendRune(word, text[end-1])
			rank, ok := e.lists.words.rank(word)
			if own, is := e.personal[string(word)]; is && (!ok || own < rank) {
				rank, ok = own, true
			}
			if ok {
				found(begin, end, float64(rank))
			}
		}
	}
}

func lower(text []rune) []rune {
	out := make([]rune, len(text))
	for i, r := range text {
		out[i] = unicode.ToLower(r)
	}
	return out
}

// dictionary finds words.
func (e *estimate) dictionary(password []rune) (all []match) {
	e.known(lower(password), func(begin, end int, rank float64) {
		all = append(all, match{begin, end, rank * capitals(password[begin:end])})
	})
	return all
}

// reversed finds words that are written backwards.
func (e *estimate) reversed(password []rune) (all []match) {
	n := len(password)
	back := lower(password)
	slices.Reverse(back)
	e.known(back, func(begin, end int, rank float64) {
		m := match{n - end, n - begin, 0}
		m.guesses = 2 * rank * capitals(password[m.begin:m.end])
		all = append(all, m)
	})
	return all
}

// leets are the characters that people write for letters.
var leets = map[rune]string{
	'4': "a", '@': "a", '8': "b", '(': "c", '{': "c", '[': "c", '<': "c", '3': "e", '6': "g", '9': "g",
	'1': "il", '!': "i", '|': "il", '0': "o", '$': "s", '5': "s", '+': "t", '7': "lt", '%': "x", '2': "z",
}

// leet finds words in which letters are written as such characters. One character
// stands for one letter throughout.
func (e *estimate) leet(password []rune) (all []match) {
	text := lower(password)
	var doubtful []rune // those that may stand for two letters
	some := false
	for _, r := range text {
		letters := leets[r]
		some = some || letters != ""
		if len(letters) > 1 && !slices.Contains(doubtful, r) {
			doubtful = append(doubtful, r)
		}
	}
	if !some {
		return nil
	}
	plain := make([]rune, len(text))
	for choice := range 1 << len(doubtful) {
		for i, r := range text {
			plain[i] = r
			if letters := leets[r]; letters != "" {
				at := slices.Index(doubtful, r)
				plain[i] = rune(letters[(choice>>max(at, 0))&1&boolBit(at >= 0)])
			}
		}
		e.known(plain, func(begin, end int, rank float64) {
			if end-begin == 1 {
				return // a single character is no word written so
			}
			if v := leetVariations(text[begin:end], plain[begin:end]); v > 0 {
				all = append(all, match{begin, end, rank * capitals(password[begin:end]) * v})
			}
		})
	}
	return all
}

func boolBit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// leetVariations returns how much writing plain as text multiplies the guesses of a
// word; 0 if nothing is written otherwise.
func leetVariations(text, plain []rune) float64 {
	variations := 0.0
	for i, r := range text {
		if plain[i] == r || slices.Contains(text[:i], r) {
			continue
		}
		changed, kept := 0, 0
		for _, other := range text {
			switch other {
			case r:
				changed++
			case plain[i]:
				kept++
			}
		}
		if variations == 0 {
			variations = 1
		}
		if kept == 0 {
			variations *= 2
		} else {
			variations *= chosen(changed, kept)
		}
	}
	return variations
}
