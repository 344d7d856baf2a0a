package notify_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/idp/notify"
	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
	"gatehouse/internal/testenv/mailsink"
)

// run delivers in the background until the returned function is called.
func run(t *testing.T, o *notify.Outbox) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		o.Run(ctx)
	}()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(stop)
	return stop
}

func enqueue(t *testing.T, o *notify.Outbox, m notify.Message) {
	t.Helper()
	if err := o.Enqueue(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// await asks until ok, or fails the test.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("not after 20s: %s", what)
		case <-tick.C:
		}
	}
}

func waiting(t *testing.T, db *store.DB) int64 {
	t.Helper()
	w, err := db.Outbox().Waiting(t.Context(), notify.Email, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return w.Messages
}

func TestMessageIsSealedAndErasedOnceSent(t *testing.T) {
	sink := newSink(t, mailsink.Options{Username: "us", Password: "secret"})
	cfg := mailTo(t, sink)
	cfg.Username, cfg.Password = "us", "secret"
	db := storetest.Open(t, nil)
	o := newOutbox(t, db, newSMTP(t, cfg), nil)
	enqueue(t, o, code("dana@example.org"))
	for _, secret := range []string{"482913", "dana@example.org", "dana"} {
		if storetest.Holds(t, db, secret) {
			t.Errorf("the database holds %q in clear", secret)
		}
	}
	run(t, o)
	m, err := sink.Wait(t.Context(), "dana@example.org")
	if err != nil {
		t.Fatal(err)
	}
	if !m.TLS || m.User != "us" || !strings.HasPrefix(m.Header.Get("Subject"), "482913 ") {
		t.Errorf("mail came with TLS %v, user %q, subject %q", m.TLS, m.User, m.Header.Get("Subject"))
	}
	await(t, "the row is gone", func() bool { return waiting(t, db) == 0 })
	if got := types(t, db); !slices.Equal(got, []string{"message.queued", "message.sent"}) {
		t.Errorf("events %q", got)
	}
	if st := o.Stats()[notify.Email]; st.Sent != 1 || st.Failed != 0 || st.Postponed != 0 {
		t.Errorf("Stats = %+v, want one sent", st)
	}
}

func TestMessageOfATransactionThatFailsIsNeverSent(t *testing.T) {
	sink := newSink(t, mailsink.Options{})
	db := storetest.Open(t, nil)
	o := newOutbox(t, db, newSMTP(t, mailTo(t, sink)), nil)
	run(t, o)
	failed := errors.New("no")
	err := db.InTx(t.Context(), func(ctx context.Context) error {
		return errors.Join(o.Enqueue(ctx, code("eve@example.org")), failed)
	})
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
	enqueue(t, o, code("dana@example.org"))
	if _, err := sink.Wait(t.Context(), "dana@example.org"); err != nil {
		t.Fatal(err)
	}
	if n := len(sink.Messages()); n != 1 {
		t.Errorf("%d mails, want 1", n)
	}
}

func TestWithoutAServerNothingIsTaken(t *testing.T) {
	db := storetest.Open(t, nil)
	o := notify.New(notify.Parts{Rows: db.Outbox(), Sealer: storetest.Sealer(t), Journal: db})
	if err := o.Enqueue(t.Context(), code("dana@example.org")); !errors.Is(err, notify.ErrNoChannel) || o.Has(notify.Email) {
		t.Errorf("Enqueue = %v, Has = %v, want ErrNoChannel", err, o.Has(notify.Email))
	}
}

// flaky fails as told before it lets mail through.
type flaky struct {
	command, answer string
	left            atomic.Int32
}

func (f *flaky) Answer(command, _ string) string {
	if command == f.command && f.left.Add(-1) >= 0 {
		return f.answer
	}
	return ""
}

// clock is a clock that tests move, so that waits end at once.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestFailingServerLosesNothing(t *testing.T) {
	for name, f := range map[string]*flaky{
		"greylisting":            {command: "RCPT", answer: "450 4.7.1 try later"},
		"out of room":            {command: "END", answer: "452 4.3.1 no room"},
		"drops in the data":      {command: "DATA", answer: mailsink.Drop},
		"drops at the start":     {command: "CONNECT", answer: mailsink.Drop},
		"drops after the text":   {command: "END", answer: mailsink.Drop},
		"refuses us as a sender": {command: "MAIL", answer: "553 5.7.1 not you"},
		"is busy":                {command: "CONNECT", answer: "421 4.3.2 busy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f.left.Store(2)
			sink := newSink(t, mailsink.Options{Answer: f.Answer})
			now := &clock{at: time.Now()}
			db := storetest.Open(t, now.Now)
			o := newOutbox(t, db, newSMTP(t, mailTo(t, sink)), now.Now)
			enqueue(t, o, code("dana@example.org"))
			run(t, o)
			for n := range uint64(2) {
				await(t, "the failure is counted", func() bool { return o.Stats()[notify.Email].Postponed == n+1 })
				now.forward(30 * time.Second)
			}
			if _, err := sink.Wait(t.Context(), "dana@example.org"); err != nil {
				t.Fatal(err)
			}
			await(t, "the row is gone", func() bool { return waiting(t, db) == 0 })
			if got := types(t, db); !slices.Equal(got, []string{"message.queued", "message.sent"}) || len(sink.Messages()) != 1 {
				t.Errorf("events %q, %d mails, want it sent once", got, len(sink.Messages()))
			}
		})
	}
}

