package strength

import "strings"

// Of years and dates.
const (
	// fewYears is how many years are tried around this one at least.
	fewYears = 20
	// firstYear and lastYear are what a year of four digits is.
	firstYear, lastYear = 1000, 2050
)

// dates finds recent years, and dates with or without separators.
func dates(password []rune, now int) (all []match) {
	for begin := range password {
		if y, ok := number(password, begin, begin+4); ok && y >= 1900 && y <= lastYear {
			all = append(all, match{begin, begin + 4, years(y, now)})
		}
		for end := begin + 4; end <= min(begin+10, len(password)); end++ {
			if y, ok := undivided(password, begin, end, now); ok {
				all = append(all, match{begin, end, years(y, now) * 365})
			}
			if y, ok := divided(password, begin, end); ok {
				all = append(all, match{begin, end, years(y, now) * 365 * 4})
			}
		}
	}
	return all
}

func years(y, now int) float64 { return float64(max(y-now, now-y, fewYears)) }

// number reads the digits from begin to before end.
func number(text []rune, begin, end int) (n int, ok bool) {
	if end > len(text) || begin >= end {
		return 0, false
	}
	for _, r := range text[begin:end] {
		if r < '0' || r > '9' {
			return 0, false
		}
		n = 10*n + int(r-'0')
	}
	return n, true
}

// splits are where four to eight digits may be parted into a date.
var splits = map[int][][2]int{
	4: {{1, 2}, {2, 3}},
	5: {{1, 3}, {2, 3}},
	6: {{1, 2}, {2, 4}, {4, 5}},
	7: {{1, 3}, {2, 3}, {4, 5}, {4, 6}},
	8: {{2, 4}, {4, 6}},
}

// undivided returns the year of a date without separators, the one next to now if
// it can be read in several ways.
func undivided(text []rune, begin, end, now int) (year int, ok bool) {
	for _, s := range splits[end-begin] {
		y, is := dateOf(text, [6]int{begin, begin + s[0], begin + s[0], begin + s[1], begin + s[1], end})
		if is && (!ok || years(y, now) < years(year, now)) {
			year, ok = y, true
		}
	}
	return year, ok
}

// divided returns the year of a date with the same separator twice.
func divided(text []rune, begin, end int) (year int, ok bool) {
	var at []int
	for i := begin; i < end; i++ {
		if strings.ContainsRune(` /\_.-`, text[i]) {
			at = append(at, i)
		}
	}
	if len(at) != 2 || text[at[0]] != text[at[1]] || at[0]-begin > 4 || at[1]-at[0] > 3 || end-at[1] > 5 {
		return 0, false
	}
	return dateOf(text, [6]int{begin, at[0], at[0] + 1, at[1], at[1] + 1, end})
}

// dateOf reads three numbers, each from one place to another, as a date: the year
// comes first or last.
func dateOf(text []rune, at [6]int) (year int, ok bool) {
	var n [3]int
	for i := range n {
		if n[i], ok = number(text, at[2*i], at[2*i+1]); !ok {
			return 0, false
		}
	}
	tiny, over12, over31 := 0, 0, 0
	for _, v := range n {
		if v > 99 && v < firstYear || v > lastYear {
			return 0, false
		}
		tiny, over12, over31 = tiny+boolBit(v == 0), over12+boolBit(v > 12), over31+boolBit(v > 31)
	}
	if n[1] > 31 || n[1] == 0 || tiny > 1 || over12 == 3 || over31 > 1 {
		return 0, false
	}
	for _, v := range [][3]int{{n[2], n[0], n[1]}, {n[0], n[1], n[2]}} {
		if v[0] >= firstYear {
			return v[0], isDay(v[1], v[2])
		}
	}
	for _, v := range [][3]int{{n[2], n[0], n[1]}, {n[0], n[1], n[2]}} {
		if isDay(v[1], v[2]) {
			return fullYear(v[0]), true
		}
	}
	return 0, false
}

// isDay reports whether two numbers are a day and a month, in either order.
func isDay(a, b int) bool {
	return a >= 1 && b >= 1 && (a <= 31 && b <= 12 || a <= 12 && b <= 31)
}

func fullYear(y int) int {
	switch {
	case y > 99:
		return y
	case y > 50:
		return 1900 + y
	}
	return 2000 + y
}
