package declog

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"gatehouse/policy"
)

// decisionPath names what was asked, as OPA's API would: the rule below data.
const decisionPath = "gatehouse/routes/allow"

// MaxLine bounds one event, in bytes of JSON. Of a larger one parts of the input
// are left out.
const MaxLine = 1 << 20

// maxKept bounds, in bytes, each text of the input that is kept of an event that
// is still too large without body, claims and query.
const maxKept = 4 << 10

// Event is one recorded decision.
type Event struct {
	// Labels tell which gateway decided: id, version, app.
	Labels map[string]string `json:"labels"`
	// DecisionID is a UUID (RFC 9562 §5.4).
	DecisionID string `json:"decision_id"`
	// Bundles has the revision of the policy under "gatehouse".
	Bundles map[string]Bundle `json:"bundles,omitempty"`
	// Path is "gatehouse/routes/allow".
	Path string `json:"path"`
	// Input is policy.Record of the query, with the route's name under route;
	// what is masked is absent.
	Input  map[string]any `json:"input,omitempty"`
	Result Result         `json:"result"`
	// Erased lists what a mask took out, as JSON pointers below /input.
	Erased []string `json:"erased,omitempty"`
	// RequestedBy is the client's address, "" if unknown or masked.
	RequestedBy string `json:"requested_by,omitempty"`
	// Timestamp is when it was decided.
	Timestamp time.Time `json:"timestamp"`
	// Metrics has timer_gatehouse_decide_ns: how long the decision took.
	Metrics map[string]int64 `json:"metrics,omitempty"`
	Custom  Custom           `json:"custom"`
}

// Bundle names a version of the policy.
type Bundle struct {
	Revision string `json:"revision"`
}

// Result is what was decided.
type Result struct {
	Allow bool `json:"allow"`
	// Outcome is allow, deny or step_up; Reason a word of the closed list.
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	// Route is the route's name, Rule "file:line" of what decided.
	Route string `json:"route,omitempty"`
	Rule  string `json:"rule,omitempty"`
}

// Custom is what a replay needs beside the input, and the id of the request.
type Custom struct {
	RequestID string `json:"request_id,omitempty"`
	Websocket bool   `json:"websocket,omitempty"`
	// Odd is what was odd about the path, and Other its other reading, "" for
	// nothing and none.
	Odd   string `json:"odd,omitempty"`
	Other string `json:"other,omitempty"`
}

// Entry is one decision to record.
type Entry struct {
	// ID names the decision; "" means a new UUID.
	ID string
	// RequestID names the request in other logs.
	RequestID string
	// Route is the name of the route, Revision that of the policy.
	Route, Revision string
	Query           policy.Query
	Decision        policy.Decision
	Websocket       bool
	// Odd is what was odd about the path, in words joined by a comma; Other is
	// the other way to read it. Both are "" for an ordinary path.
	Odd, Other string
	// At is when it was decided, Took how long that took.
	At   time.Time
	Took time.Duration
}

// Parse reads one event as it was written. Numbers of its input are json.Number.
func Parse(text []byte) (Event, error) {
	var e Event
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&e); err != nil {
		return Event{}, fmt.Errorf("read event: %w", err)
	}
	if dec.More() {
		return Event{}, errors.New("read event: something follows it")
	}
	if e.Path != decisionPath {
		return Event{}, fmt.Errorf("path is %q, want %q", e.Path, decisionPath)
	}
	if e.Result.Outcome == "" || e.Timestamp.IsZero() {
		return Event{}, errors.New("result.outcome or timestamp is missing")
	}
	return e, nil
}

// newEvent makes an event of e, without what m erases. labels are shared.
func newEvent(e *Entry, labels map[string]string, m mask) *Event {
	if e.Query.Time.IsZero() {
		e.Query.Time = e.At
	}
	ev := &Event{
		Labels: labels, DecisionID: e.ID, Path: decisionPath, Input: policy.Record(e.Query),
		Result: Result{
			Allow:   e.Decision.Outcome == policy.OutcomeAllow,
			Outcome: e.Decision.Outcome.String(), Reason: string(e.Decision.Reason),
			Route: e.Route, Rule: e.Decision.Rule.String(),
		},
		Timestamp: e.At.UTC(),
		Metrics:   map[string]int64{"timer_gatehouse_decide_ns": e.Took.Nanoseconds()},
		Custom:    Custom{RequestID: e.RequestID, Websocket: e.Websocket, Odd: e.Odd, Other: e.Other},
	}
	if e.Route != "" {
		ev.Input["route"] = e.Route
	}
	if e.Revision != "" {
		ev.Bundles = map[string]Bundle{"gatehouse": {e.Revision}}
	}
	if e.Decision.Rule.Line == 0 {
		ev.Result.Rule = ""
	}
	ev.RequestedBy = text(ev.Input, "request", "client_ip")
	m.apply(ev, e.Query.Identity)
	return ev
}

// encode returns ev as one line of JSON without line break. While it cannot be
// written, or is too long, more and more of the input is erased: whoever asks
// chooses the length, and must not choose to go unrecorded.
func (ev *Event) encode() ([]byte, error) {
	for _, less := range []func(){
		func() {},
		func() { ev.erase("request", "body") },
		func() { ev.erase("credential", "claims"); ev.erase("request", "query") },
		ev.eraseMost,
	} {
		less()
		if line, err := ev.marshal(); err == nil && len(line) <= MaxLine {
			return line, nil
		}
	}
	ev.Input, ev.Erased, ev.RequestedBy = nil, []string{"/input"}, ""
	return ev.marshal()
}

// marshal leaves <, > and & alone: nobody puts the line into a page, and it
// would be up to six times as long.
func (ev *Event) marshal() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(ev)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// kept is what eraseMost leaves of the input: who asked for what.
var kept = map[string][]string{"user": {"subject"}, "credential": {"subject"}, "request": {"method", "path", "client_ip"}}

// eraseMost leaves of the input what kept names. Texts that are longer than
// maxKept are cut, and listed as erased.
func (ev *Event) eraseMost() {
	for _, part := range slices.Sorted(maps.Keys(ev.Input)) {
		fields, isObject := ev.Input[part].(map[string]any)
		if kept[part] == nil || !isObject {
			ev.erase(part)
			continue
		}
		left := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			value, isText := fields[key].(string)
			if isText && slices.Contains(kept[part], key) {
				left[key] = cut(value)
				if left[key] == value {
					continue
				}
			}
			ev.Erased = append(ev.Erased, policy.MaskPointer([]string{part, key}))
		}
		// Input is ours, but what is in it may be shared.
		ev.Input[part] = left
	}
	ev.Custom.Other = ""
}

// cut returns the beginning of s, and no half of a character.
func cut(s string) string {
	if len(s) <= maxKept {
		return s
	}
	n := maxKept
	for n > maxKept-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// text returns the string at a path of objects, "" if there is none.
func text(object map[string]any, path ...string) string {
	for _, key := range path[:len(path)-1] {
		object, _ = object[key].(map[string]any)
	}
	s, _ := object[path[len(path)-1]].(string)
	return s
}

// newUUID returns a random UUID (RFC 9562 §5.4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
