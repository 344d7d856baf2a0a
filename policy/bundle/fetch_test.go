package bundle

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/policy"
)

func TestServerIsAskedByETag(t *testing.T) {
	ctx := context.Background()
	srv := serve(t, nil)
	srv.set(orders("r1").packed(t, &bySecret), `"1"`)
	s, _ := openSource(t, entry(srv.URL), "")
	for range 3 {
		if b, err := s.Load(ctx); err != nil || b.Revision != "r1" {
			t.Fatalf("Load = %q, %v, want r1", b.Revision, err)
		}
	}
	if srv.sent != 1 {
		t.Errorf("the server sent %d bundles to three questions, want 1", srv.sent)
	}
	if got := srv.headers[0].Get("If-None-Match") + srv.headers[1].Get("If-None-Match"); got != `"1"` {
		t.Errorf("If-None-Match = %q, want none and then the ETag", got)
	}
	srv.set(orders("r2").packed(t, &bySecret), `"2"`)
	if b, err := s.Load(ctx); err != nil || b.Revision != "r2" || s.Current().Revision != "r2" {
		t.Errorf("Load = %q, %v, want r2", b.Revision, err)
	}
}

func TestAServerWithoutETagBringsNothingNew(t *testing.T) {
	srv := serve(t, orders("r1").packed(t, &bySecret))
	s := load(t, entry(srv.URL))
	if newer, err := s.refresh(context.Background()); newer || err != nil {
		t.Errorf("refresh = %t, %v: the same bytes are not a newer bundle", newer, err)
	}
}

// refusals are answers that must leave the last good bundle in place.
func refusals(t *testing.T) map[string]http.HandlerFunc {
	good := orders("r1").packed(t, &bySecret)
	send := func(raw []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(raw) }
	}
	newer := orders("r2").packed(t, &bySecret)
	elsewhere := serve(t, newer)
	reserved := content{roots: []string{""}, module: "package gatehouse.routes\n\nallow.x := true\n"}
	return map[string]http.HandlerFunc{
		"500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"404": http.NotFound,
		"204": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"an error with a bundle": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write(newer)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"half body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(newer)))
			_, _ = w.Write(newer[:len(newer)/2])
		},
		"cut off without a length": send(newer[:len(newer)/2]),
		"giant, announced": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(maxPacked+1))
		},
		"giant, streamed": func(w http.ResponseWriter, _ *http.Request) {
			for part := make([]byte, 1<<20); ; {
				if _, err := w.Write(part); err != nil {
					return
				}
			}
		},
		"hung up":                func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"empty":                  send(nil),
		"HTML":                   send([]byte("<!doctype html>")),
		"tampered":               send(repacked(t, good, map[string]string{"/data.json": `{"acme": {"staff": ["eve"]}}`})),
		"downgraded to unsigned": send(orders("r2").packed(t, nil)),
		"reserved":               send(reserved.packed(t, &bySecret)),
	}
}

func TestLastGoodBundleStays(t *testing.T) {
	ctx := context.Background()
	for name, answer := range refusals(t) {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, nil)
			srv.set(orders("r1").packed(t, &bySecret), `"1"`)
			s, log := openSource(t, entry(srv.URL+"?key=hunter2"), t.TempDir())
			if _, err := s.Load(ctx); err != nil {
				t.Fatal(err)
			}
			ok := s.Status().LastOK
			srv.answers(answer)
			for range 2 {
				if b, err := s.Load(ctx); err != nil || b.Revision != "r1" {
					t.Errorf("Load = %q, %v, want the last good one", b.Revision, err)
				}
			}
			if st := s.Status(); st.Err == nil || st.Revision != "r1" || !st.LastOK.Equal(ok) {
				t.Errorf("Status = %+v, want r1 as it was, and an error", st)
			}
			if log.lines() != 1 || strings.Contains(log.String()+s.Status().Err.Error(), "hunter2") {
				t.Errorf("the log tells, want one line without the query:\n%s", log.String())
			}
			srv.set(orders("r2").packed(t, &bySecret), `"2"`)
			if b, err := s.Load(ctx); err != nil || b.Revision != "r2" || s.Status().Err != nil || log.lines() != 2 {
				t.Errorf("Load = %q, %v; Status %+v\n%s", b.Revision, err, s.Status(), log.String())
			}
		})
	}
}

