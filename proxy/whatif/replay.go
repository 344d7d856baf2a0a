package whatif

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/policy"
	"gatehouse/policy/declog"
	"gatehouse/proxy"
	"gatehouse/proxy/canon"
)

const (
	// chunkSize is how many events go to a worker at once.
	chunkSize = 128
	// namedCorrupt is how many corrupt lines a report names; all are counted.
	namedCorrupt = 20
)

// Candidate is the gate whose decisions a replay asks for.
type Candidate struct {
	Gate   *proxy.Gate
	Policy *policy.Policy
	// Progress is told how many events have been judged; nil for nobody. It is
	// called from several goroutines, and must be quick.
	Progress func(judged int64)
}

// Replay reads a decision log (see declog.Scan) and asks c about each request in
// it, as it came then: from the same person, at that time. What a credential
// says of a person is as recorded; what the new configuration would make of the
// credential itself is not asked. The report is exact, and the same in whatever
// order events are judged. The error is of reading, or ctx's.
func Replay(ctx context.Context, log io.Reader, c Candidate) (*ReplayReport, error) {
	chunks := make(chan []declog.Raw, 2*runtime.GOMAXPROCS(0))
	r := replayer{c, c.Policy.Dependence()}
	found := make([]*tally, runtime.GOMAXPROCS(0))
	var judged atomic.Int64
	var wg sync.WaitGroup
	for i := range found {
		t := newTally()
		found[i] = t
		wg.Go(func() {
			for chunk := range chunks {
				for _, raw := range chunk {
					r.replay(t, raw)
				}
				if n := judged.Add(int64(len(chunk))); c.Progress != nil {
					c.Progress(n)
				}
			}
		})
	}
	err := feed(ctx, log, chunks)
	close(chunks)
	wg.Wait()
	if err != nil {
		return nil, err
	}
	return merge(found), nil
}

// feed cuts the log into chunks.
func feed(ctx context.Context, log io.Reader, chunks chan<- []declog.Raw) error {
	chunk := make([]declog.Raw, 0, chunkSize)
	send := func() {
		select {
		case chunks <- chunk:
		case <-ctx.Done():
		}
		chunk = make([]declog.Raw, 0, chunkSize)
	}
	err := declog.Scan(log, func(raw declog.Raw) bool {
		if chunk = append(chunk, raw); len(chunk) == chunkSize {
			send()
		}
		return ctx.Err() == nil
	})
	if err != nil {
		return err
	}
	if len(chunk) > 0 {
		send()
	}
	return ctx.Err()
}

// replayer is what all workers share.
type replayer struct {
	Candidate
	depends *policy.Dependence
}

// replay judges one event and counts it.
func (r *replayer) replay(t *tally, raw declog.Raw) {
	ev, query, err := read(raw)
	if err != nil {
		t.corrupt(raw.Line, err)
		return
	}
	then := Answered{Outcome: ev.Result.Outcome, Reason: ev.Result.Reason, Route: ev.Result.Route}
	now, why := r.answer(ev, query)
	switch {
	case why != "":
		t.unjudged[why]++
	case now.Outcome != then.Outcome:
		t.flip(flipKey{then, now, who(query)}, ev.Timestamp)
	case now != then:
		t.otherwise++
	default:
		t.same++
	}
}

// read parses an event and what was asked.
func read(raw declog.Raw) (declog.Event, policy.Query, error) {
	if raw.Err != nil {
		return declog.Event{}, policy.Query{}, raw.Err
	}
	ev, err := declog.Parse(raw.Text)
	if err != nil {
		return ev, policy.Query{}, err
	}
	query, err := policy.Recall(ev.Input)
	if query.Time.IsZero() {
		query.Time = ev.Timestamp
	}
	return ev, query, err
}