func TestRefusedRecipientIsGivenUp(t *testing.T) {
	f := &flaky{command: "RCPT", answer: "550 5.1.1 <dana@example.org>: unknown"}
	f.left.Store(100)
	sink := newSink(t, mailsink.Options{Answer: f.Answer})
	db := storetest.Open(t, nil)
	o := newOutbox(t, db, newSMTP(t, mailTo(t, sink)), nil)
	enqueue(t, o, code("dana@example.org"))
	run(t, o)
	await(t, "the row is gone", func() bool { return waiting(t, db) == 0 })
	events, err := db.EventsSince(t.Context(), 0, 10)
	if err != nil || len(events) != 2 || events[1].Type != "message.failed" || events[1].Detail["reason"] != "refused" {
		t.Fatalf("events %+v, %v, want message.failed: refused", events, err)
	}
	if text := fmt.Sprint(events); strings.Contains(text, "dana") || strings.Contains(text, "482913") {
		t.Errorf("events name the recipient or the code: %s", text)
	}
}

func TestExpiredMessageIsErasedUnsent(t *testing.T) {
	sink := newSink(t, mailsink.Options{})
	now := &clock{at: time.Now()}
	db := storetest.Open(t, now.Now)
	o := newOutbox(t, db, newSMTP(t, mailTo(t, sink)), now.Now)
	enqueue(t, o, code("dana@example.org"))
	now.forward(11 * time.Minute)
	run(t, o)
	await(t, "the failure is told", func() bool { return slices.Contains(types(t, db), "message.failed") })
	if n := len(sink.Messages()); n != 0 {
		t.Errorf("%d mails with a code that is worthless", n)
	}
}

// A process that dies with a message in its hands leaves a claim behind.
func TestClaimOfADeadProcessEnds(t *testing.T) {
	sink := newSink(t, mailsink.Options{})
	now := &clock{at: time.Now()}
	db := storetest.Open(t, now.Now)
	o := newOutbox(t, db, newSMTP(t, mailTo(t, sink)), now.Now)
	enqueue(t, o, code("dana@example.org"))
	if _, err := db.Outbox().Claim(t.Context(), notify.Email, now.Now(), now.Now().Add(2*time.Minute)); err != nil {
		t.Fatal(err)
	}
	stop := run(t, o)
	enqueue(t, o, code("bob@example.org"))
	if _, err := sink.Wait(t.Context(), "bob@example.org"); err != nil {
		t.Fatal(err)
	}
	await(t, "bob's row is gone", func() bool { return waiting(t, db) == 1 })
	if n := len(sink.Messages()); n != 1 {
		t.Fatalf("%d mails while the claim lasts, want bob's alone", n)
	}
	now.forward(2 * time.Minute)
	if _, err := sink.Wait(t.Context(), "dana@example.org"); err != nil {
		t.Fatal(err)
	}
	await(t, "dana's row is gone", func() bool { return waiting(t, db) == 0 })
	stop()
}

func TestTwoProcessesSendEachMessageOnce(t *testing.T) {
	sink := newSink(t, mailsink.Options{})
	db := storetest.Open(t, nil)
	other, err := store.Open(t.Context(), db.Name(), store.Options{Sealer: storetest.Sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	outboxes := []*notify.Outbox{newOutbox(t, db, newSMTP(t, mailTo(t, sink)), nil), newOutbox(t, other, newSMTP(t, mailTo(t, sink)), nil)}
	for _, o := range outboxes {
		defer run(t, o)()
	}
	var wg sync.WaitGroup
	for i := range storetest.Callers {
		wg.Go(func() {
			if err := outboxes[i%2].Enqueue(t.Context(), code(fmt.Sprintf("u%d@example.org", i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	await(t, "all rows are gone", func() bool { return waiting(t, db) == 0 })
	got := map[string]int{}
	for _, m := range sink.Messages() {
		got[m.To[0]]++
	}
	for i := range storetest.Callers {
		if to := fmt.Sprintf("u%d@example.org", i); got[to] != 1 {
			t.Errorf("%s got %d mails, want 1", to, got[to])
		}
	}
	if c := sink.Connections(); c > 2*4*3 {
		t.Errorf("%d connections for %d mails: they are not kept", c, storetest.Callers)
	}
}

// A server that is slow, or says nothing at all, keeps nobody else waiting.
func TestSlowServerBlocksNobody(t *testing.T) {
	release := make(chan struct{})
	sink := newSink(t, mailsink.Options{Answer: func(command, arg string) string {
		if command == "RCPT" && arg == "slow@example.org" {
			<-release
		}
		return ""
	}})
	defer close(release)
	db := storetest.Open(t, nil)
	o := newOutbox(t, db, newSMTP(t, mailTo(t, sink)), nil)
	run(t, o)
	enqueue(t, o, code("slow@example.org"))
	enqueue(t, o, code("dana@example.org"))
	if _, err := sink.Wait(t.Context(), "dana@example.org"); err != nil {
		t.Fatal(err)
	}
}

// What stands in the columns in clear cannot send a message elsewhere.
func TestRowOfAnotherMessageIsNotSent(t *testing.T) {
	sink := newSink(t, mailsink.Options{})
	db := storetest.Open(t, nil)
	o := newOutbox(t, db, newSMTP(t, mailTo(t, sink)), nil)
	enqueue(t, o, code("dana@example.org"))
	r, err := db.Outbox().Claim(t.Context(), notify.Email, time.Now(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	r.ID, r.Due = "another", time.Now()
	if err := db.Outbox().Insert(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	run(t, o)
	await(t, "it is given up", func() bool { return slices.Contains(types(t, db), "message.failed") })
	if n := len(sink.Messages()); n != 0 {
		t.Errorf("%d mails of a swapped row", n)
	}
}
