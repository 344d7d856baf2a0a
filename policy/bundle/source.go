package bundle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	opa "github.com/open-policy-agent/opa/v1/bundle"

	"gatehouse/policy"
)

// Options of New.
type Options struct {
	// Dir is the folder in which the last good bundle of a server is kept, for a
	// start while the server is away; it is made if need be. "" for nowhere.
	Dir string
	// Accept, if not nil, judges a bundle before it replaces the last good one:
	// an error refuses it. It is called by Load and Run, never by two at a time.
	Accept func(context.Context, policy.Bundle) error
	// Log is told when a bundle can no longer be had, and when it can again. nil
	// for the default.
	Log *slog.Logger
}

// Source is where one bundle comes from. It is safe for concurrent use.
type Source struct {
	cfg    policy.Custom
	opts   Options
	url    *url.URL // nil for a file
	client *http.Client
	keys   *opa.VerificationConfig // nil: signatures are not looked at
	log    *slog.Logger

	// asking is held while the source is asked.
	asking sync.Mutex
	last   atomic.Pointer[state]
}

// state is a value; a new one replaces it.
type state struct {
	bundle policy.Bundle
	good   bool // whether there is a bundle
	sum    [sha256.Size]byte
	etag   string
	lastOK time.Time
	errors uint64
	err    error
}

// Status tells how a source does.
type Status struct {
	// Revision is the manifest's of the bundle in use; may be empty.
	Revision string
	// LastOK is when the source last gave a good bundle or said that there is no
	// newer one; zero for not yet.
	LastOK time.Time
	// Errors counts how often it was asked and gave none.
	Errors uint64
	// Err is why the source gave none when it was last asked, nil if it did.
	Err error
}

// New prepares the bundle that cfg names; it reads key and ca, and asks nobody.
// It refuses what policy.Custom.Check refuses.
func New(cfg policy.Custom, o Options) (*Source, error) {
	s := &Source{cfg: cfg, opts: o, url: cfg.URL(), log: o.Log}
	if s.log == nil {
		s.log = slog.Default()
	}
	fail := func(err error) (*Source, error) { return nil, fmt.Errorf("bundle %s: %w", s.cfg.Label(), err) }
	if cfg.Bundle == "" {
		return nil, errors.New("the entry names no bundle")
	}
	err := cfg.Problem()
	if err != nil {
		return fail(err)
	}
	if s.keys, err = keysOf(cfg); err != nil {
		return fail(err)
	}
	if s.url != nil {
		if s.client, err = clientOf(cfg); err != nil {
			return fail(err)
		}
	}
	s.last.Store(&state{bundle: policy.Bundle{Name: cfg.Bundle}})
	return s, nil
}

// Current returns the last good bundle, without modules if there was none yet.
func (s *Source) Current() policy.Bundle { return s.last.Load().bundle }

// Status tells how the source did when it was last asked.
func (s *Source) Status() Status {
	st := s.last.Load()
	return Status{Revision: st.bundle.Revision, LastOK: st.lastOK, Errors: st.errors, Err: st.err}
}

// Load asks once. Where no bundle can be had it returns the last good one: the
// one in memory, else the copy on disk, which is verified anew; Status then has
// the error. It fails where there is neither.
func (s *Source) Load(ctx context.Context) (policy.Bundle, error) {
	_, err := s.refresh(ctx)
	st := s.last.Load()
	if st.good {
		return st.bundle, nil
	}
	if s.opts.Dir != "" && s.url != nil {
		kept, keptErr := s.loadKept(ctx)
		if keptErr == nil {
			return kept, nil
		}
		err = errors.Join(err, keptErr)
	}
	return policy.Bundle{}, fmt.Errorf("bundle %s: %w", s.cfg.Label(), err)
}

// Run asks every Custom.Every, give or take a tenth, until ctx ends, and calls
// changed after each newer bundle, which Current then returns.
func (s *Source) Run(ctx context.Context, changed func()) {
	for {
		// A tenth either way keeps a fleet from asking all at once.
		wait := time.Duration((0.9 + 0.2*rand.Float64()) * float64(s.cfg.Every))
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if newer, _ := s.refresh(ctx); newer && ctx.Err() == nil {
			changed()
		}
	}
}

// refresh asks the source and takes what it gives, if that is good and new.
func (s *Source) refresh(ctx context.Context) (newer bool, err error) {
	s.asking.Lock()
	defer s.asking.Unlock()
	before := s.last.Load()
	raw, etag, err := s.ask(ctx, before)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	next := *before
	sum := sha256.Sum256(raw)
	switch {
	case errors.Is(err, errSame):
		err = nil
	case err == nil && before.good && sum == before.sum:
		next.etag = etag
	case err == nil:
		if next.bundle, err = s.judge(ctx, raw); err == nil {
			next.good, next.sum, next.etag, newer = true, sum, etag, true
		} else {
			next.bundle = before.bundle
		}
	}
	if next.err = err; err == nil {
		next.lastOK = time.Now()
	} else {
		next.errors++
	}
	s.last.Store(&next)
	s.tell(before.err, err)
	if newer {
		s.store(raw)
	}
	return newer, err
}

func (s *Source) ask(ctx context.Context, before *state) (raw []byte, etag string, err error) {
	if s.url != nil {
		return s.fetch(ctx, before.etag)
	}
	raw, err = open(s.cfg.File(s.cfg.Bundle), 0)
	return raw, "", err
}

// judge returns the bundle that raw is, if it may be used.
func (s *Source) judge(ctx context.Context, raw []byte) (policy.Bundle, error) {
	b, err := read(raw, s.keys)
	if err != nil {
		return b, err
	}
	b.Name = s.cfg.Bundle
	if err := b.Check(); err != nil {
		return b, err
	}
	if s.opts.Accept != nil {
		return b, s.opts.Accept(ctx, b)
	}
	return b, nil
}

// tell logs what changed: a server that is away is away once.
func (s *Source) tell(before, now error) {
	switch {
	case now != nil && (before == nil || before.Error() != now.Error()):
		s.log.Error("bundle not taken: the last good one stays", "bundle", s.cfg.Label(), "error", now)
	case now == nil && before != nil:
		s.log.Info("bundle can be had again", "bundle", s.cfg.Label())
	}
}

// store keeps raw for the next start.
func (s *Source) store(raw []byte) {
	if s.opts.Dir == "" || s.url == nil {
		return
	}
	if err := keep(keptAt(s.opts.Dir, s.cfg.Bundle), raw); err != nil {
		s.log.Error("bundle not kept on disk: a start while the server is away will fail", "bundle", s.cfg.Label(), "error", err)
	}
}

// loadKept takes the copy on disk.
func (s *Source) loadKept(ctx context.Context) (policy.Bundle, error) {
	s.asking.Lock()
	defer s.asking.Unlock()
	file := keptAt(s.opts.Dir, s.cfg.Bundle)
	raw, err := open(file, syscall.O_NOFOLLOW)
	if err != nil {
		return policy.Bundle{}, fmt.Errorf("no copy is kept: %w", err)
	}
	b, err := s.judge(ctx, raw)
	if err != nil {
		return policy.Bundle{}, fmt.Errorf("the copy kept in %s: %w", file, err)
	}
	next := *s.last.Load()
	if next.good {
		return next.bundle, nil // the source gave one in the meantime
	}
	next.bundle, next.good, next.sum = b, true, sha256.Sum256(raw)
	s.last.Store(&next)
	s.log.Warn("bundle taken from the copy on disk", "bundle", s.cfg.Label(), "revision", b.Revision)
	return b, nil
}
