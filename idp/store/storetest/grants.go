package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"gatehouse/idp/risk"
	"gatehouse/idp/signin"
	"gatehouse/idp/sso"
	"gatehouse/idp/token"
	"gatehouse/internal/audit"
)

func session(id, userID string, ticket byte) sso.Session {
	return sso.Session{
		ID: id, TicketHash: []byte{ticket}, UserID: userID, AuthTime: t0, Created: t0, Seen: t0, Expires: t0.Add(12 * time.Hour),
		AMR: []string{"pwd"}, IP: "192.0.2.1", UserAgent: "UA",
	}
}

func sessions(t *testing.T, s Store) {
	ctx := t.Context()
	v := session("s1", "u1", 1)
	must(t, s.Sessions().Insert(ctx, v))
	got, err := s.Sessions().FindByTicket(ctx, []byte{1})
	must(t, err)
	same(t, "session", got, v)
	for _, ticket := range [][]byte{{2}, nil} {
		_, err = s.Sessions().FindByTicket(ctx, ticket)
		wantErr(t, "FindByTicket of a stranger", err, sso.ErrNotFound)
	}
	noTicket := session("s0", "u1", 9)
	noTicket.TicketHash = nil
	if err := s.Sessions().Insert(ctx, noTicket); err == nil {
		t.Fatal("a session without a ticket was stored")
	}
	must(t, s.Sessions().Touch(ctx, "s1", t0.Add(time.Minute)))
	must(t, s.Sessions().Touch(ctx, "s1", t0))
	got, err = s.Sessions().FindByTicket(ctx, []byte{1})
	must(t, err)
	if !got.Seen.Equal(t0.Add(time.Minute)) {
		t.Fatalf("Seen = %v, want the latest", got.Seen)
	}
	must(t, s.Sessions().Delete(ctx, "s1"))
	must(t, s.Sessions().Delete(ctx, "s1"))
	wantErr(t, "Touch after Delete", s.Sessions().Touch(ctx, "s1", t0), sso.ErrNotFound)
	must(t, s.Sessions().Insert(ctx, session("s2", "u1", 2)))
	must(t, s.Sessions().Insert(ctx, session("s3", "u2", 3)))
	newer := session("s4", "u1", 4)
	newer.Created = newer.Created.Add(time.Minute)
	must(t, s.Sessions().Insert(ctx, newer))
	all, err := s.Sessions().OfUser(ctx, "u1")
	must(t, err)
	same(t, "sessions of u1, the newest first", all, []sso.Session{newer, session("s2", "u1", 2)})
	must(t, s.Sessions().DeleteForUser(ctx, "u1"))
	_, err = s.Sessions().FindByTicket(ctx, []byte{2})
	wantErr(t, "FindByTicket after DeleteForUser", err, sso.ErrNotFound)
	if _, err = s.Sessions().FindByTicket(ctx, []byte{3}); err != nil {
		t.Fatalf("another user's session: %v", err)
	}
}

func flows(t *testing.T, s Store) {
	ctx := t.Context()
	f := signin.Flow{ID: "f1", Kind: "authorize", Data: []byte{0, 255}, BrowserHash: []byte{1}, Created: t0, Expires: t0.Add(time.Minute)}
	must(t, s.Flows().Insert(ctx, f))
	got, err := s.Flows().Find(ctx, "f1")
	must(t, err)
	same(t, "flow", got, f)
	seen := make([]bool, Callers+1)
	atOnce(t, func(int) (bool, error) {
		n, err := s.Flows().CountTry(ctx, "f1")
		if err == nil {
			seen[n] = true
		}
		return true, err
	})
	for n := 1; n <= Callers; n++ {
		if !seen[n] {
			t.Fatalf("no caller was try %d of %d", n, Callers)
		}
	}
	for what, was := range map[string]signin.Flow{
		"another flow": {ID: "f2", Kind: f.Kind, Data: f.Data}, "another kind": {ID: f.ID, Kind: "used", Data: f.Data},
		"older data": {ID: f.ID, Kind: f.Kind, Data: []byte{1}},
	} {
		if won, err := s.Flows().Advance(ctx, was, []byte{9}); won || err != nil {
			t.Errorf("Advance from %s = %v, %v", what, won, err)
		}
	}
	if won := atOnce(t, func(i int) (bool, error) { return s.Flows().Advance(ctx, f, []byte{7, byte(i)}) }); won != 1 {
		t.Fatalf("%d callers went on from one step, want 1", won)
	}
	got, err = s.Flows().Find(ctx, "f1")
	must(t, err)
	f.Data, f.Tries = got.Data, Callers
	same(t, "advanced flow", got, f)
	if won := atOnce(t, func(int) (bool, error) { return s.Flows().Delete(ctx, "f1") }); won != 1 {
		t.Fatalf("%d callers finished one flow, want 1", won)
	}
	_, err = s.Flows().Find(ctx, "f1")
	wantErr(t, "Find", err, signin.ErrFlowNotFound)
	_, err = s.Flows().CountTry(ctx, "f1")
	wantErr(t, "CountTry", err, signin.ErrFlowNotFound)
	if won, err := s.Flows().Advance(ctx, f, []byte{8}); won || err != nil {
		t.Errorf("Advance of a flow that has ended = %v, %v", won, err)
	}
}

