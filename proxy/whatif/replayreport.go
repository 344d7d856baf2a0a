package whatif

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// shownFlips is how many rows the text of a report has; JSON has all.
const shownFlips = 100

// Answered is a decision in the words of the decision log.
type Answered struct {
	// Outcome is allow, deny or step_up; Reason a word of the closed lists of
	// package policy and the gate; Route the route's name, "" for none.
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	Route   string `json:"route,omitempty"`
}

// Flip is a kind of request that would be decided differently.
type Flip struct {
	Then Answered `json:"then"`
	Now  Answered `json:"now"`
	// Who is the username, or the subject, or the client, whichever is recorded.
	Who string `json:"who"`
	// Count is how many recorded requests these are, First and Last when they
	// came.
	Count int64     `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// CorruptLine is a line of the log that is no event.
type CorruptLine struct {
	Line  int    `json:"line"`
	Error string `json:"error"`
}

// Unjudged counts events that could not be judged, by the reason.
type Unjudged struct {
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// ReplayReport is what a replay found.
type ReplayReport struct {
	// Events is how many there were: Same, Otherwise, Flipped, NotJudged and
	// Corrupt together.
	Events int64 `json:"events"`
	// Same are decided as then, Otherwise with the same outcome but by another
	// route or for another reason.
	Same      int64 `json:"same"`
	Otherwise int64 `json:"otherwise"`
	// Flipped have another outcome: the sum of the counts of Flips, which are
	// sorted, the most frequent first.
	Flipped int64  `json:"flipped"`
	Flips   []Flip `json:"flips"`
	// NotJudged is the sum of the counts of Unjudged, which are sorted alike.
	NotJudged int64      `json:"not_judged"`
	Unjudged  []Unjudged `json:"unjudged"`
	// Corrupt counts lines that are no event; CorruptLines names the first 20.
	Corrupt      int64         `json:"corrupt"`
	CorruptLines []CorruptLine `json:"corrupt_lines"`
}

// merge adds up what the workers found.
func merge(found []*tally) *ReplayReport {
	r := &ReplayReport{Flips: []Flip{}, Unjudged: []Unjudged{}, CorruptLines: []CorruptLine{}}
	flips, unjudged := map[flipKey]*seen{}, map[string]int64{}
	for _, t := range found {
		r.Same += t.same
		r.Otherwise += t.otherwise
		r.Corrupt += t.bad
		r.CorruptLines = append(r.CorruptLines, t.lines...)
		for why, n := range t.unjudged {
			unjudged[why] += n
			r.NotJudged += n
		}
		for key, s := range t.flips {
			r.Flipped += s.count
			if have := flips[key]; have != nil {
				have.add(*s)
			} else {
				flips[key] = s
			}
		}
	}
	r.Events = r.Same + r.Otherwise + r.Flipped + r.NotJudged + r.Corrupt
	for key, s := range flips {
		r.Flips = append(r.Flips, Flip{key.then, key.now, key.who, s.count, s.first.UTC(), s.last.UTC()})
	}
	slices.SortFunc(r.Flips, compareFlips)
	for _, why := range slices.Sorted(maps.Keys(unjudged)) {
		r.Unjudged = append(r.Unjudged, Unjudged{why, unjudged[why]})
	}
	slices.SortStableFunc(r.Unjudged, func(a, b Unjudged) int { return cmp.Compare(b.Count, a.Count) })
	slices.SortFunc(r.CorruptLines, func(a, b CorruptLine) int { return cmp.Compare(a.Line, b.Line) })
	r.CorruptLines = r.CorruptLines[:min(len(r.CorruptLines), namedCorrupt)]
	return r
}

func compareFlips(a, b Flip) int {
	return cmp.Or(
		cmp.Compare(b.Count, a.Count), compareAnswered(a.Then, b.Then), compareAnswered(a.Now, b.Now), strings.Compare(a.Who, b.Who),
	)
}

func compareAnswered(a, b Answered) int {
	return cmp.Or(strings.Compare(a.Outcome, b.Outcome), strings.Compare(a.Route, b.Route), strings.Compare(a.Reason, b.Reason))
}

// Write prints the report for people: what flips, what could not be judged, and
// the totals.
func (r *ReplayReport) Write(w io.Writer) {
	r.writeFlips(w)
	for _, u := range r.Unjudged {
		fmt.Fprintf(w, "not judged: %d, %s\n", u.Count, clean(u.Reason))
	}
	for _, c := range r.CorruptLines {
		fmt.Fprintf(w, "corrupt: line %d: %s\n", c.Line, clean(c.Error))
	}
	if more := r.Corrupt - int64(len(r.CorruptLines)); more > 0 {
		fmt.Fprintf(w, "corrupt: %d more\n", more)
	}
	if r.NotJudged+r.Corrupt > 0 {
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%d events: %d flip, %d as before, %d as before by another route or reason, %d not judged, %d corrupt\n",
		r.Events, r.Flipped, r.Same, r.Otherwise, r.NotJudged, r.Corrupt)
}

func (r *ReplayReport) writeFlips(w io.Writer) {
	if len(r.Flips) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "COUNT\tWHO\tTHEN\tNOW\tFIRST\tLAST")
	for _, f := range r.Flips[:min(len(r.Flips), shownFlips)] {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", f.Count, clean(f.Who), f.Then, f.Now, stamp(f.First), stamp(f.Last))
	}
	t.Flush()
	if more := len(r.Flips) - shownFlips; more > 0 {
		fmt.Fprintf(w, "and %d more kinds; --output json has all\n", more)
	}
	fmt.Fprintln(w)
}

// String returns "allow admin (group_ok)".
func (a Answered) String() string {
	route := a.Route
	if route == "" {
		route = "no route"
	}
	return clean(a.Outcome + " " + route + " (" + a.Reason + ")")
}

func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05Z") }

// clean keeps what a log says from moving the cursor of a terminal.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029' {
			return '?'
		}
		return c
	}, s)
}
