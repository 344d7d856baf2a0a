package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/idp/account"
	"gatehouse/idp/client"
	"gatehouse/idp/keys"
	"gatehouse/idp/mfa"
	"gatehouse/idp/notify"
	"gatehouse/idp/pool"
	"gatehouse/idp/pool/transfer"
	"gatehouse/idp/risk"
	"gatehouse/idp/signin"
	"gatehouse/idp/sso"
	"gatehouse/idp/token"
	"gatehouse/internal/audit"
)

// Store is what a store of the provider serves.
type Store interface {
	audit.Journal
	pool.Ender
	client.Ender
	token.Revocations
	Users() pool.Users
	Tombstones() pool.Tombstones
	Hashes() pool.Hashes
	Groups() pool.Groups
	Members() pool.Members
	Bulk() transfer.Rows
	Marks() transfer.Marks
	Clients() client.Rows
	Scopes() client.ScopeRows
	Keys() keys.Rows
	Outbox() notify.Rows
	Sessions() sso.Sessions
	SignUps() account.SignUps
	Unconfirmed() account.Unconfirmed
	AccountCodes() account.Codes
	AccountLimits() account.Limits
	Flows() signin.Flows
	Tries() risk.Tries
	Codes() token.Codes
	Families() token.Families
	MFAPeople() mfa.People
	MFASecrets() mfa.Secrets
	MFASeals() mfa.Seals
	MFARecovery() mfa.RecoveryCodes
	MFASent() mfa.SentCodes
	MFAPasskeys() mfa.Passkeys
	MFADevices() mfa.Devices
	MFACounts() mfa.Counts
	MFASpent() mfa.Spent
	EventsSince(ctx context.Context, seq int64, limit int) ([]audit.Event, error)
	RevocationsSince(ctx context.Context, seq int64) ([]audit.Revoke, int64, error)
	Changed() <-chan struct{}
	Sweep(ctx context.Context) error
}

// Callers is how many callers come at once where a promise is about that.
const Callers = 50

// t0 is when the rows of the suite are made.
var t0 = time.Date(2030, 1, 2, 3, 4, 5, 678e6, time.UTC)

// Run tests every promise against a new store each.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, part := range []struct {
		name string
		test func(t *testing.T, s Store)
	}{
		{"TransactionRollsBackAsAWhole", rollsBack},
		{"EventsHaveNoGapsAndWakeReaders", events},
		{"RevocationsAreFoundByEveryHandle", revocations},
		{"UsersKeepTheirFields", userFields},
		{"NamesBelongToOneUser", names},
		{"EarlierPasswordsAreKeptInOrder", earlierPasswords},
		{"HashesOfOtherKindsAreFound", otherHashes},
		{"GroupsAndMembers", groups},
		{"ManyUsersGoInTogetherOrNotAtAll", bulk},
		{"ManyUsersAtOnceHaveOneWinner", bulkAtOnce},
		{"MarksAreSwappedOnce", marks},
		{"ClientsKeepTheirFields", clientFields},
		{"ScopesGoWithTheirServer", scopes},
		{"TokenKeysAreOrdered", tokenKeys},
		{"SessionsAreFoundByTicket", sessions},
		{"FlowsEndOnce", flows},
		{"TriesAreCountedBeforeTheCheck", tries},
		{"CodeWorksOnce", code},
		{"RefreshTokenHasOneSuccessor", family},
		{"EndingAUserEndsAllOfIt", ending},
		{"ARevokedSessionTakesItsGrantsAlong", revokedSession},
		{"MessagesAreClaimedForAWhile", messages},
		{"MessageIsClaimedOnce", messagesAtOnce},
		{"SignUpsKeepTheirFields", signUpFields},
		{"SignUpOfTheSameIDWaitsForTheEndOfTheFirst", signUpAgain},
		{"SignUpIsTakenOnce", signUpOnce},
		{"AccountCodesAreOneForEachPurpose", accountCodes},
		{"AccountCodeIsTakenOnce", accountCodeOnce},
		{"LimitsCountInAWindow", limits},
		{"SweepLeavesWhatLives", sweep},
		{"PersonHasOneHandle", factorState},
		{"TOTPStepIsUsedOnce", factorSecrets},
		{"FactorsOfManyGoInTogetherOrNotAtAll", factorsOfMany},
		{"SealedSecretsAreListedAndResealed", factorSeals},
		{"RecoveryCodeIsTakenOnce", recoveryCodes},
		{"SentCodeIsBoundCountedAndTakenOnce", sentCodes},
		{"PasskeyBelongsToOneAndItsCounterGoesForward", passkeys},
		{"DeviceTokenRotatesOnce", devices},
		{"CountsHoldAtOnce", counts},
		{"ArtefactIsSpentOnce", spent},
		{"FactorsGoWithTheirUser", factorsGoWithTheirUser},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t)) })
	}
}

// atOnce runs do in Callers goroutines that start together and returns how many
// reported true.
func atOnce(t *testing.T, do func(i int) (bool, error)) int {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := 0
	start := make(chan struct{})
	for i := range Callers {
		wg.Go(func() {
			<-start
			ok, err := do(i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
			if ok {
				count++
			}
		})
	}
	close(start)
	wg.Wait()
	return count
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("%s: error = %v, want %v", what, got, want)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s differs (-want +got):\n%s", what, diff)
	}
}

