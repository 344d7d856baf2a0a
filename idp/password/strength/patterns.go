package strength

import (
	"math"
	"slices"
	"unicode"
)

// walks finds runs of three keys or more that lie next to each other.
func (e *estimate) walks(password []rune) (all []match) {
	for _, k := range e.lists.keyboards {
		for begin := 0; begin < len(password); {
			end, turns, shifted := k.walk(password[begin:])
			if end > 2 {
				all = append(all, match{begin, begin + end, k.guesses(end, turns, shifted)})
			}
			begin += max(end-1, 1)
		}
	}
	return all
}

// walk returns how many keys from the first on lie next to each other, how often the
// direction changes, and how many are written with shift.
func (k keyboard) walk(text []rune) (length, turns, shifted int) {
	direction := -1
	if k.isShifted(text[0]) {
		shifted++
	}
	for length = 1; length < len(text); length++ {
		to, shift := k.step(text[length-1], text[length])
		if to < 0 {
			break
		}
		if to != direction {
			turns++
			direction = to
		}
		if shift {
			shifted++
		}
	}
	return length, turns, shifted
}

// step returns in which direction the key of b lies from that of a, -1 for none, and
// whether b is written with shift.
func (k keyboard) step(a, b rune) (direction int, shift bool) {
	for i, key := range k.around[a] {
		if at := slices.Index([]rune(key), b); at >= 0 {
			return i, at > 0
		}
	}
	return -1, false
}

// isShifted reports whether r is written with shift, as the keys around it say.
func (k keyboard) isShifted(r rune) bool {
	for _, next := range k.around[r] {
		for _, key := range next {
			if _, shift := k.step(key, r); shift {
				return true
			}
		}
	}
	return false
}

// guesses counts the walks of up to so many keys with up to so many turns.
func (k keyboard) guesses(length, turns, shifted int) float64 {
	sum := 0.0
	for i := 2; i <= length; i++ {
		for j := 1; j <= min(turns, i-1); j++ {
			sum += binomial(i-1, j-1) * float64(len(k.around)) * math.Pow(k.degree, float64(j))
		}
	}
	switch kept := length - shifted; {
	case shifted == 0:
	case kept == 0:
		sum *= 2
	default:
		sum *= chosen(shifted, kept)
	}
	return sum
}

// repeats finds what is written several times in a row.
func (e *estimate) repeats(password []rune) (all []match) {
	for begin := 0; begin < len(password); {
		length, times := 0, 0
		for l := 1; begin+2*l <= len(password); l++ {
			n := 1
			for at := begin + l; at+l <= len(password) && slices.Equal(password[begin:begin+l], password[at:at+l]); at += l {
				n++
			}
			if n > 1 && n*l > times*length {
				length, times = l, n
			}
		}
		if times == 0 {
			begin++
			continue
		}
		end := begin + length*times
		all = append(all, match{begin, end, e.guesses(password[begin:begin+length]) * float64(times)})
		begin = end
	}
	return all
}

// sequences finds runs of characters with the same distance, of five at most, such
// as abc, 97531 and zyx.
func sequences(password []rune) (all []match) {
	const most = 5
	for begin := 0; begin+1 < len(password); {
		delta := password[begin+1] - password[begin]
		end := begin + 2
		for end < len(password) && password[end]-password[end-1] == delta {
			end++
		}
		wide := max(delta, -delta)
		if length := end - begin; wide > 0 && wide <= most && (length > 2 || wide == 1) {
			all = append(all, match{begin, end, sequence(password[begin], delta > 0) * float64(length)})
		}
		begin = end - 1
	}
	return all
}

// sequence returns how many beginnings of sequences are as likely as first.
func sequence(first rune, up bool) float64 {
	base := 26.0
	switch {
	case slices.Contains([]rune("aAzZ019"), first):
		base = 4
	case unicode.IsDigit(first):
		base = 10
	}
	if !up {
		base *= 2
	}
	return base
}