func tries(t *testing.T, s Store) {
	ctx := t.Context()
	try := risk.Try{Account: "alice", Now: t0, Free: 5, MaxWait: 15 * time.Minute}
	let := atOnce(t, func(int) (bool, error) {
		wait, err := s.Tries().Count(ctx, try)
		return wait == 0, err
	})
	if let != 5 {
		t.Fatalf("%d of %d guesses at once were let through, want 5", let, Callers)
	}
	for n := 1; n <= 12; n++ {
		wait, err := s.Tries().Count(ctx, try)
		must(t, err)
		if want := min(time.Second<<(n-1), 15*time.Minute); wait != want {
			t.Fatalf("after %d tries the wait is %v, want %v", n+4, wait, want)
		}
		try.Now = try.Now.Add(wait - time.Millisecond)
		if wait, err = s.Tries().Count(ctx, try); err != nil || wait != time.Millisecond {
			t.Fatalf("a millisecond early: wait %v, %v", wait, err)
		}
		try.Now = try.Now.Add(time.Millisecond)
		if wait, err = s.Tries().Count(ctx, try); err != nil || wait != 0 {
			t.Fatalf("after the wait: wait %v, %v", wait, err)
		}
	}
	other := try
	other.Account = "bob"
	if wait, err := s.Tries().Count(ctx, other); err != nil || wait != 0 {
		t.Fatalf("another account: wait %v, %v", wait, err)
	}
	must(t, s.Tries().Clear(ctx, "alice"))
	if wait, err := s.Tries().Count(ctx, try); err != nil || wait != 0 {
		t.Fatalf("after Clear: wait %v, %v", wait, err)
	}
}

func grant(sessionID, userID string) token.Authorization {
	return token.Authorization{
		ClientID: "web", UserID: userID, SessionID: sessionID, Scopes: []string{"openid", "email"}, AuthTime: t0,
		ACR: "a", AMR: []string{"pwd", "otp"},
	}
}

func codeRow(hash byte, sessionID, userID string) token.Code {
	c := token.Code{
		Hash: []byte{hash}, Authorization: grant(sessionID, userID), RedirectURI: "https://a/cb", Challenge: "c", Family: fmt.Sprint("f", hash),
		Created: t0, Expires: t0.Add(time.Minute),
	}
	c.Nonce = "n"
	return c
}

func code(t *testing.T, s Store) {
	ctx := t.Context()
	c := codeRow(1, "s1", "u1")
	must(t, s.Codes().Insert(ctx, c))
	_, err := s.Codes().Consumed(ctx, c.Hash)
	wantErr(t, "Consumed before Consume", err, token.ErrNotFound)
	won := atOnce(t, func(int) (bool, error) {
		got, err := s.Codes().Consume(ctx, c.Hash, t0.Add(time.Hour))
		if errors.Is(err, token.ErrNotFound) {
			return false, nil
		}
		if err == nil && (got.Nonce != c.Nonce || got.Challenge != c.Challenge || len(got.Scopes) != 2 || len(got.AMR) != 2 || !got.Expires.Equal(c.Expires)) {
			err = fmt.Errorf("consumed %+v, want %+v", got, c)
		}
		return err == nil, err
	})
	if won != 1 {
		t.Fatalf("%d callers consumed one code, want 1", won)
	}
	family, err := s.Codes().Consumed(ctx, c.Hash)
	must(t, err)
	if family != "f1" {
		t.Fatalf("Consumed = %q, want f1", family)
	}
}

