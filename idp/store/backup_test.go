package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/idp/client"
	"gatehouse/idp/keys"
	"gatehouse/idp/pool"
	"gatehouse/idp/sso"
	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
	"gatehouse/idp/token"
	"gatehouse/internal/audit"
)

// places opens a database of each engine again and again.
type place struct {
	engine string
	config store.Config
	dir    string
}

func newPlace(t *testing.T, engine string) place {
	t.Helper()
	p := place{engine: engine, dir: t.TempDir()}
	if p.config.Defaults(); engine == "postgres" {
		p.config = storetest.EmptyPostgres(t)
	}
	return p
}

func (p place) open(t *testing.T) *store.DB {
	t.Helper()
	db, err := p.config.Open(t.Context(), p.dir, store.Options{Create: true, Migrate: true, Sealer: storetest.Sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func backupOf(t *testing.T, db *store.DB) []byte {
	t.Helper()
	var file bytes.Buffer
	if _, err := db.Backup(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill gives a database a person, a client, and something alive of each kind.
func fill(t *testing.T, db *store.DB) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	u := pool.User{ID: "u1", Username: "alice", Email: "alice@example.com", Name: "Ålice \"A\"\n", Enabled: true, Status: "confirmed", PasswordHash: "$argon2id$x", Created: now, Updated: now}
	precedence := 3
	check(t, db.Users().Insert(ctx, u, []string{"alice", "alice@example.com"}))
	check(t, db.Groups().Insert(ctx, pool.Group{Name: "admins", Precedence: &precedence}))
	check(t, db.Groups().Insert(ctx, pool.Group{Name: "staff"}))
	_, err := db.Members().Join(ctx, "u1", "admins")
	check(t, err)
	check(t, db.Clients().Insert(ctx, client.Client{ID: "web", Name: "Web", Created: now, Updated: now}))
	check(t, db.Keys().Insert(ctx, keys.Row{ID: "k1", Alg: "RS256", Sealed: []byte("sealed key"), Created: now, Signs: now}))
	check(t, db.Sessions().Insert(ctx, storetest.Session("s1", "u1")))
	check(t, db.Families().Insert(ctx, familyOf("f1", now), []byte{1}))
	check(t, db.Codes().Insert(ctx, token.Code{Hash: []byte{9}, Created: now, Expires: now.Add(time.Hour)}))
	check(t, db.Append(ctx, audit.Event{Type: "user.created", Target: "u1", Revoke: []audit.Revoke{{Kind: audit.KindJTI, Value: "j1"}}}))
}

func TestBackupComesBackOnEitherEngine(t *testing.T) {
	for _, way := range [][2]string{{"sqlite", "sqlite"}, {"sqlite", "postgres"}, {"postgres", "sqlite"}, {"postgres", "postgres"}} {
		t.Run(way[0]+" to "+way[1], func(t *testing.T) {
			from := newPlace(t, way[0]).open(t)
			defer from.Close()
			fill(t, from)
			to := newPlace(t, way[1])
			restore(t, to, backupOf(t, from))
			db := to.open(t)
			defer db.Close()
			ctx := t.Context()
			want, err := from.Users().Find(ctx, "alice@example.com")
			check(t, err)
			got, err := db.Users().Find(ctx, "alice@example.com")
			check(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("alice differs (-want +got):\n%s", diff)
			}
			if groups, err := db.Members().GroupsOf(ctx, "u1"); err != nil || len(groups) != 1 || *groups[0].Precedence != 3 {
				t.Errorf("her groups = %+v, %v", groups, err)
			}
			nothingOfBeforeLives(t, db)
			if revoked, err := db.Revoked(ctx, token.Handles{JTI: "j1", IssuedAt: time.Now().Add(time.Hour)}); err != nil || !revoked {
				t.Errorf("a revocation of before is gone (%v)", err)
			}
			events, err := db.EventsSince(ctx, 0, 10)
			if err != nil || len(events) != 2 || events[0].Type != "user.created" || events[1].Type != "store.restored" || events[1].Actor != "os:root" {
				t.Errorf("events = %+v, %v", events, err)
			}
		})
	}
}

func restore(t *testing.T, to place, file []byte) {
	t.Helper()
	info, err := store.ReadBackup(bytes.NewReader(file))
	check(t, err)
	check(t, info.Check(storetest.Sealer(t)))
	db := to.open(t)
	defer db.Close()
	check(t, db.Restore(audit.WithActor(t.Context(), audit.Actor{Name: "os:root"}), bytes.NewReader(file)))
}

func nothingOfBeforeLives(t *testing.T, db *store.DB) {
	t.Helper()
	ctx := t.Context()
	if _, err := db.Sessions().FindByTicket(ctx, storetest.Session("s1", "u1").TicketHash); !errors.Is(err, sso.ErrNotFound) {
		t.Errorf("the session of before: %v, want ErrNotFound", err)
	}
	if _, _, err := db.Families().Find(ctx, []byte{1}); !errors.Is(err, token.ErrNotFound) {
		t.Errorf("the refresh token of before: %v, want ErrNotFound", err)
	}
	if _, err := db.Codes().Consume(ctx, []byte{9}, time.Now()); !errors.Is(err, token.ErrNotFound) {
		t.Errorf("the code of before: %v, want ErrNotFound", err)
	}
	if have, err := db.Keys().List(ctx); err != nil || len(have) != 0 {
		t.Errorf("signing keys = %v, %v; want none", have, err)
	}
	for _, c := range []struct {
		at   time.Time
		want bool
	}{{time.Now().Add(-time.Second), true}, {time.Now().Add(time.Hour), false}} {
		if revoked, err := db.Revoked(ctx, token.Handles{ClientID: "web", IssuedAt: c.at}); err != nil || revoked != c.want {
			t.Errorf("a token of %s is revoked: %v, %v; want %v", c.at, revoked, err, c.want)
		}
	}
}

func TestReplacedDatabaseKeepsNothingOfItsOwn(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			p := newPlace(t, engine)
			db := p.open(t)
			fill(t, db)
			file := backupOf(t, db)
			ctx := t.Context()
			// After the backup: eve comes, alice goes, a client is made, and so on.
			check(t, db.Users().Insert(ctx, pool.User{ID: "u2", Username: "eve"}, []string{"eve"}))
			check(t, db.Users().Delete(ctx, "u1"))
			check(t, db.Clients().Insert(ctx, client.Client{ID: "later"}))
			for range 5 {
				check(t, db.Append(ctx, audit.Event{Type: "x", Revoke: []audit.Revoke{{Kind: audit.KindSubject, Value: "u1"}}}))
			}
			_, read, err := db.RevocationsSince(ctx, 0)
			check(t, err)
			check(t, db.Close())
			restore(t, p, file)
			db = p.open(t)
			defer db.Close()
			if _, err := db.Users().Find(ctx, "eve"); !errors.Is(err, pool.ErrNotFound) {
				t.Errorf("eve: %v, want ErrNotFound", err)
			}
			if _, err := db.Users().Find(ctx, "alice"); err != nil {
				t.Errorf("alice: %v", err)
			}
			nothingOfBeforeLives(t, db)
			// A reader that was not stopped hears of all of it.
			rows, _, err := db.RevocationsSince(ctx, read)
			check(t, err)
			got := map[string]bool{}
			for _, r := range rows {
				got[r.Value] = true
			}
			if !got["web"] || !got["later"] {
				t.Errorf("revocations after number %d = %v, want the clients of then and now", read, rows)
			}
		})
	}
}

// A backup is of one moment, whatever is written meanwhile: here a counter and
// as many events.
func TestBackupUnderWritesIsOfOneMoment(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			db := newPlace(t, engine).open(t)
			defer db.Close()
			fill(t, db)
			ctx, cancel := context.WithCancel(t.Context())
			var writers sync.WaitGroup
			wrote := make(chan struct{}, 1)
			for range 4 {
				writers.Go(func() {
					for ctx.Err() == nil {
						err := db.Append(ctx, audit.Event{Type: "x", Revoke: []audit.Revoke{{Kind: audit.KindJTI, Value: "j"}}})
						if err != nil && ctx.Err() == nil {
							t.Error(err)
						}
						select {
						case wrote <- struct{}{}:
						default:
						}
					}
				})
			}
			var files [][]byte
			for range 5 {
				<-wrote
				files = append(files, backupOf(t, db))
			}
			cancel()
			writers.Wait()
			for _, file := range files {
				to := newPlace(t, "sqlite")
				restore(t, to, file)
				copied := to.open(t)
				events, err := copied.EventsSince(t.Context(), 0, 1<<20)
				check(t, err)
				for i, e := range events {
					if e.Seq != int64(i+1) || len(e.Revoke) == 0 {
						t.Fatalf("event %d has Seq %d and %d revocations", i, e.Seq, len(e.Revoke))
					}
				}
				check(t, copied.Close())
			}
		})
	}
}