// answer asks the candidate; why says why it cannot be asked.
func (r *replayer) answer(ev declog.Event, q policy.Query) (now Answered, why string) {
	for _, part := range []struct{ name, value string }{{"method", q.Method}, {"host", q.Host}, {"path", q.Path}} {
		if part.value == "" {
			return Answered{}, "the record has no " + part.name
		}
	}
	req := canon.Request{
		Host: q.Host, Path: q.Path, Other: ev.Custom.Other, EscapedPath: q.Path, RawQuery: q.RawQuery,
		Method: q.Method, Websocket: ev.Custom.Websocket,
	}
	var err error
	if req.Odd, err = canon.ParseOddities(strings.FieldsFunc(ev.Custom.Odd, comma)); err != nil {
		return Answered{}, "the record names an unknown oddity of the path"
	}
	asked := r.Gate.Judge(req, q.Identity, q.ClientIP, proxy.Asking{Time: q.Time, Body: q.Body})
	v := &asked.Verdict
	switch {
	case v.Reason == proxy.ReasonOurs:
		return Answered{}, "the path is the gateway's own now"
	case v.Site == nil:
		return Answered{}, fmt.Sprintf("no public_url has the host %s", q.Host)
	}
	if v.Reason != proxy.ReasonPathRejected {
		if why := r.unknown(v.Route, ev, q); why != "" {
			return Answered{}, why
		}
	}
	return answerOf(r.Gate, asked), ""
}

func comma(c rune) bool { return c == ',' }

// unknown says what of the record is missing that a route's rule would look at.
func (r *replayer) unknown(route int, ev declog.Event, q policy.Query) string {
	if route < 0 {
		return ""
	}
	for _, pointer := range ev.Erased {
		if r.depends.On(route, pointer) {
			return "masked: " + pointer
		}
	}
	if r.Gate.Rule(route).Bodies == nil {
		return ""
	}
	switch q.Body.State {
	case policy.BodyUnread:
		return "the body was not read"
	case policy.BodyCut, policy.BodyBroken:
		// A larger max, or another accept, would read it.
		return "the body was " + q.Body.State.String()
	}
	return ""
}

// answerOf is the decision of a gate in the words of the log.
func answerOf(g *proxy.Gate, asked proxy.Asked) Answered {
	v := &asked.Verdict
	a := Answered{Outcome: policy.OutcomeDeny.String(), Reason: string(v.Reason), Route: g.RouteName(v.Route)}
	switch {
	case v.Action == proxy.Forward:
		a.Outcome = policy.OutcomeAllow.String()
	case asked.Decision.Outcome == policy.OutcomeStepUp:
		a.Outcome = policy.OutcomeStepUp.String()
	}
	return a
}

// who names the asker of a recorded question.
func who(q policy.Query) string {
	id := q.Identity
	switch {
	case id == nil:
		return "a visitor"
	case id.Username != "":
		return id.Username
	case id.Subject != "":
		return id.Subject
	case id.ClientID != "":
		return id.ClientID
	}
	return "somebody"
}

// tally is what one worker has found.
type tally struct {
	same, otherwise int64
	flips           map[flipKey]*seen
	unjudged        map[string]int64
	bad             int64
	lines           []CorruptLine
}

type flipKey struct {
	then, now Answered
	who       string
}

type seen struct {
	count       int64
	first, last time.Time
}

func newTally() *tally { return &tally{flips: map[flipKey]*seen{}, unjudged: map[string]int64{}} }

func (t *tally) flip(key flipKey, at time.Time) {
	s := t.flips[key]
	if s == nil {
		s = &seen{first: at, last: at}
		t.flips[key] = s
	}
	s.add(seen{1, at, at})
}

func (s *seen) add(o seen) {
	s.count += o.count
	if o.first.Before(s.first) {
		s.first = o.first
	}
	if o.last.After(s.last) {
		s.last = o.last
	}
}

// corrupt keeps the first lines: chunks come to a worker in order.
func (t *tally) corrupt(line int, err error) {
	if t.bad++; len(t.lines) < namedCorrupt {
		t.lines = append(t.lines, CorruptLine{Line: line, Error: err.Error()})
	}
}