func familyRow(id, sessionID, userID string) token.Family {
	return token.Family{ID: id, Authorization: grant(sessionID, userID), Created: t0, Expires: t0.Add(time.Hour)}
}

func family(t *testing.T, s Store) {
	ctx := t.Context()
	f := familyRow("f1", "s1", "u1")
	must(t, s.Families().Insert(ctx, f, []byte{1}))
	got, row, err := s.Families().Find(ctx, []byte{1})
	must(t, err)
	same(t, "family", got, f)
	same(t, "token", row, token.Refresh{Hash: []byte{1}})
	won := atOnce(t, func(i int) (bool, error) {
		// Two different successors would be two branches of one family.
		return s.Families().Rotate(ctx, []byte{1}, []byte{2, byte(i)}, t0.Add(time.Second))
	})
	if won != 1 {
		t.Fatalf("%d callers rotated one token, want 1", won)
	}
	_, row, err = s.Families().Find(ctx, []byte{1})
	must(t, err)
	if !row.Rotated.Equal(t0.Add(time.Second)) {
		t.Fatalf("Rotated = %v", row.Rotated)
	}
	_, next, err := s.Families().Find(ctx, row.Successor)
	must(t, err)
	same(t, "successor", next, token.Refresh{Hash: row.Successor})
	successors := 0
	for i := range Callers {
		if _, _, err := s.Families().Find(ctx, []byte{2, byte(i)}); err == nil {
			successors++
		}
	}
	if successors != 1 {
		t.Fatalf("the token has %d successors, want 1", successors)
	}
	if won := atOnce(t, func(int) (bool, error) { return s.Families().End(ctx, "f1") }); won != 1 {
		t.Fatalf("%d callers ended one family, want 1", won)
	}
	for _, hash := range [][]byte{{1}, row.Successor} {
		_, _, err = s.Families().Find(ctx, hash)
		wantErr(t, "Find after End", err, token.ErrNotFound)
	}
	if ok, err := s.Families().Rotate(ctx, row.Successor, []byte{3}, t0); ok || err != nil {
		t.Fatalf("Rotate after End = %v, %v", ok, err)
	}
}

func ending(t *testing.T, s Store) {
	ctx := t.Context()
	fill := func() {
		for i, u := range []string{"u1", "u2"} {
			id := fmt.Sprint(i + 1)
			must(t, s.Sessions().Insert(ctx, session("s"+id, u, byte(i+1))))
			must(t, s.Codes().Insert(ctx, codeRow(byte(i+1), "s"+id, u)))
			must(t, s.Families().Insert(ctx, familyRow("f"+id, "s"+id, u), []byte{byte(i + 1)}))
		}
	}
	alive := func(i byte) (session, code, family bool) {
		_, err := s.Sessions().FindByTicket(ctx, []byte{i})
		session = err == nil
		_, _, err = s.Families().Find(ctx, []byte{i})
		family = err == nil
		_ = s.InTx(ctx, func(ctx context.Context) error {
			_, err := s.Codes().Consume(ctx, []byte{i}, t0)
			code = err == nil
			return errors.New("look only")
		})
		return session, code, family
	}
	want := func(what string, i byte, session, code, family bool) {
		t.Helper()
		if a, b, c := alive(i); a != session || b != code || c != family {
			t.Errorf("%s: session, code, family of %d live = %v %v %v, want %v %v %v", what, i, a, b, c, session, code, family)
		}
	}
	fill()
	must(t, s.EndUser(ctx, "u1"))
	want("EndUser(u1)", 1, false, false, false)
	want("EndUser(u1)", 2, true, true, true)
	must(t, s.EndUser(ctx, "u2"))
	fill()
	must(t, s.EndClient(ctx, "web"))
	want("EndClient", 1, true, false, false)
	want("EndClient", 2, true, false, false)
}

