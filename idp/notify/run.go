package notify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"gatehouse/internal/audit"
)

const (
	// lease is how long a claim lasts: longer than one delivery and its record
	// can take, so that nobody else claims what is on its way.
	lease = 2 * time.Minute
	// sendTime is the most that one delivery may take, recordTime its record.
	sendTime   = 45 * time.Second
	recordTime = 10 * time.Second
	// grace is what a delivery may still take when the process is told to end:
	// cut off after the server has taken it, it would be sent again.
	grace = 5 * time.Second
	// parallel is how many deliveries of one channel go on at once: one slow
	// recipient's server does not hold up the next person's code.
	parallel = 4
	// poll finds what other processes enqueued.
	poll = 2 * time.Second
	// The first wait after a failure, and the longest.
	firstWait   = 5 * time.Second
	longestWait = 5 * time.Minute
)

// DeliveryError tells why a letter was not delivered. Its text never names the
// recipient or holds the letter.
type DeliveryError struct {
	// Step is what was being done: "connect", "recipient", "data", …
	Step string
	// Code is the answer's: of SMTP (RFC 5321 §4.2) or HTTP; 0 without an answer.
	Code int
	// Permanent tells that trying again is in vain.
	Permanent bool
	// Answer is what the other side said, and may name the recipient: for the
	// operator's eyes only.
	Answer string
	// Err is the cause, if it is none of the other side's answer.
	Err error
}

func (e *DeliveryError) Error() string {
	text := "deliver message: " + e.Step
	if e.Code != 0 {
		text += fmt.Sprintf(" was answered %d", e.Code)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *DeliveryError) Unwrap() error { return e.Err }

// Run delivers messages until ctx ends, and returns when no delivery of its own
// goes on any more. Several processes may run on one database.
func (o *Outbox) Run(ctx context.Context) {
	ctx = audit.WithActor(ctx, audit.Actor{Name: "outbox"})
	var wg sync.WaitGroup
	wg.Go(func() { o.expire(ctx) })
	for _, c := range Channels() {
		if o.Has(c) {
			wg.Go(func() { o.runChannel(ctx, c) })
		}
	}
	wg.Wait()
}

// runChannel hands what is due to up to parallel deliveries.
func (o *Outbox) runChannel(ctx context.Context, c Channel) {
	sender := o.parts.Senders[c]
	defer sender.Rest()
	var wg sync.WaitGroup
	defer wg.Wait()
	free := make(chan struct{}, parallel)
	for {
		// Asked for first: what is committed from here on wakes the wait below.
		changed := o.changed()
		wait := o.look(ctx, c)
		if wait > 0 {
			sender.Rest()
			if !pause(ctx, changed, min(wait, poll)) {
				return
			}
			continue
		}
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return
		}
		now := o.parts.Now()
		r, err := o.parts.Rows.Claim(ctx, c, now, now.Add(lease))
		if err != nil {
			<-free
			o.unless(ctx, err, ErrEmpty, "claim message")
			// Somebody else was faster, or the store is away: not in a hot loop.
			if !pause(ctx, nil, poll/20) {
				return
			}
			continue
		}
		wg.Go(func() {
			defer func() { <-free }()
			o.deliver(ctx, r)
		})
	}
}

// look counts what waits, and returns how long nothing is due; 0 when something
// is. Asking does not write, so that it may be done often.
func (o *Outbox) look(ctx context.Context, c Channel) time.Duration {
	w, err := o.parts.Rows.Waiting(ctx, c, o.parts.Now())
	if err != nil {
		o.unless(ctx, err, nil, "look into outbox")
		return poll
	}
	o.counts[c].waiting.Store(w.Messages)
	if w.Messages == 0 {
		return poll
	}
	return max(0, w.Due.Sub(o.parts.Now()))
}

func (o *Outbox) changed() <-chan struct{} {
	if o.parts.Changed == nil {
		return nil
	}
	return o.parts.Changed()
}

// pause waits for a change or d; false when ctx has ended.
func pause(ctx context.Context, changed <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-changed:
	case <-t.C:
	}
	return true
}

// deliver tries to send one claimed message, and records what came of it.
func (o *Outbox) deliver(ctx context.Context, r Row) {
	m, err := o.open(r)
	if err != nil {
		o.giveUp(ctx, r, "unreadable", err)
		return
	}
	letter, err := o.parts.Templates.Render(m, o.parts.Now())
	if err != nil {
		o.giveUp(ctx, r, "template", err)
		return
	}
	letter.ID = r.ID
	sending, stop := lasting(ctx)
	_, err = o.parts.Senders[r.Channel].Send(sending, letter)
	stop()
	if err == nil {
		o.finish(ctx, r, r.event("message.sent"))
		return
	}
	var failed *DeliveryError
	if errors.As(err, &failed) && failed.Permanent {
		o.giveUp(ctx, r, "refused", err)
		return
	}
	o.postpone(ctx, r, err)
}

