package password

import (
	"context"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"gatehouse/idp/password/strength"
)

const (
	// scored is how many characters are scored; the work grows with the square of
	// the length and more.
	scored = 64
	// maxWords is how many names and parts of names are looked for.
	maxWords = 32
)

// easy tells whether the password is guessed too soon. It takes a turn in the
// queue: up to a millisecond of work, for anybody who asks.
func (p *Policy) easy(ctx context.Context, c Candidate) (bool, error) {
	if p.cfg.Strength == 0 {
		return false, nil
	}
	text := cut(norm.NFC.String(c.Password))
	words := wordsOf(append(append([]string{}, c.Names...), p.words...))
	score := 0
	err := p.hasher.run(ctx, 0, func() { score = strength.Score(text, words) })
	if err != nil {
		return false, err
	}
	return score < p.cfg.Strength, nil
}

// wordsOf returns names and what they are made of, as people put it into their
// passwords.
func wordsOf(names []string) []string {
	var words []string
	for _, name := range names {
		name = strings.ToLower(cut(norm.NFC.String(name)))
		parts := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		for _, word := range append([]string{name}, parts...) {
			// Two letters are in most passwords by chance.
			if len(word) > 2 && len(words) < maxWords {
				words = append(words, word)
			}
		}
	}
	return words
}

// cut returns the first characters of s, as many as are scored.
func cut(s string) string {
	n := 0
	for i := range s {
		if n == scored {
			return s[:i]
		}
		n++
	}
	return s
}
