package demo

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
)

// Password makes a random password that can be read aloud and typed: four
// groups of five letters, such as "zusab-gutih-tugad-mopor" (23 characters).
//
// Each group is consonant, vowel, consonant, vowel, consonant out of 16
// consonants and 4 vowels, 4+2+4+2+4 = 16 bits, so a password holds exactly 64
// bits of crypto/rand: too many to guess even where the demo listens on a
// network. There is no word list to keep, and no l/I/1 or O/0 to confuse, as
// everything is lower case.
func Password() string {
	var random [8]byte
	// rand.Read never fails: it ends the program instead.
	rand.Read(random[:])
	groups := make([]string, 4)
	for i := range groups {
		groups[i] = pronounce(binary.BigEndian.Uint16(random[2*i:]))
	}
	return strings.Join(groups, "-")
}

// pronounce spells 16 bits as five letters, the highest bits first.
func pronounce(bits uint16) string {
	const consonants, vowels = "bdfghjkmnprstvwz", "aiou"
	return string([]byte{
		consonants[bits>>12],
		vowels[bits>>10&3],
		consonants[bits>>6&15],
		vowels[bits>>4&3],
		consonants[bits&15],
	})
}
