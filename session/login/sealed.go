package login

import (
	"encoding/binary"
	"errors"
	"time"
)

// attemptVersion is the first byte of a sealed attempt. One of another version
// is none: the person signs in again.
const attemptVersion = 2

// Bits of the second byte.
const (
	bitAgain = 1 << iota
	bitForce
	bitMFA
	bitStrict
)

var errAttempt = errors.New("not an attempt of this version")

// encode writes version, flags, the time in Unix milliseconds, id, secrets,
// provider, what was demanded and, to the end, the page. Lengths and the maximal
// age, in nanoseconds, are uvarints.
func (a *attempt) encode() []byte {
	flags := byte(0)
	for bit, set := range map[byte]bool{bitAgain: a.again, bitForce: a.force, bitMFA: a.mfa, bitStrict: a.strict} {
		if set {
			flags |= bit
		}
	}
	b := append(make([]byte, 0, 192+len(a.returnTo)), attemptVersion, flags)
	b = binary.AppendVarint(b, a.created.UnixMilli())
	b = append(b, a.id...)
	b = append(b, a.state[:]...)
	b = append(b, a.nonce[:]...)
	b = append(b, a.verifier[:]...)
	b = appendText(b, a.provider)
	b = binary.AppendUvarint(b, uint64(a.maxAge))
	b = binary.AppendUvarint(b, uint64(len(a.acr)))
	for _, class := range a.acr {
		b = appendText(b, class)
	}
	if a.strict {
		b = append(b, a.person[:]...)
	}
	return append(b, a.returnTo...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decodeAttempt reads what encode wrote.
func decodeAttempt(b []byte) (attempt, error) {
	c := cursor{rest: b}
	head := c.take(2)
	if c.bad || head[0] != attemptVersion {
		return attempt{}, errAttempt
	}
	flags := head[1]
	var a attempt
	a.again, a.force, a.mfa, a.strict = flags&bitAgain != 0, flags&bitForce != 0, flags&bitMFA != 0, flags&bitStrict != 0
	a.created = time.UnixMilli(c.varint())
	a.id = string(c.take(8))
	copy(a.state[:], c.take(len(a.state)))
	copy(a.nonce[:], c.take(len(a.nonce)))
	copy(a.verifier[:], c.take(len(a.verifier)))
	a.provider = c.text()
	a.maxAge = time.Duration(c.uvarint())
	for range c.count() {
		a.acr = append(a.acr, c.text())
	}
	if a.strict {
		copy(a.person[:], c.take(len(a.person)))
	}
	if c.bad || a.maxAge < 0 {
		return attempt{}, errAttempt
	}
	a.returnTo = string(c.rest)
	return a, nil
}

// cursor reads from the front. After the first mistake everything is zero and
// bad is set.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) fail() {
	c.bad, c.rest = true, nil
}

func (c *cursor) take(n int) []byte {
	if n > len(c.rest) {
		c.fail()
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.rest)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

// count reads a length. Every counted thing takes a byte at least.
func (c *cursor) count() int {
	n := c.uvarint()
	if n > uint64(len(c.rest)) {
		c.fail()
		return 0
	}
	return int(n)
}

func (c *cursor) text() string { return string(c.take(c.count())) }
