package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func feed(t *testing.T, j Journal) *Feed {
	t.Helper()
	f, err := NewFeed(t.Context(), j, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func journal(t *testing.T, path string) *FileJournal {
	t.Helper()
	j, err := OpenFileJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func endSID(sid string) Revocation {
	return Revocation{Kind: RevokeSID, Value: sid, Expires: time.Now().Add(time.Hour)}
}

func mustRevoke(t *testing.T, f *Feed, rs ...Revocation) {
	t.Helper()
	if err := f.Revoke(t.Context(), rs...); err != nil {
		t.Fatal(err)
	}
}

func TestEachHandleRevokes(t *testing.T) {
	now := time.Now()
	in := now.Add(time.Hour)
	const iss = "https://login.example.com"
	id := func() *Identity {
		return &Identity{Issuer: iss, Subject: "u", ClientID: "c", SID: "s", IssuerSID: "is", JTI: "j", OriginJTI: "oj", IssuedAt: now}
	}
	dead := func(what string, r Revocation, change func(*Identity), want bool) {
		t.Helper()
		f := feed(t, nil)
		mustRevoke(t, f, r)
		i := id()
		if change != nil {
			change(i)
		}
		if got := f.Revoked(i); got != want {
			t.Errorf("%s: revoked = %v, want %v", what, got, want)
		}
	}
	dead("sid", endSID("s"), nil, true)
	dead("other sid", endSID("t"), nil, false)
	for kind, value := range map[RevocationKind]string{RevokeIssuerSID: "is", RevokeOriginJTI: "oj", RevokeJTI: "j"} {
		dead(string(kind), Revocation{Kind: kind, Issuer: iss, Value: value, Expires: in}, nil, true)
		dead(string(kind)+" of a later token", Revocation{Kind: kind, Issuer: iss, Value: value, Expires: in}, func(i *Identity) { i.IssuedAt = now.Add(time.Minute) }, true)
		dead(string(kind)+" of another issuer", Revocation{Kind: kind, Issuer: "https://evil.test", Value: value, Expires: in}, nil, false)
	}
	for kind, value := range map[RevocationKind]string{RevokeSubject: "u", RevokeClient: "c"} {
		r := Revocation{Kind: kind, Issuer: iss, Value: value, NotBefore: now, Expires: in}
		dead(string(kind)+" issued at the moment", r, nil, true)
		dead(string(kind)+" issued before", r, func(i *Identity) { i.IssuedAt = now.Add(-time.Second) }, true)
		dead(string(kind)+" issued after", r, func(i *Identity) { i.IssuedAt = now.Add(time.Millisecond) }, false)
		dead(string(kind)+" issued in the same second, as a token says it", r, func(i *Identity) { i.IssuedAt = now.Truncate(time.Second) }, true)
		dead(string(kind)+" issued nobody knows when", r, func(i *Identity) { i.IssuedAt = time.Time{} }, true)
		dead(string(kind)+" of another issuer", Revocation{Kind: kind, Issuer: "x", Value: value, NotBefore: now, Expires: in}, nil, false)
	}
	// An empty handle never equals an empty handle.
	f := feed(t, nil)
	if err := f.Revoke(t.Context(), Revocation{Kind: RevokeSID, Expires: in}); !errors.Is(err, ErrRevocation) {
		t.Errorf("revoked nothing: %v", err)
	}
	for _, r := range []Revocation{
		{Kind: RevokeSID, Value: "s"},
		{Kind: "name", Value: "s", Expires: in},
		{Kind: RevokeJTI, Value: "j", Expires: in},
		{Kind: RevokeSubject, Issuer: iss, Value: "u", Expires: in},
	} {
		if err := f.Revoke(t.Context(), r); !errors.Is(err, ErrRevocation) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if f.Revoked(id()) || f.Revoked(nil) || f.Revoked(&Identity{}) {
		t.Error("revoked without a revocation")
	}
}

func TestLaterRevocationOfOneSubjectCounts(t *testing.T) {
	f, now := feed(t, nil), time.Now()
	r := func(nb time.Time) Revocation {
		return Revocation{Kind: RevokeSubject, Issuer: "i", Value: "u", NotBefore: nb, Expires: now.Add(time.Hour)}
	}
	mustRevoke(t, f, r(now.Add(time.Minute)))
	mustRevoke(t, f, r(now)) // an older one arrives late
	if !f.Revoked(&Identity{Issuer: "i", Subject: "u", IssuedAt: now.Add(30 * time.Second)}) {
		t.Error("an older revocation replaced a newer one")
	}
}

func TestManyRevocations(t *testing.T) {
	f := feed(t, nil)
	for i := range 3000 {
		mustRevoke(t, f, endSID(fmt.Sprint(i)))
	}
	for i := range 3000 {
		if !f.Revoked(&Identity{SID: fmt.Sprint(i)}) {
			t.Fatalf("%d was forgotten", i)
		}
	}
	id := &Identity{Issuer: "i", Subject: "u", ClientID: "c", SID: "s", IssuerSID: "is", JTI: "j", OriginJTI: "oj"}
	if n := testing.AllocsPerRun(100, func() { f.Revoked(id) }); n != 0 {
		t.Errorf("%v allocations a look-up", n)
	}
}

// TestNoSpellingOfARevokedSessionPasses holds also after a restart.
func TestNoSpellingOfARevokedSessionPasses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	j := journal(t, path)
	f := feed(t, j)
	at, c := site(t, app), cookies(t, f.Boot(), key(2), key(1))
	s := alice(at.Host)
	older := cookies(t, f.Boot(), key(1))
	var copies []string
	for range 2 {
		copies = append(copies, mustSeal(t, c, at, s)[0].Value, mustSeal(t, older, at, s)[0].Value)
		refreshed := *s
		refreshed.RefreshToken, refreshed.Groups = NewID(), nil
		copies = append(copies, mustSeal(t, c, at, &refreshed)[0].Value)
	}
	passes := func(f *Feed, v string) bool {
		got, state := c.Open(at, withHeader("__Host-gatehouse="+v))
		return state == Valid && !f.Revoked(got.Identity())
	}
	for _, v := range copies {
		if !passes(f, v) {
			t.Fatal("a live session is refused")
		}
	}
	mustRevoke(t, f, Revocation{Kind: RevokeSID, Value: s.ID, Expires: s.Expires})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	restarted := feed(t, journal(t, path))
	for _, v := range copies {
		for i := 0; i <= len(v); i += 3 {
			for _, variant := range []string{v, v[:i], v + "=", v[:i] + "A" + v[i:], v[:i] + "=" + v[i:]} {
				if passes(f, variant) || passes(restarted, variant) {
					t.Fatalf("%.30q… passes after sign-out", variant)
				}
			}
		}
	}
}

func TestJournalSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	j := journal(t, path)
	nb := time.Now()
	odd := "a b\n\"ä\x00"
	if err := j.Append(t.Context(), endSID("one"), Revocation{Kind: RevokeSubject, Issuer: odd, Value: odd, NotBefore: nb, Expires: nb.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFileJournal(path); !errors.Is(err, ErrJournalInUse) {
		t.Errorf("a second process: %v, want ErrJournalInUse", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(t.Context(), endSID("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	again := journal(t, path)
	rs, seq, err := again.Since(t.Context(), 0)
	if err != nil || seq != 2 || len(rs) != 2 || rs[0].Value != "one" || rs[1].Issuer != odd || rs[1].Value != odd || !rs[1].NotBefore.Equal(nb) {
		t.Errorf("%+v, %d, %v", rs, seq, err)
	}
	if rs, _, _ := again.Since(t.Context(), 1); len(rs) != 1 || rs[0].Seq != 2 {
		t.Errorf("since 1: %+v", rs)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestTornLastLineIsDropped(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "revocations")
	j := journal(t, path)
	if err := j.Append(t.Context(), endSID("one"), endSID("two"), endSID("three")); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lastLine := strings.LastIndex(strings.TrimSuffix(string(whole), "\n"), "\n") + 1
	for cut := 0; cut < len(whole); cut += 5 {
		torn := filepath.Join(dir, fmt.Sprint("torn", cut))
		if err := os.WriteFile(torn, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := OpenFileJournal(torn)
		if err != nil {
			t.Fatalf("cut to %d bytes: %v", cut, err)
		}
		rs, _, _ := j.Since(t.Context(), 0)
		if cut >= lastLine && len(rs) != 2 {
			t.Fatalf("cut to %d bytes: %d revocations, want 2", cut, len(rs))
		}
		// It goes on where it was whole.
		if err := j.Append(t.Context(), endSID("four")); err != nil {
			t.Fatal(err)
		}
		_ = j.Close()
		reopened := journal(t, torn)
		if after, _, _ := reopened.Since(t.Context(), 0); len(after) != len(rs)+1 {
			t.Fatalf("cut to %d bytes: %d revocations after one more", cut, len(after))
		}
	}
	zeros := filepath.Join(dir, "zeros")
	if err := os.WriteFile(zeros, append(whole[:lastLine:lastLine], "\x00\x00\x00\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	journal(t, zeros)
}

func TestDamagedFileIsNotBelieved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "revocations")
	j := journal(t, path)
	if err := j.Append(t.Context(), endSID("one"), endSID("two")); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	whole, _ := os.ReadFile(path)
	for i := range whole {
		if whole[i] == '\n' {
			continue
		}
		damaged := append([]byte(nil), whole...)
		damaged[i] ^= 1
		if damaged[i] == '\n' {
			continue
		}
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if j, err := OpenFileJournal(path); err == nil {
			_ = j.Close()
			t.Fatalf("byte %d flipped and nobody noticed", i)
		}
	}
	loose := filepath.Join(dir, "loose")
	if err := os.WriteFile(loose, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFileJournal(loose); err == nil {
		t.Error("accepted a file others can read")
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(loose, link); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFileJournal(link); err == nil {
		t.Error("followed a symbolic link")
	}
}

func TestJournalForgetsWhatHasExpired(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	synctest.Test(t, func(t *testing.T) {
		j := journal(t, path)
		for i := range 2 * compactAt {
			if err := j.Append(t.Context(), Revocation{Kind: RevokeSID, Value: fmt.Sprint(i), Expires: time.Now().Add(time.Minute)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if j.lines > compactAt+2 {
			t.Errorf("%d lines", j.lines)
		}
		rs, seq, err := j.Since(t.Context(), 0)
		if err != nil || seq != 2*compactAt || len(rs) > 60 || len(rs) < 58 {
			t.Errorf("%d live, last %d, %v", len(rs), seq, err)
		}
		_ = j.Close()
		again := journal(t, path)
		if rs, _, _ := again.Since(t.Context(), 0); len(rs) > 60 || len(rs) < 58 {
			t.Errorf("%d live after a restart", len(rs))
		}
	})
}

// brokenJournal fails as long as down says so.
type brokenJournal struct {
	memoryJournal
	mu   sync.Mutex
	down bool
}

func (b *brokenJournal) set(down bool) {
	b.mu.Lock()
	b.down = down
	b.mu.Unlock()
}

func (b *brokenJournal) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return errors.New("disk full")
	}
	return nil
}

func (b *brokenJournal) Append(ctx context.Context, rs ...Revocation) error {
	return errors.Join(b.err(), b.memoryJournal.Append(ctx, rs...))
}

func (b *brokenJournal) Since(ctx context.Context, seq int64) ([]Revocation, int64, error) {
	if err := b.err(); err != nil {
		return nil, 0, err
	}
	return b.memoryJournal.Since(ctx, seq)
}

func TestFeedHearsOtherProcessesAndTellsWhenItIsDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &brokenJournal{}
		f := feed(t, j)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { f.Run(ctx); close(done) }()

		changed, generation := f.Changed(), f.Generation()
		// Another process writes.
		if err := j.Append(ctx, endSID("elsewhere")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(pollEvery + time.Millisecond)
		select {
		case <-changed:
		default:
			t.Error("nobody was told of the change")
		}
		if !f.Revoked(&Identity{SID: "elsewhere"}) || f.Generation() == generation {
			t.Error("not heard within half a second")
		}
		_ = j.Append(ctx, endSID("woken"))
		f.Wake()
		synctest.Wait()
		if !f.Revoked(&Identity{SID: "woken"}) {
			t.Error("not heard when woken")
		}

		j.set(true)
		if err := f.Revoke(ctx, endSID("lost")); err == nil {
			t.Error("a revocation that was not written counts as done")
		}
		time.Sleep(29 * time.Second)
		if !f.Fresh(time.Now()) {
			t.Error("deaf too early")
		}
		time.Sleep(2 * time.Second)
		if f.Fresh(time.Now()) {
			t.Error("still believed after 30 s without news")
		}
		j.set(false)
		time.Sleep(time.Second)
		if !f.Fresh(time.Now()) {
			t.Error("did not heal")
		}
		quiet := f.Changed()
		time.Sleep(10 * time.Second)
		select {
		case <-quiet:
			t.Error("told of a change where there was none")
		default:
		}
		stop()
		<-done
	})
}

func TestRevokeIsVisibleAtOnce(t *testing.T) {
	f := feed(t, journal(t, filepath.Join(t.TempDir(), "revocations")))
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			sid := fmt.Sprint(i)
			if err := f.Revoke(t.Context(), endSID(sid)); err != nil {
				t.Error(err)
			}
			if !f.Revoked(&Identity{SID: sid}) {
				t.Errorf("%s not revoked when Revoke returned", sid)
			}
		})
	}
	group.Wait()
}

func TestBootOnlyWithoutAJournal(t *testing.T) {
	a, b := feed(t, nil), feed(t, nil)
	if a.Boot() == "" || a.Boot() == b.Boot() {
		t.Errorf("boot ids %q and %q", a.Boot(), b.Boot())
	}
	if f := feed(t, journal(t, filepath.Join(t.TempDir(), "r"))); f.Boot() != "" {
		t.Errorf("boot id %q beside a journal", f.Boot())
	}
	down := &brokenJournal{down: true}
	if _, err := NewFeed(t.Context(), down, nil); err == nil {
		t.Error("a feed that could not read its journal")
	}
}