// revokedSession: a revoked sid takes row, codes and families along, and leaves
// a revocation for each family, in one transaction.
func revokedSession(t *testing.T, s Store) {
	ctx := t.Context()
	for i, id := range []string{"1", "2"} {
		must(t, s.Sessions().Insert(ctx, session("s"+id, "u1", byte(i+1))))
		must(t, s.Codes().Insert(ctx, codeRow(byte(i+1), "s"+id, "u1")))
		must(t, s.Families().Insert(ctx, familyRow("f"+id, "s"+id, "u1"), []byte{byte(i + 1)}))
	}
	end := func(ctx context.Context, issuer string) error {
		return s.Append(ctx, audit.Event{Type: "session.ended", Revoke: []audit.Revoke{
			{Kind: audit.KindIssuerSID, Issuer: issuer, Value: "s1", Expires: time.Now().Add(time.Minute)},
		}})
	}
	broken := errors.New("broken")
	must(t, end(ctx, "https://other"))
	wantErr(t, "InTx", s.InTx(ctx, func(ctx context.Context) error { return errors.Join(end(ctx, ""), broken) }), broken)
	_, err := s.Sessions().FindByTicket(ctx, []byte{1})
	must(t, err)
	_, _, err = s.Families().Find(ctx, []byte{1})
	must(t, err)
	must(t, end(ctx, ""))
	_, err = s.Sessions().FindByTicket(ctx, []byte{1})
	wantErr(t, "the revoked session", err, sso.ErrNotFound)
	_, err = s.Codes().Consume(ctx, []byte{1}, t0)
	wantErr(t, "its code", err, token.ErrNotFound)
	_, _, err = s.Families().Find(ctx, []byte{1})
	wantErr(t, "its family", err, token.ErrNotFound)
	revoked, err := s.Revoked(ctx, token.Handles{OriginJTI: "f1"})
	must(t, err)
	if !revoked {
		t.Error("tokens of the ended family are not revoked")
	}
	rows, _, err := s.RevocationsSince(ctx, 1)
	must(t, err)
	// A token may outlive what whoever ended the session thought of.
	if len(rows) != 2 || rows[0].Value != "s1" || rows[1].Value != "f1" || !rows[1].Expires.After(rows[0].Expires.Add(time.Hour)) {
		t.Errorf("revocations = %+v, want s1 and, for long, f1", rows)
	}
	if _, err := s.Sessions().FindByTicket(ctx, []byte{2}); err != nil {
		t.Errorf("another session: %v", err)
	}
	if _, _, err := s.Families().Find(ctx, []byte{2}); err != nil {
		t.Errorf("another session's family: %v", err)
	}
	must(t, s.Sessions().Insert(ctx, session("s1", "u1", 9)))
	_, err = s.Sessions().FindByTicket(ctx, []byte{9})
	wantErr(t, "a session with a revoked id", err, sso.ErrNotFound)
}

func sweep(t *testing.T, s Store) {
	ctx := t.Context()
	now := time.Now()
	live, dead := session("s1", "u1", 1), session("s2", "u1", 2)
	live.Expires, dead.Expires = now.Add(time.Hour), now.Add(-time.Hour)
	must(t, s.Sessions().Insert(ctx, live))
	must(t, s.Sessions().Insert(ctx, dead))
	recent, old := familyRow("f1", "s1", "u1"), familyRow("f2", "s1", "u1")
	recent.Expires, old.Expires = now.Add(-time.Hour), now.Add(-25*time.Hour)
	must(t, s.Families().Insert(ctx, recent, []byte{1}))
	must(t, s.Families().Insert(ctx, old, []byte{2}))
	must(t, s.Sweep(ctx))
	if _, err := s.Sessions().FindByTicket(ctx, []byte{1}); err != nil {
		t.Errorf("a living session was swept: %v", err)
	}
	_, err := s.Sessions().FindByTicket(ctx, []byte{2})
	wantErr(t, "a dead session", err, sso.ErrNotFound)
	if _, _, err := s.Families().Find(ctx, []byte{1}); err != nil {
		t.Errorf("a family whose tokens may live was swept: %v", err)
	}
	_, _, err = s.Families().Find(ctx, []byte{2})
	wantErr(t, "an old family", err, token.ErrNotFound)
}
