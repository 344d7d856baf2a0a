package upstream

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// frame returns a web socket frame with n bytes of payload.
func frame(n int, masked bool) []byte {
	f := []byte{0x82, 0}
	switch {
	case n < 126:
		f[1] = byte(n)
	case n < 1<<16:
		f[1] = 126
		f = binary.BigEndian.AppendUint16(f, uint16(n))
	default:
		f[1] = 127
		f = binary.BigEndian.AppendUint64(f, uint64(n))
	}
	if masked {
		f[1] |= 0x80
		f = append(f, 1, 2, 3, 4)
	}
	for i := range n {
		f = append(f, byte(i)) // looks like headers here and there
	}
	return f
}

func TestFramesAreFollowedInAnyPieces(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var stream []byte
	starts := map[int]bool{0: true}
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 0, 70_000, 3} {
		for _, masked := range []bool{false, true} {
			stream = append(stream, frame(n, masked)...)
			starts[len(stream)] = true
		}
	}
	for range 50 {
		var f frames
		for at := 0; at < len(stream); {
			n := min(1+rnd.IntN(40_000>>rnd.IntN(16)), len(stream)-at)
			f.advance(stream[at : at+n])
			if at += n; f.between() != starts[at] {
				t.Fatalf("between frames at byte %d = %t, want %t", at, f.between(), starts[at])
			}
		}
	}
}