func rollsBack(t *testing.T, s Store) {
	ctx := t.Context()
	broken := errors.New("broken")
	changed := s.Changed()
	err := s.InTx(ctx, func(ctx context.Context) error {
		must(t, s.Users().Insert(ctx, user("u1", "alice"), []string{"alice"}))
		must(t, s.Append(ctx, audit.Event{Type: "user.created"}))
		if _, err := s.Users().Get(ctx, "u1"); err != nil {
			t.Errorf("inside the transaction: %v", err)
		}
		if _, err := s.Users().Get(t.Context(), "u1"); !errors.Is(err, pool.ErrNotFound) {
			t.Errorf("outside before commit: error = %v, want ErrNotFound", err)
		}
		return s.InTx(ctx, func(context.Context) error { return broken })
	})
	wantErr(t, "InTx", err, broken)
	_, err = s.Users().Get(ctx, "u1")
	wantErr(t, "Get after rollback", err, pool.ErrNotFound)
	all, err := s.EventsSince(ctx, 0, 10)
	must(t, err)
	if len(all) != 0 {
		t.Fatalf("events after rollback = %v, want none", all)
	}
	select {
	case <-changed:
		t.Fatal("a rolled back event woke the readers")
	default:
	}
}

func events(t *testing.T, s Store) {
	ctx := audit.WithActor(t.Context(), audit.Actor{Name: "os:root", IP: "192.0.2.1"})
	changed := s.Changed()
	atOnce(t, func(int) (bool, error) {
		return true, s.Append(ctx, audit.Event{
			Type: "user.disabled", Target: "u1", Client: "web", At: t0, Detail: map[string]string{"a": "b"},
			Revoke: []audit.Revoke{{Kind: audit.KindSubject, Value: "u1"}, {Kind: audit.KindJTI, Value: "j", Issuer: "https://x"}},
		})
	})
	select {
	case <-changed:
	default:
		t.Fatal("committed events did not wake the readers")
	}
	all, err := s.EventsSince(ctx, 0, 1000)
	must(t, err)
	for i, e := range all {
		if e.Seq != int64(i+1) || e.Revoke[0].Seq != int64(2*i+1) || e.Revoke[1].Seq != int64(2*i+2) {
			t.Fatalf("event %d has Seq %d and revocations %d, %d", i, e.Seq, e.Revoke[0].Seq, e.Revoke[1].Seq)
		}
	}
	if len(all) != Callers {
		t.Fatalf("%d events, want %d", len(all), Callers)
	}
	e := all[0]
	e.Revoke = nil
	same(t, "event", e, audit.Event{
		Seq: 1, At: t0, Type: "user.disabled", Actor: "os:root", ActorIP: "192.0.2.1", Target: "u1",
		Client: "web", Detail: map[string]string{"a": "b"},
	})
	last, err := s.EventsSince(ctx, Callers-1, 1000)
	must(t, err)
	if len(last) != 1 {
		t.Fatalf("EventsSince(%d) = %d events, want 1", Callers-1, len(last))
	}
	if err := s.Append(ctx, audit.Event{Type: "x", Revoke: []audit.Revoke{{Kind: audit.KindSubject}}}); err == nil {
		t.Fatal("a revocation without a value was accepted")
	}
}

func revocations(t *testing.T, s Store) {
	ctx := t.Context()
	// What a row keeps is compared in its own time, which is now for expiry.
	soon := time.Now().Add(time.Hour)
	old := time.Now().Add(-time.Hour)
	must(t, s.Append(ctx, audit.Event{Type: "x", At: t0, Revoke: []audit.Revoke{
		{Kind: audit.KindSubject, Value: "u1", Expires: soon},
		{Kind: audit.KindClient, Value: "web", Expires: soon},
		{Kind: audit.KindOriginJTI, Value: "o1", Expires: soon},
		{Kind: audit.KindJTI, Value: "j1", Expires: soon},
		{Kind: audit.KindIssuerSID, Value: "s1", Expires: soon},
		{Kind: audit.KindJTI, Value: "j2", Expires: old},
		{Kind: audit.KindJTI, Value: "j3", Issuer: "https://other", Expires: soon},
		{Kind: audit.KindSubject, Value: "u3", NotBefore: t0.Truncate(time.Second), Expires: soon},
	}}))
	before, after := t0.Truncate(time.Second), t0.Truncate(time.Second).Add(time.Second)
	for _, c := range []struct {
		h    token.Handles
		want bool
	}{
		{token.Handles{Subject: "u1", IssuedAt: before}, true},
		{token.Handles{Subject: "u1", IssuedAt: after}, false},
		{token.Handles{Subject: "u2", IssuedAt: before}, false},
		{token.Handles{Subject: "u3", IssuedAt: before}, true}, // at the very time
		{token.Handles{ClientID: "web", IssuedAt: before}, true},
		{token.Handles{ClientID: "web", IssuedAt: after}, false},
		{token.Handles{Subject: "web", IssuedAt: before}, false},
		{token.Handles{OriginJTI: "o1", IssuedAt: after}, true},
		{token.Handles{JTI: "j1", IssuedAt: after}, true},
		{token.Handles{JTI: "o1", IssuedAt: after}, false},
		{token.Handles{SessionID: "s1", IssuedAt: after}, true},
		{token.Handles{JTI: "j3", IssuedAt: after}, false},
		{token.Handles{}, false},
	} {
		got, err := s.Revoked(ctx, c.h)
		must(t, err)
		if got != c.want {
			t.Errorf("Revoked(%+v) = %v, want %v", c.h, got, c.want)
		}
	}
	rows, highest, err := s.RevocationsSince(ctx, 2)
	must(t, err)
	var values []string
	for _, r := range rows {
		values = append(values, r.Value)
	}
	same(t, "unexpired revocations", values, []string{"o1", "j1", "s1", "j3", "u3"})
	if highest != 8 {
		t.Fatalf("highest = %d, want 8", highest)
	}
}
