package whatif

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"gatehouse/policy"
	"gatehouse/proxy"
)

const (
	// shadowQueue is how many decisions wait for the shadow, shadowBodies how many
	// of them with a parsed body.
	shadowQueue  = 1024
	shadowBodies = 64
	// shadowLines is how many differences of one kind are logged in a second.
	shadowLines = 5
	// shadowKinds is how many kinds are told apart at once.
	shadowKinds = 10_000
)

// Shadow asks another gate about what a live one decided, and logs where the
// outcome differs. It has no other effect. It is a proxy.Recorder, safe for
// concurrent use.
type Shadow struct {
	gate   *proxy.Gate
	log    *slog.Logger
	queue  chan proxy.Decided
	bodies atomic.Int64 // decisions with a body in the queue
	now    func() time.Time

	kinds map[shadowKind]*shadowRate // of Run alone

	asked, different, dropped, unknown, suppressed atomic.Uint64
}

// ShadowStats counts since NewShadow.
type ShadowStats struct {
	// Asked is how many decisions the shadow was asked for, Different how many
	// of them had another outcome, and Suppressed how many of these were not
	// logged because too many alike came at once.
	Asked, Different, Suppressed uint64
	// Unknown could not be asked: the shadow judges a body that the live gate did
	// not read.
	Unknown uint64
	// Dropped found no room in the queue.
	Dropped uint64
}

// shadowKind is what differences have in common whose lines are counted
// together.
type shadowKind struct{ route, shadowRoute, outcome, shadowOutcome string }

// shadowRate counts the lines of one kind in one second.
type shadowRate struct {
	second     int64
	lines      int
	suppressed uint64 // since the last line
}

// NewShadow returns a shadow that asks g. It starts nothing: decisions wait for
// Run.
func NewShadow(g *proxy.Gate, log *slog.Logger) *Shadow {
	return &Shadow{
		gate: g, log: log, queue: make(chan proxy.Decided, shadowQueue), now: time.Now, kinds: map[shadowKind]*shadowRate{},
	}
}

// Record implements proxy.Recorder. It never waits: without room d is dropped
// and counted.
func (s *Shadow) Record(d proxy.Decided) {
	body := d.Query.Body.State == policy.BodyParsed
	if body && s.bodies.Add(1) > shadowBodies {
		s.bodies.Add(-1)
		s.dropped.Add(1)
		return
	}
	select {
	case s.queue <- d:
	default:
		s.dropped.Add(1)
		if body {
			s.bodies.Add(-1)
		}
	}
}

// Run asks until ctx ends. What is queued then is forgotten.
func (s *Shadow) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-s.queue:
			s.ask(d)
			if d.Query.Body.State == policy.BodyParsed {
				s.bodies.Add(-1)
			}
		}
	}
}

// Stats counts what has been asked.
func (s *Shadow) Stats() ShadowStats {
	return ShadowStats{
		Asked: s.asked.Load(), Different: s.different.Load(), Suppressed: s.suppressed.Load(),
		Unknown: s.unknown.Load(), Dropped: s.dropped.Load(),
	}
}

func (s *Shadow) ask(d proxy.Decided) {
	asked := s.gate.Judge(d.Request, d.Query.Identity, d.Query.ClientIP, proxy.Asking{Time: d.Query.Time, Body: d.Query.Body})
	s.asked.Add(1)
	route := asked.Verdict.Route
	if route >= 0 && d.Query.Body.State == policy.BodyUnread && d.Query.Identity != nil && s.gate.Rule(route).Bodies != nil {
		s.unknown.Add(1)
		return
	}
	live := Answered{d.Decision.Outcome.String(), string(d.Decision.Reason), d.Route}
	shadow := answerOf(s.gate, asked)
	if live.Outcome == shadow.Outcome {
		return
	}
	s.different.Add(1)
	suppressed, ok := s.admit(shadowKind{live.Route, shadow.Route, live.Outcome, shadow.Outcome})
	if !ok {
		s.suppressed.Add(1)
		return
	}
	s.tell(d, live, shadow, suppressed)
}

// admit tells whether another difference of this kind is logged, and how many
// were not since the last one that was.
func (s *Shadow) admit(kind shadowKind) (suppressed uint64, ok bool) {
	second := s.now().Unix()
	rate := s.kinds[kind]
	if rate == nil {
		if len(s.kinds) >= shadowKinds {
			clear(s.kinds) // so many are a log of its own; counts go on in Stats
		}
		rate = &shadowRate{}
		s.kinds[kind] = rate
	}
	if rate.second != second {
		rate.second, rate.lines = second, 0
	}
	if rate.lines == shadowLines {
		rate.suppressed++
		return 0, false
	}
	rate.lines++
	suppressed, rate.suppressed = rate.suppressed, 0
	return suppressed, true
}

// tell logs one difference. Like the access log it has no query, no credential
// and no e-mail address.
func (s *Shadow) tell(d proxy.Decided, live, shadow Answered, suppressed uint64) {
	a := []slog.Attr{
		slog.String("request_id", d.RequestID),
		slog.String("http.request.method", d.Request.Method),
		slog.String("server.address", d.Request.Host),
		slog.String("url.path", d.Request.Path),
		slog.String("http.route", live.Route), slog.String("gatehouse.outcome", live.Outcome), slog.String("gatehouse.reason", live.Reason),
		slog.String("gatehouse.shadow.route", shadow.Route), slog.String("gatehouse.shadow.outcome", shadow.Outcome),
		slog.String("gatehouse.shadow.reason", shadow.Reason),
	}
	if id := d.Query.Identity; id != nil {
		a = append(a, slog.String("user.id", id.Subject))
	}
	if suppressed > 0 {
		a = append(a, slog.Uint64("gatehouse.suppressed", suppressed))
	}
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "the shadow policy decides differently", a...)
}
