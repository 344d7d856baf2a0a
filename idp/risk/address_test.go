package risk

import (
	"net/netip"
	"testing"
	"time"
)

func TestAddressesAreCountedByNetwork(t *testing.T) {
	now := time.Now()
	a := NewAddresses(2, 10*time.Minute)
	take := func(text string) bool {
		addr, _ := netip.ParseAddr(text)
		return a.Take(addr, now) == 0
	}
	for _, same := range [][]string{
		{"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"},
		{"2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:0:1::"},
		{"", "", ""},
	} {
		if !take(same[0]) || !take(same[1]) || take(same[2]) {
			t.Errorf("%q: want two tries together and no third", same)
		}
	}
	if !take("192.0.2.2") || !take("2001:db8:0:1::1") {
		t.Error("a neighbour has to wait")
	}
	if wait := a.Take(netip.MustParseAddr("192.0.2.1"), now); wait != 5*time.Minute {
		t.Errorf("wait = %v, want 5m: until one of two has flowed out", wait)
	}
	now = now.Add(5 * time.Minute)
	if !take("192.0.2.1") || take("192.0.2.1") {
		t.Error("after half the window: want one try and no second")
	}
	a.Give(netip.MustParseAddr("192.0.2.1"))
	if !take("192.0.2.1") {
		t.Error("a try that was given back still counts")
	}
}

// flood has strangers open one page each, a moment apart, and returns the time.
func flood(a *Addresses, n int, now time.Time) time.Time {
	for i := range n {
		now = now.Add(time.Microsecond)
		a.Take(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	return now
}

func TestAddressTableIsBounded(t *testing.T) {
	a := NewAddresses(2, 10*time.Minute)
	now := flood(a, maxAddresses+10, time.Now())
	if n := len(a.seen); n != maxAddresses || a.once.Len()+a.often.Len() != n {
		t.Errorf("%d addresses remembered, %d and %d in order; want %d", n, a.once.Len(), a.often.Len(), maxAddresses)
	}
	now = now.Add(time.Hour)
	for i := range maxAddresses {
		a.Take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now.Add(time.Duration(i)*time.Second))
	}
	if n := len(a.seen); n > 3*600 {
		t.Errorf("%d addresses remembered long after the flood, want about what one window brings", n)
	}
}

func TestFloodDoesNotForgetWhoTriesOften(t *testing.T) {
	a := NewAddresses(3, 10*time.Minute)
	now := time.Now()
	hot := netip.MustParseAddr("192.0.2.1")
	for range 3 {
		a.Take(hot, now)
	}
	now = flood(a, 3*maxAddresses, now)
	if a.Take(hot, now) == 0 {
		t.Error("an address at its limit may go on after a flood of strangers")
	}
	// Even addresses that come twice each do not take the whole table.
	for i := range maxAddresses {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		a.Take(addr, now)
		a.Take(addr, now)
	}
	if a.often.Len() > maxOften || len(a.seen) > maxAddresses {
		t.Errorf("%d addresses of %d come often, want at most %d", a.often.Len(), len(a.seen), maxOften)
	}
	for range 3 {
		a.Take(netip.MustParseAddr("192.0.2.9"), now)
		a.Take(netip.MustParseAddr("192.0.2.8"), now)
	}
	if a.Take(netip.MustParseAddr("192.0.2.9"), now) == 0 {
		t.Error("two newcomers push each other out of a full table")
	}
}

func BenchmarkTakeInAFlood(b *testing.B) {
	a := NewAddresses(20, 10*time.Minute)
	now := flood(a, maxAddresses, time.Now())
	i := uint32(0)
	for b.Loop() {
		i++
		a.Take(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
}
