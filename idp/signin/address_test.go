package signin

import (
	"net/netip"
	"testing"
	"time"
)

func TestAddressesAreCountedByNetwork(t *testing.T) {
	now := time.Now()
	a := newAddresses(2, 10*time.Minute)
	take := func(text string) bool {
		addr, _ := netip.ParseAddr(text)
		return a.take(addr, now) == 0
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
	if wait := a.take(netip.MustParseAddr("192.0.2.1"), now); wait != 5*time.Minute {
		t.Errorf("wait = %v, want 5m: until one of two has flowed out", wait)
	}
	now = now.Add(5 * time.Minute)
	if !take("192.0.2.1") || take("192.0.2.1") {
		t.Error("after half the window: want one try and no second")
	}
	a.give(netip.MustParseAddr("192.0.2.1"))
	if !take("192.0.2.1") {
		t.Error("a try that was given back still counts")
	}
}

func TestAddressTableIsBounded(t *testing.T) {
	a := newAddresses(2, 10*time.Minute)
	now := time.Now()
	for i := range maxAddresses + 10 {
		a.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now.Add(time.Duration(i)))
	}
	if len(a.seen) > maxAddresses {
		t.Errorf("%d addresses remembered, want at most %d", len(a.seen), maxAddresses)
	}
	a.take(netip.MustParseAddr("192.0.2.1"), now.Add(time.Hour))
	if len(a.seen) != 1 {
		t.Errorf("%d addresses remembered after an hour of quiet, want 1", len(a.seen))
	}
}
