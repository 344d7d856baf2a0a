package strength_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"gatehouse/idp/password/strength"
)

// What zxcvbn 4.4.2 says of these, whose lists know more passwords. Its guesses
// differ from ours where a word is more or less frequent.
func TestScoresAreThoseOfZxcvbn(t *testing.T) {
	for score, passwords := range [][]string{
		{
			"password", "Password1", "P@ssw0rd", "zxcvbn", "abcdefghijk", "drowssap", "abcabcabcabc", "viking",
			"p@$$word", "trustno1", "letmein", "ABCDEFG", "mnbvcxz", "p4ssw0rdp4ssw0rd", "0000000", "aceg", "9876543210", "zyxwvu",
		},
		{
			"aaaaaaaab", "hunter2", "temppass22", "briansmith", "iloveyou2", "Winter19", "13/01/1987", "13011987", "19870113", "31.12.99", "01-01-01", "D0g..................", "asdfjkl;", "monkey123!", "R38*)#",
			"abababab1", "dragonballz", "danieldanielriverriver",
		},
		{"Tr0ub4dour&3", "riverkettle", "qwER43@!", "summer2019!"},
		{"eheuczkqyq", "ryanhunter2000", "neverforget13/3/1997", "kettleriverorange", "--riverQWE"},
		{
			"correct horse battery staple", "correcthorsebatterystaple", "coRrecth0rseba++ery9.23.2007staple$", "rWibMFACxAUGZmxhVncy",
			"Ba9ZyWABu99[BK#6MBgbH88Tofv)vs$w", "lantern river cobalt", "kettleStone2011lamp", "briansmith4mayor", "blue-monkey-42",
		},
	} {
		for _, p := range passwords {
			if got := strength.Score(p, nil); got != score {
				t.Errorf("%q is scored %d (%.3g guesses), want %d", p, got, strength.Guesses(p, nil), score)
			}
		}
	}
}

// Each way to vary something that is known costs a little, and no more.
func TestVariationsCostLittle(t *testing.T) {
	near := func(a, b string, most float64) {
		t.Helper()
		ga, gb := strength.Guesses(a, nil), strength.Guesses(b, nil)
		if gb < ga || gb > most*ga {
			t.Errorf("%q takes %.3g guesses, %q %.3g: want no more than %v times as many", a, ga, b, gb, most)
		}
	}
	near("elephant", "Elephant", 2)
	near("elephant", "elephanT", 2)
	near("elephant", "ELEPHANT", 2)
	near("elephant", "eLephAnt", 40)
	near("elephant", "tnahpele", 2)
	near("elephant", "3lephant", 4)
	near("elephant", "3l3ph@nt", 8)
	near("elephant", "elephantelephantelephant", 3.1)
	near("13011987", "13.01.1987", 4)
	near("tyuiop", "tyUIOP", 30)
}

func TestPersonalWordsAreGuessedFirst(t *testing.T) {
	const word = "xq7-kv2m"
	before := strength.Guesses(word, nil)
	for _, typed := range []string{word, "XQ7-kv2m", "m2vk-7qx"} {
		if got := strength.Guesses(typed, []string{"other", "Xq7-KV2m"}); got > 100 || got >= before {
			t.Errorf("%q takes %.3g guesses beside the person's word, %.3g without", typed, got, before)
		}
	}
}

// Characters are letters of any alphabet.
func TestOtherAlphabets(t *testing.T) {
	for p, want := range map[string]int{"éééééééééééééééééééé": 0, "ééééé": 0, "αβγδεζηθ": 0, "日本語パスワード長い": 3} {
		if got := strength.Score(p, nil); got != want {
			t.Errorf("%q is scored %d, want %d", p, got, want)
		}
	}
}

func FuzzGuesses(f *testing.F) {
	for _, p := range []string{"", "a", "P@ssw0rd 1/1/1911", "qwertzuiop", strings.Repeat("1|7!", 16), "日本\xff語\x00"} {
		f.Add(p, "word")
	}
	f.Fuzz(func(t *testing.T, p, word string) {
		if len(p) > 64 || len(word) > 64 {
			return
		}
		g := strength.Guesses(p, []string{word})
		if math.IsNaN(g) || math.IsInf(g, 0) || g < 1 {
			t.Fatalf("%q takes %v guesses", p, g)
		}
		if most := math.Pow(10, float64(len([]rune(p)))) + 12; g > most {
			t.Fatalf("%q takes %.3g guesses, more than character by character", p, g)
		}
		if with := strength.Guesses(p, nil); g > with {
			t.Fatalf("%q takes more guesses beside %q: %.3g instead of %.3g", p, word, g, with)
		}
	})
}

// BenchmarkGuesses scores as much as is ever scored, at its dearest.
func BenchmarkGuesses(b *testing.B) {
	for _, p := range []string{strings.Repeat("p@ssw0rd4l33t5$1", 4), strings.Repeat("1|7!aé", 10), "correct horse battery"} {
		b.Run(fmt.Sprintf("%.10s", p), func(b *testing.B) {
			for b.Loop() {
				strength.Guesses(p, nil)
			}
		})
	}
}
