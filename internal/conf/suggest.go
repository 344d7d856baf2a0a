package conf

import "strings"

// Suggest returns the word among known that somebody who wrote word probably
// meant, or "" when none is close: at most two letters inserted, dropped,
// replaced or swapped, and fewer than half of the word. Case, "-" and "_" do
// not count.
func Suggest(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		d := editDistance(fold(word), fold(k))
		if d < distance && 2*d <= max(len(word), len(k)) {
			best, distance = k, d
		}
	}
	return best
}

func fold(s string) string {
	return strings.ReplaceAll(strings.ToLower(s), "-", "_")
}

// editDistance is the Damerau-Levenshtein distance with adjacent swaps
// (optimal string alignment), cut short for words too unlike in length.
func editDistance(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return 3
	}
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := prev[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(replace, prev[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}

// didYouMean returns ` — did you mean "allow"?` or "".
func didYouMean(word string, known []string) string {
	if s := Suggest(word, known); s != "" {
		return ` — did you mean "` + s + `"?`
	}
	return ""
}
