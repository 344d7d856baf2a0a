package strength

import (
	"math"
	"strings"
	"time"
	"unicode"
)

// Score returns 0 (guessed at once) to 4 (withstands 10^10 guesses): what a
// password withstands, with 10^3, 10^6, 10^8 and 10^10 guesses between the scores.
// personal are words that belong to the person, in any case. The work grows with
// the square of the length and more: cap it.
func Score(password string, personal []string) int {
	g := Guesses(password, personal)
	for score, limit := range []float64{1e3, 1e6, 1e8, 1e10} {
		if g < limit+5 {
			return score
		}
	}
	return 4
}

// Guesses returns how many guesses a password withstands.
func Guesses(password string, personal []string) float64 {
	e := &estimate{lists: load(), personal: map[string]int32{}, year: time.Now().Year()}
	for i, word := range personal {
		word = strings.ToLower(word)
		if _, ok := e.personal[word]; !ok {
			e.personal[word] = int32(i + 1)
		}
	}
	return e.guesses([]rune(password))
}

// estimate is what one estimate works with.
type estimate struct {
	lists    *lists
	personal map[string]int32
	year     int
}

// match is a part of a password that is guessed as one: its characters from begin
// to before end, and how many guesses that takes.
type match struct {
	begin, end int
	guesses    float64
}

// Of a part that is guessed character by character, and of one that is not the
// whole password: somebody has to know where it begins and ends.
const (
	perCharacter = 10
	leastSingle  = 10
	leastMany    = 50
	// perPart is what each further part of a password multiplies at least.
	perPart = 10_000
)

// guesses puts password together from parts in the way that takes the fewest
// guesses: n! for the order of n parts, times those of all parts, and perPart for
// each but the first.
func (e *estimate) guesses(password []rune) float64 {
	n := len(password)
	if n == 0 {
		return 1
	}
	ending := make([][]match, n+1) // by end
	for _, m := range e.matches(password) {
		if m.end-m.begin < n {
			m.guesses = max(m.guesses, least(m.end-m.begin))
		}
		ending[m.end] = append(ending[m.end], m)
	}
	// best[end][parts] is the cheapest way to write the first end characters in so
	// many parts, by whether the last of them is guessed character by character.
	best := make([][][2]float64, n+1)
	for end := range best {
		best[end] = make([][2]float64, end+1)
		for parts := range best[end] {
			best[end][parts] = [2]float64{math.Inf(1), math.Inf(1)}
		}
	}
	best[0][0][0] = 1
	for end := 1; end <= n; end++ {
		for _, m := range ending[end] {
			for parts, way := range best[m.begin] {
				if product := min(way[0], way[1]) * m.guesses; parts < end {
					best[end][parts+1][0] = min(best[end][parts+1][0], product)
				}
			}
		}
		for begin := range end {
			// Two such parts in a row are one.
			cost := bruteForce(end-begin, n)
			for parts, way := range best[begin] {
				if parts < end {
					best[end][parts+1][1] = min(best[end][parts+1][1], way[0]*cost)
				}
			}
		}
	}
	least := math.Inf(1)
	for parts, way := range best[n] {
		product := min(way[0], way[1])
		if parts == 0 || math.IsInf(product, 1) {
			continue
		}
		least = min(least, math.Gamma(float64(parts+1))*product+math.Pow(perPart, float64(parts-1)))
	}
	return least
}

func least(length int) float64 {
	if length == 1 {
		return leastSingle
	}
	return leastMany
}

// bruteForce is a little dearer than anything else of the same length.
func bruteForce(length, whole int) float64 {
	floor := least(length) + 1
	if length == whole {
		floor = 1
	}
	return max(math.Pow(perCharacter, float64(length)), floor)
}

// matches returns all parts of password that something is known of.
func (e *estimate) matches(password []rune) []match {
	all := e.dictionary(password)
	all = append(all, e.reversed(password)...)
	all = append(all, e.leet(password)...)
	all = append(all, e.walks(password)...)
	all = append(all, e.repeats(password)...)
	all = append(all, sequences(password)...)
	return append(all, dates(password, e.year)...)
}

// chosen returns in how many ways at most min(a, b) of a+b can be chosen, at least
// one: how many guesses it takes which letters somebody has changed.
func chosen(a, b int) float64 {
	sum := 0.0
	for i := 1; i <= min(a, b); i++ {
		sum += binomial(a+b, i)
	}
	return sum
}

func binomial(n, k int) float64 {
	if k > n {
		return 0
	}
	c := 1.0
	for i := 1; i <= k; i++ {
		c = c * float64(n-k+i) / float64(i)
	}
	return c
}

// capitals returns how much capital letters multiply the guesses of a word.
func capitals(word []rune) float64 {
	upper, lower := 0, 0
	for _, r := range word {
		switch {
		case unicode.IsUpper(r):
			upper++
		case unicode.IsLower(r):
			lower++
		}
	}
	switch {
	case upper == 0:
		return 1
	case lower == 0, upper == 1 && (unicode.IsUpper(word[0]) || unicode.IsUpper(word[len(word)-1])):
		return 2 // all of them, the first, or the last
	}
	return chosen(upper, lower)
}