func TestRestoreIsRefusedWhileSomebodyIsThere(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			p := newPlace(t, engine)
			server := p.open(t)
			fill(t, server)
			file := backupOf(t, server)
			db := p.open(t)
			if err := db.Restore(t.Context(), bytes.NewReader(file)); !errors.Is(err, store.ErrInUse) {
				t.Errorf("Restore beside a server = %v, want ErrInUse", err)
			}
			check(t, db.Close())
			if _, err := server.Users().Find(t.Context(), "alice"); err != nil {
				t.Errorf("after a refused restore: %v", err)
			}
			check(t, server.Append(t.Context(), audit.Event{Type: "x"}))
			check(t, server.Close())
			restore(t, p, file)
		})
	}
}

// intruder opens a database when the restore on it has begun to read.
type intruder struct {
	io.ReadSeeker
	once sync.Once
	do   func()
}

func (i *intruder) Read(p []byte) (int, error) {
	i.once.Do(i.do)
	return i.ReadSeeker.Read(p)
}

func TestNobodyComesInDuringARestore(t *testing.T) {
	p := newPlace(t, "sqlite")
	db := p.open(t)
	fill(t, db)
	file := backupOf(t, db)
	in := &intruder{ReadSeeker: bytes.NewReader(file), do: func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if other, err := p.config.Open(ctx, p.dir, store.Options{AnyKind: true}); err == nil {
			other.Close()
			t.Error("somebody opened the database")
		}
	}}
	check(t, db.Restore(t.Context(), in))
	check(t, db.Close())
	check(t, p.open(t).Close())
}