// lasting returns a context that ends after sendTime, and grace after ctx.
func lasting(ctx context.Context) (context.Context, func()) {
	sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTime)
	var late *time.Timer
	var mu sync.Mutex
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		late = time.AfterFunc(grace, cancel)
	})
	return sending, func() {
		stop()
		cancel()
		mu.Lock()
		defer mu.Unlock()
		if late != nil {
			late.Stop()
		}
	}
}

// finish erases a message and says so in one transaction. That the message was
// erased already means that somebody else has told.
func (o *Outbox) finish(ctx context.Context, r Row, e audit.Event) {
	// What has been sent must be recorded though the process ends, or it is sent
	// again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	there := false
	err := o.parts.Journal.InTx(ctx, func(ctx context.Context) error {
		var err error
		there, err = o.parts.Rows.Delete(ctx, r.ID)
		if err != nil || !there {
			return err
		}
		return o.parts.Journal.Append(ctx, e)
	})
	if err != nil {
		o.parts.Log.ErrorContext(ctx, "outcome of a message not recorded: it may be sent again", "message", r.ID, "error", err)
		return
	}
	switch {
	case !there:
	case e.Type == "message.sent":
		o.counts[r.Channel].sent.Add(1)
	default:
		o.counts[r.Channel].failed.Add(1)
	}
}

// giveUp erases a message that will never be delivered; why is one word.
func (o *Outbox) giveUp(ctx context.Context, r Row, why string, err error) {
	o.parts.Log.WarnContext(ctx, "message given up", "message", r.ID, "kind", r.Kind, "channel", r.Channel, "reason", why, "tries", r.Tries, "error", err)
	o.finish(ctx, r, r.failure(why))
}

func (r Row) failure(why string) audit.Event {
	e := r.event("message.failed")
	e.Detail["reason"] = why
	return e
}

// postpone makes the message due again later, or gives it up when it would be
// worthless then.
func (o *Outbox) postpone(ctx context.Context, r Row, why error) {
	due := o.parts.Now().Add(backoff(r.Tries))
	if ctx.Err() != nil {
		due = o.parts.Now() // the next process does not have to wait
	}
	if !due.Before(r.Expires) {
		o.giveUp(ctx, r, "expired", why)
		return
	}
	o.counts[r.Channel].postponed.Add(1)
	o.parts.Log.WarnContext(ctx, "message not delivered yet", "message", r.ID, "kind", r.Kind, "channel", r.Channel, "tries", r.Tries, "error", why)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if err := o.parts.Rows.Postpone(ctx, r.ID, r.Tries, due); err != nil {
		o.parts.Log.ErrorContext(ctx, "message not postponed: its claim ends by itself", "message", r.ID, "error", err)
	}
}

// backoff is the wait after so many tries: it doubles, and varies by a quarter so
// that what failed together is not tried together.
func backoff(tries int64) time.Duration {
	wait := firstWait
	for i := int64(1); i < tries && wait < longestWait; i++ {
		wait *= 2
	}
	wait = min(wait, longestWait)
	return wait - wait/4 + time.Duration(rand.Int64N(int64(wait/2)))
}

// expire erases what nobody could deliver in time, until ctx ends.
func (o *Outbox) expire(ctx context.Context) {
	for {
		rows, err := o.expireNow(ctx)
		o.unless(ctx, err, nil, "erase expired messages")
		for _, r := range rows {
			o.counts[r.Channel].failed.Add(1)
		}
		if !pause(ctx, nil, 30*time.Second) {
			return
		}
	}
}

func (o *Outbox) expireNow(ctx context.Context) (rows []Row, err error) {
	err = o.parts.Journal.InTx(ctx, func(ctx context.Context) error {
		if rows, err = o.parts.Rows.Expire(ctx, o.parts.Now()); err != nil {
			return err
		}
		for _, r := range rows {
			if err := o.parts.Journal.Append(ctx, r.failure("expired")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// unless logs err, but for what is no fault.
func (o *Outbox) unless(ctx context.Context, err, fine error, doing string) {
	if err == nil || ctx.Err() != nil || fine != nil && errors.Is(err, fine) {
		return
	}
	o.parts.Log.ErrorContext(ctx, "outbox: cannot "+doing, "error", err)
}
