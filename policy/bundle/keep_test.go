package bundle

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/conf"
	"gatehouse/policy"
)

// afterwards closes the server and starts anew from dir.
func afterwards(t *testing.T, srv *server, cfg policy.Custom, dir string) (policy.Bundle, error) {
	t.Helper()
	srv.Close()
	s, _ := openSource(t, cfg, dir)
	b, err := s.Load(context.Background())
	if err == nil && s.Status().Err == nil {
		t.Error("Status has no Err while the server is away")
	}
	return b, err
}

func kept(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("kept are %v, %v, want one file", files, err)
	}
	return files[0]
}

func TestStartWithoutTheServerUsesTheKeptCopy(t *testing.T) {
	srv := serve(t, orders("r1").packed(t, &bySecret))
	dir := filepath.Join(t.TempDir(), "bundles")
	s, _ := openSource(t, entry(srv.URL), dir)
	if _, err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	srv.set(orders("r2").packed(t, &bySecret), "")
	if _, err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]os.FileMode{dir: 0o700, kept(t, dir): 0o600} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s is %v, %v, want %v", file, info.Mode(), err, want)
		}
	}
	if b, err := afterwards(t, srv, entry(srv.URL), dir); err != nil || b.Revision != "r2" || b.Name != srv.URL {
		t.Errorf("Load = %q, %v, want r2", b.Revision, err)
	}
	// The copy of one server is not another's.
	if b, err := afterwards(t, srv, entry(srv.URL+"/other"), dir); err == nil {
		t.Errorf("Load = %q of another URL", b.Revision)
	}
}

func TestKeptCopyIsVerifiedAgain(t *testing.T) {
	good := orders("r1").packed(t, &bySecret)
	for name, tamper := range map[string]func(file string) error{
		"changed": func(file string) error {
			return os.WriteFile(file, repacked(t, good, map[string]string{"/data.json": `{"acme": {"staff": ["eve"]}}`}), 0o600)
		},
		"unsigned":  func(file string) error { return os.WriteFile(file, orders("r1").packed(t, nil), 0o600) },
		"cut off":   func(file string) error { return os.WriteFile(file, good[:len(good)/2], 0o600) },
		"empty":     func(file string) error { return os.WriteFile(file, nil, 0o600) },
		"too large": func(file string) error { return os.Truncate(file, maxPacked+1) },
		"a link": func(file string) error {
			if err := os.Rename(file, file+".real"); err != nil {
				return err
			}
			return os.Symlink(file+".real", file)
		},
		"a folder": func(file string) error {
			if err := os.Remove(file); err != nil {
				return err
			}
			return os.Mkdir(file, 0o700)
		},
		"gone": os.Remove,
	} {
		srv, dir := serve(t, good), t.TempDir()
		s, _ := openSource(t, entry(srv.URL), dir)
		if _, err := s.Load(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := tamper(kept(t, dir)); err != nil {
			t.Fatal(err)
		}
		if b, err := afterwards(t, srv, entry(srv.URL), dir); err == nil {
			t.Errorf("%s: Load = %+v, want an error", name, b)
		}
	}
	// Another key than the one it was signed with.
	srv, dir := serve(t, good), t.TempDir()
	s, _ := openSource(t, entry(srv.URL), dir)
	if _, err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	cfg := entry(srv.URL)
	cfg.Secret = conf.Secret(strings.Repeat("x", 32))
	if b, err := afterwards(t, srv, cfg, dir); err == nil {
		t.Errorf("Load = %q under another key", b.Revision)
	}
}

func TestAFolderThatCannotBeWrittenIsTold(t *testing.T) {
	srv := serve(t, orders("r1").packed(t, &bySecret))
	s, log := openSource(t, entry(srv.URL), writeFile(t, "file", nil))
	if b, err := s.Load(context.Background()); err != nil || b.Revision != "r1" || log.lines() != 1 {
		t.Errorf("Load = %q, %v, want r1 and a line in the log:\n%s", b.Revision, err, log.String())
	}
}

// fileEntry is an unsigned bundle in a file beside the configuration.
func fileEntry(t *testing.T, raw []byte) (cfg policy.Custom, file string) {
	file = writeFile(t, "b.tar.gz", raw)
	pos := conf.Pos{File: filepath.Join(filepath.Dir(file), "gatehouse.yaml"), Line: 1}
	return policy.Custom{Pos: pos, Bundle: "b.tar.gz", KeyID: "gatehouse", Every: time.Minute}, file
}

func TestRunTellsOfNewerBundles(t *testing.T) {
	cfg, file := fileEntry(t, orders("r1").packed(t, nil))
	newer, broken := orders("r2").packed(t, nil), []byte("half")
	synctest.Test(t, func(t *testing.T) {
		s, log := openSource(t, cfg, "")
		if b, err := s.Load(t.Context()); err != nil || b.Name != "b.tar.gz" {
			t.Fatalf("Load = %q, %v", b.Name, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		var told []string
		ended.Go(func() { s.Run(ctx, func() { told = append(told, s.Current().Revision) }) })
		write := func(raw []byte) {
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				t.Error(err)
			}
			time.Sleep(5 * cfg.Every)
			synctest.Wait()
		}
		write(newer)
		write(broken)
		if st := s.Status(); st.Err == nil || st.Revision != "r2" || log.lines() != 1 {
			t.Errorf("Status = %+v, want r2 and an error\n%s", st, log.String())
		}
		write(newer)
		stop()
		ended.Wait()
		if len(told) != 1 || told[0] != "r2" || s.Status().Err != nil {
			t.Errorf("told of %v, want r2 once; Status = %+v", told, s.Status())
		}
	})
}

func TestRunAsksAboutAsOftenAsItIsTold(t *testing.T) {
	cfg, file := fileEntry(t, nil)
	first, second := orders("r1").packed(t, nil), orders("r2").packed(t, nil)
	synctest.Test(t, func(t *testing.T) {
		s, _ := openSource(t, cfg, "")
		var times []time.Duration
		begun := time.Now()
		ctx, stop := context.WithCancel(t.Context())
		raw := first
		put := func() {
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				t.Error(err)
			}
			if bytes.Equal(raw, first) {
				raw = second
			} else {
				raw = first
			}
		}
		put()
		s.Run(ctx, func() {
			times = append(times, time.Since(begun))
			begun = time.Now()
			put()
			if len(times) == 40 {
				stop()
			}
		})
		distinct := map[time.Duration]bool{}
		for _, d := range times {
			distinct[d] = true
			if d < cfg.Every*9/10 || d > cfg.Every*11/10 {
				t.Errorf("asked after %s, want %s and a tenth either way", d, cfg.Every)
			}
		}
		if len(distinct) < 20 {
			t.Errorf("%d different times between 40 questions: there is no jitter", len(distinct))
		}
	})
}

func TestManyMayAskAtOnce(t *testing.T) {
	srv := serve(t, orders("r1").packed(t, &bySecret))
	s, _ := openSource(t, entry(srv.URL), t.TempDir())
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 3 {
				if b, err := s.Load(context.Background()); err != nil || b.Revision == "" || s.Current().Modules == nil {
					t.Errorf("Load = %q, %v", b.Revision, err)
				}
				s.Status()
			}
		})
	}
	srv.set(orders("r2").packed(t, &bySecret), "")
	all.Wait()
}