func TestBackupHoldsNoKeyAndNothingAlive(t *testing.T) {
	db := newPlace(t, "sqlite").open(t)
	defer db.Close()
	fill(t, db)
	file := string(backupOf(t, db))
	if !strings.Contains(file, "alice@example.com") || !strings.Contains(file, "$argon2id$x") {
		t.Fatal("the backup has no people: this test would show nothing")
	}
	for _, secret := range []string{`"s1"`, `"f1"`, `"k1"`} {
		if strings.Contains(file, secret) {
			t.Errorf("%s is in the backup", secret)
		}
	}
}

func TestBrokenBackupsAreRefused(t *testing.T) {
	p := newPlace(t, "sqlite")
	db := p.open(t)
	defer db.Close()
	fill(t, db)
	file := string(backupOf(t, db))
	lines := strings.SplitAfter(file, "\n")
	if _, err := store.ReadBackup(strings.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":             "",
		"another file":      "SQLite format 3\x00\n",
		"no end":            strings.Join(lines[:len(lines)-2], ""),
		"cut in a line":     file[:len(file)/2],
		"cut at the end":    strings.TrimSuffix(file, "\n"),
		"a row less":        strings.Replace(file, lines[2], "", 1),
		"a changed value":   strings.Replace(file, "alice", "alicf", 1),
		"a later form":      strings.Replace(file, `"format":1`, `"format":2`, 1),
		"a row first":       "[1]\n" + file,
		"a list in a row":   lines[0] + `{"table":"meta","columns":["name","value"]}` + "\n[[],1]\n",
		"half a number":     lines[0] + `{"table":"meta","columns":["name","value"]}` + "\n[1.5]\n",
		"the end comes too": lines[0] + lines[len(lines)-2] + file,
	} {
		if _, err := store.ReadBackup(strings.NewReader(text)); !errors.Is(err, store.ErrBackup) {
			t.Errorf("%s: %v, want ErrBackup", name, err)
		}
	}
}

func TestBackupsOfAnotherKindAreRefused(t *testing.T) {
	info := func(demo bool) store.BackupInfo {
		t.Helper()
		db, err := store.Open(t.Context(), store.File(t.TempDir()), store.Options{Demo: demo, Create: true, Migrate: true, Sealer: storetest.Sealer(t)})
		check(t, err)
		defer db.Close()
		i, err := store.ReadBackup(bytes.NewReader(backupOf(t, db)))
		check(t, err)
		return i
	}
	if err := info(false).Check(otherSealer(t)); !errors.Is(err, store.ErrSealingKey) {
		t.Errorf("another sealing key: %v, want ErrSealingKey", err)
	}
	if err := info(true).Check(storetest.Sealer(t)); !errors.Is(err, store.ErrDemo) {
		t.Errorf("a demo's: %v, want ErrDemo", err)
	}
	if err := (store.BackupInfo{}).Check(storetest.Sealer(t)); !errors.Is(err, store.ErrSchema) {
		t.Errorf("another version's: %v, want ErrSchema", err)
	}
}

// Who makes a table whose rows end by themselves says what a restore does with
// them: backup.go, survives.
func TestEveryTableThatEndsIsClassed(t *testing.T) {
	db := storetest.Open(t, nil)
	if names := store.Unclassed(t, db); len(names) > 0 {
		t.Errorf("tables with a column expires that backup.go does not name: %v", names)
	}
}

func FuzzReadBackup(f *testing.F) {
	f.Add([]byte("{\"gatehouse\":\"backup\",\"format\":1}\n{\"table\":\"meta\",\"columns\":[\"name\"]}\n[\"a\",1,null]\n{\"rows\":1,\"sha256\":\"x\"}\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if info, err := store.ReadBackup(bytes.NewReader(file)); err == nil && info.Rows > int64(bytes.Count(file, []byte("\n"))) {
			t.Errorf("%d rows in %d lines", info.Rows, bytes.Count(file, []byte("\n")))
		}
	})
}
