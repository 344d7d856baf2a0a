package policy

import (
	"slices"
	"time"
)

// weekMinutes are the minutes of a week, which begins on Monday.
const weekMinutes = 7 * midnight

// maxWindowWays bounds how many choices of windows are looked at, and shortSpan up to
// which length a span is looked at minute by minute.
const (
	maxWindowWays = 256
	shortSpan     = 8 * 24 * time.Hour
)

// span is a window as the minutes of the week it is open, in its zone, between
// two moments; zero moments bound nothing.
type span struct {
	minutes     [weekMinutes]bool
	zone        string
	from, until time.Time
}

// spanOf returns the span of a window; ok is false for what Compile refuses.
func spanOf(w Window) (s *span, ok bool) {
	read, wrong := w.read()
	if len(wrong) > 0 {
		return nil, false
	}
	s = &span{zone: read.zone}
	begin, end := read.begin, read.end
	if end <= begin {
		end += midnight // begin and end are equal for the whole day
	}
	for day := range 7 {
		if !read.days[day] && read.days != [7]bool{} {
			continue
		}
		for m := begin; m < end; m++ {
			s.minutes[(day*midnight+m)%weekMinutes] = true
		}
	}
	// Both have been read as times; absent ones stay zero.
	s.from, _ = time.Parse(time.RFC3339, read.from)
	s.until, _ = time.Parse(time.RFC3339, read.until)
	return s, true
}

// oneTime tells whether there is a moment at which each of yes has an open window
// and none of no has.
func oneTime(yes, no []*atom) bool {
	if len(yes) == 1 && len(no) == 0 && slices.ContainsFunc(yes[0].windows, func(w Window) bool { return w.From == "" || w.Until == "" }) {
		return true // the usual case: each week has some minute of it
	}
	ways := [][]*span{nil}
	for _, a := range yes {
		var longer [][]*span
		for _, w := range a.windows {
			s, ok := spanOf(w)
			if !ok {
				return true
			}
			for _, way := range ways {
				longer = append(longer, append(way[:len(way):len(way)], s))
			}
		}
		if ways = longer; len(ways) > maxWindowWays {
			return true
		}
	}
	var closed []*span
	for _, a := range no {
		for _, w := range a.windows {
			if s, ok := spanOf(w); ok && s.from.IsZero() && s.until.IsZero() {
				closed = append(closed, s)
			}
		}
	}
	return slices.ContainsFunc(ways, func(way []*span) bool { return meet(way, closed) })
}

// meet tells whether all of open could be open at one moment at which none of
// closed is; true when in doubt.
func meet(open, closed []*span) bool {
	var from, until time.Time
	for _, s := range open {
		if from.Before(s.from) {
			from = s.from
		}
		if !s.until.IsZero() && (until.IsZero() || s.until.Before(until)) {
			until = s.until
		}
	}
	if !until.IsZero() && !from.Before(until) {
		return false
	}
	for _, zone := range zonesOf(slices.Concat(open, closed)) {
		if !anyMinute(zone, open, closed) {
			return false
		}
	}
	if from.IsZero() || until.IsZero() || until.Sub(from) > shortSpan {
		return true
	}
	return openBetween(from, until, open)
}

func zonesOf(spans []*span) []string {
	var zones []string
	for _, s := range spans {
		if !slices.Contains(zones, s.zone) {
			zones = append(zones, s.zone)
		}
	}
	return zones
}

// anyMinute looks for a minute of the week of one zone.
func anyMinute(zone string, open, closed []*span) bool {
	for m := range weekMinutes {
		shut := func(s *span) bool { return s.zone == zone && !s.minutes[m] }
		taken := func(s *span) bool { return s.zone == zone && s.minutes[m] }
		if !slices.ContainsFunc(open, shut) && !slices.ContainsFunc(closed, taken) {
			return true
		}
	}
	return false
}

// openBetween looks at each minute of a short time.
func openBetween(from, until time.Time, open []*span) bool {
	zones := map[string]*time.Location{}
	for _, s := range open {
		loc, err := time.LoadLocation(s.zone)
		if err != nil {
			return true
		}
		zones[s.zone] = loc
	}
	for t := from; t.Before(until); t = t.Truncate(time.Minute).Add(time.Minute) {
		if !slices.ContainsFunc(open, func(s *span) bool {
			at := t.In(zones[s.zone])
			return !s.minutes[(int(at.Weekday())+6)%7*midnight+at.Hour()*60+at.Minute()]
		}) {
			return true
		}
	}
	return false
}

// over tells whether all windows ended before now.
func over(windows []Window, now time.Time) bool {
	return !now.IsZero() && !slices.ContainsFunc(windows, func(w Window) bool {
		s, ok := spanOf(w)
		return !ok || s.until.IsZero() || s.until.After(now)
	})
}

// windowTexts spells windows so that equal ones are spelt alike.
func windowTexts(windows []Window) []string {
	var all []string
	for _, w := range windows {
		read, _ := w.read() // what is wrong has been told
		all = append(all, read.text())
	}
	return all
}