func TestNothingGoodYetIsAnError(t *testing.T) {
	srv := serve(t, nil)
	for name, answer := range refusals(t) {
		srv.answers(answer)
		s, _ := openSource(t, entry(srv.URL), t.TempDir())
		if b, err := s.Load(context.Background()); err == nil || b.Modules != nil {
			t.Errorf("%s: Load = %v, %v, want an error", name, b, err)
		}
	}
	// Nobody asked whether anything changed.
	srv.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })
	s, _ := openSource(t, entry(srv.URL), "")
	if _, err := s.Load(context.Background()); err == nil || !strings.Contains(err.Error(), "304") {
		t.Errorf("Load = %v, want an error with 304", err)
	}
}

func TestASlowServerIsNotWaitedFor(t *testing.T) {
	raw := orders("r1").packed(t, &bySecret)
	synctest.Test(t, func(t *testing.T) {
		lines := make(chan net.Conn)
		done := make(chan struct{})
		go func() {
			defer close(done)
			c := <-lines
			defer c.Close()
			_, _ = c.Read(make([]byte, 4096))
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(raw)) + "\r\n\r\n"))
			for _, b := range raw { // a byte a second
				time.Sleep(time.Second)
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
			}
		}()
		s, _ := openSource(t, entry("http://127.0.0.1/b.tar.gz"), "")
		s.client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			lines <- theirs
			return ours, nil
		}
		begun := time.Now()
		_, err := s.Load(t.Context())
		if took := time.Since(begun); err == nil || took != patience {
			t.Errorf("Load = %v after %s, want an error after %s", err, took, patience)
		}
		<-done
	})
}

func TestTokenAndCertificate(t *testing.T) {
	raw := orders("r1").packed(t, nil)
	var got []string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		_, _ = w.Write(raw)
	}))
	defer srv.Close()
	ca := writeFile(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	cfg := policy.Custom{Bundle: srv.URL, CA: ca, Token: "t0ken", Every: time.Minute}
	load(t, cfg)
	if len(got) != 1 || got[0] != "Bearer t0ken" {
		t.Errorf("Authorization = %q, want the token", got)
	}
	cfg.CA = ""
	if err := loadErr(t, cfg, "certificate"); strings.Contains(err.Error(), "t0ken") || len(got) != 1 {
		t.Errorf("Load = %v: the token was told", err)
	}
}

func TestTokenFollowsNoRedirect(t *testing.T) {
	thief := serve(t, orders("r1").packed(t, &bySecret))
	srv := serve(t, nil)
	srv.answers(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, thief.URL, http.StatusTemporaryRedirect)
	})
	cfg := entry(srv.URL)
	cfg.Token = "t0ken"
	loadErr(t, cfg, "307")
	if len(thief.headers) != 0 {
		t.Error("the redirect was followed")
	}
}

func TestAcceptHasTheLastWord(t *testing.T) {
	srv := serve(t, orders("r1").packed(t, &bySecret))
	no := errors.New("does not fit")
	accept := func(_ context.Context, b policy.Bundle) error {
		if b.Revision == "r2" {
			return no
		}
		return nil
	}
	dir := t.TempDir()
	s, err := New(entry(srv.URL), Options{Dir: dir, Accept: accept})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	srv.set(orders("r2").packed(t, &bySecret), "")
	if b, err := s.Load(context.Background()); err != nil || b.Revision != "r1" || !errors.Is(s.Status().Err, no) {
		t.Errorf("Load = %q, %v, want r1: r2 was not accepted", b.Revision, err)
	}
	srv.Close()
	again, _ := openSource(t, entry(srv.URL), dir)
	if b, err := again.Load(context.Background()); err != nil || b.Revision != "r1" {
		t.Errorf("Load = %q, %v, want r1: what was not accepted is not kept", b.Revision, err)
	}
}
