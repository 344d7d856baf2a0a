package session

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
)

// securecookie writes base64 of "time|base64 of what is encrypted|MAC": a third
// more than need be, on each request. What browsers get is the base64, without
// padding, of the same three as bytes: time, MAC, what is encrypted. Each spelling
// says what the other says, and MAC and encryption are securecookie's in both.
const (
	timeSize = 6 // bytes of Unix seconds
	headSize = timeSize + sha256.Size
)

// longLength is how long securecookie's spelling of a value of n bytes is at most.
func longLength(n int) int {
	encrypted := base64.RawURLEncoding.DecodedLen(n) - headSize
	// 20 digits are more than a time has.
	return base64.URLEncoding.EncodedLen(20 + 2 + base64.URLEncoding.EncodedLen(max(encrypted, 0)) + sha256.Size)
}

// shorten returns our spelling of a value in securecookie's; ok is false for what
// securecookie does not write.
func shorten(long string) (value string, ok bool) {
	text, err := base64.URLEncoding.DecodeString(long)
	if err != nil {
		return "", false
	}
	parts := bytes.SplitN(text, []byte("|"), 3) // the MAC may hold a "|"
	if len(parts) != 3 || len(parts[2]) != sha256.Size {
		return "", false
	}
	at, err := strconv.ParseUint(string(parts[0]), 10, 8*timeSize)
	if err != nil {
		return "", false
	}
	raw := binary.BigEndian.AppendUint64(nil, at)[8-timeSize:]
	raw = append(raw, parts[2]...)
	if raw, err = base64.URLEncoding.AppendDecode(raw, parts[1]); err != nil {
		return "", false
	}
	return base64.RawURLEncoding.EncodeToString(raw), true
}

// lengthen returns securecookie's spelling of a value in ours. ok is false for all
// but the one spelling of some bytes: base64 itself is lenient with stray bits at
// the end and line breaks inside.
func lengthen(value string) (long string, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(raw) < headSize || base64.RawURLEncoding.EncodeToString(raw) != value {
		return "", false
	}
	var at [8]byte
	copy(at[8-timeSize:], raw)
	text := strconv.AppendUint(nil, binary.BigEndian.Uint64(at[:]), 10)
	text = base64.URLEncoding.AppendEncode(append(text, '|'), raw[headSize:])
	text = append(append(text, '|'), raw[timeSize:headSize]...)
	return base64.URLEncoding.EncodeToString(text), true
}
