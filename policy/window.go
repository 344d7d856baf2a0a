package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/conf"
)

// Window is a span of time: every key that is given must hold.
type Window struct {
	Pos conf.Pos `yaml:"-"`
	// Days are mon, tue, wed, thu, fri, sat, sun, or spans such as mon-fri.
	// Default every day.
	Days []string `yaml:"days"`
	// Hours is "08:00-18:00": from the first minute until before the last one;
	// "22:00-06:00" goes on into the next day, and its day is the one it began
	// on. Default the whole day.
	Hours string `yaml:"hours"`
	// Zone is a name of the IANA time zone database. Default UTC.
	Zone string `yaml:"zone"`
	// From and Until bound the time, RFC 3339 with offset: from the first on,
	// before the second. Default unbounded.
	From  string `yaml:"from"`
	Until string `yaml:"until"`
}

// Windows are the windows of one condition; in YAML a single one may be written
// without brackets.
type Windows []Window

// UnmarshalConf reads both forms.
func (ws *Windows) UnmarshalConf(n *conf.Node) {
	for _, item := range n.Items() {
		var w Window
		item.Decode(&w)
		*ws = append(*ws, w)
	}
}

// midnight is the last minute of a day and the first of the next.
const midnight = 24 * 60

// dayNames are the days in the order of a week that begins on Monday, as YAML
// writes them; Rego's are time.Weekday's.
var dayNames = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

var hoursForm = regexp.MustCompile(`^(([01]\d|2[0-3]):([0-5]\d))-(([01]\d|2[0-3]):([0-5]\d)|24:00)$`)

// window is a Window that has been read.
type window struct {
	// days are those on which it opens, Monday first; all false for every day.
	days [7]bool
	// begin and end are minutes of the day; where end is not after begin it is
	// on the next day. Both are 0 for the whole day.
	begin, end int
	// zone is "" for UTC. from and until are "" for unbounded.
	zone, from, until string
}

// windowProblem is what is wrong with one key of a Window; with key "" with the
// window itself.
type windowProblem struct {
	key, text string
}

// read returns w as a window, and all that is wrong with it.
func (w Window) read() (window, []windowProblem) {
	var found []windowProblem
	add := func(key, format string, a ...any) {
		found = append(found, windowProblem{key, fmt.Sprintf(format, a...)})
	}
	var out window
	for _, text := range w.Days {
		if !out.addDays(text) {
			add("days", "days names %q, want mon, tue, wed, thu, fri, sat, sun, or a span such as mon-fri", text)
		}
	}
	if out.days == [7]bool{true, true, true, true, true, true, true} {
		out.days = [7]bool{}
	}
	out.readHours(w.Hours, add)
	if w.Zone != "" && w.Zone != "UTC" {
		out.zone = w.Zone
		// Local is the machine's, which the configuration cannot know.
		if _, err := time.LoadLocation(w.Zone); err != nil || w.Zone == "Local" {
			add("zone", "zone is %q, want a name of the time zone database, such as Europe/Berlin", w.Zone)
		}
	}
	out.readBounds(w, add)
	if len(w.Days) == 0 && w.Hours == "" && w.From == "" && w.Until == "" {
		add("", "this window is always open; give days, hours, from or until")
	}
	return out, found
}

// addDays adds one day or a span of days, which may go over the end of the week.
func (o *window) addDays(text string) bool {
	first, last, span := strings.Cut(text, "-")
	if !span {
		last = first
	}
	from, to := slices.Index(dayNames, first), slices.Index(dayNames, last)
	if from < 0 || to < 0 {
		return false
	}
	for d := from; ; d = (d + 1) % 7 {
		if o.days[d] = true; d == to {
			return true
		}
	}
}

func (o *window) readHours(text string, add func(key, format string, a ...any)) {
	if text == "" {
		return
	}
	if !hoursForm.MatchString(text) {
		add("hours", "hours is %q, want a time of day from and until, such as 08:00-18:00", text)
		return
	}
	from, until, _ := strings.Cut(text, "-")
	o.begin, o.end = minutes(from), minutes(until)
	switch {
	case o.begin == o.end:
		add("hours", "hours is %q, which is no time at all; leave it out for the whole day", text)
	case o.begin == 0 && o.end == midnight:
		o.end = 0
	}
}

// minutes returns the minutes since midnight of "08:30".
func minutes(text string) int {
	digit := func(i int) int { return int(text[i] - '0') }
	return (digit(0)*10+digit(1))*60 + digit(3)*10 + digit(4)
}

func (o *window) readBounds(w Window, add func(key, format string, a ...any)) {
	o.from, o.until = w.From, w.Until
	moment := func(key, text string) time.Time {
		if text == "" {
			return time.Time{}
		}
		at, err := time.Parse(time.RFC3339, text)
		// Rego counts nanoseconds in 64 bits.
		if err != nil || at.Year() < 1970 || at.Year() > 2261 {
			add(key, "%s is %q, want a time such as 2026-12-24T00:00:00+01:00", key, text)
			return time.Time{}
		}
		return at
	}
	from, until := moment("from", w.From), moment("until", w.Until)
	if !from.IsZero() && !until.IsZero() && !from.Before(until) {
		add("until", "until is not after from, so this window never opens")
	}
}

// text is the window as YAML could write it, equal for equal windows.
func (o *window) text() string {
	var parts []string
	if days := o.spans(); days != nil {
		parts = append(parts, "days: ["+strings.Join(days, ", ")+"]")
	}
	if o.begin != o.end {
		parts = append(parts, "hours: "+o.hours())
	}
	for _, p := range [][2]string{{"zone", o.zone}, {"from", o.from}, {"until", o.until}} {
		if p[1] != "" {
			parts = append(parts, p[0]+": "+p[1])
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (o *window) hours() string {
	return fmt.Sprintf("%02d:%02d-%02d:%02d", o.begin/60, o.begin%60, o.end/60, o.end%60)
}

// spans returns the days as YAML writes them; nil for every day.
func (o *window) spans() []string {
	var spans []string
	for d := 0; d < 7; d++ {
		if !o.days[d] {
			continue
		}
		last := d
		for last < 6 && o.days[last+1] {
			last++
		}
		text := dayNames[d]
		if last > d {
			text += "-" + dayNames[last]
		}
		spans = append(spans, text)
		d = last
	}
	return spans
}

// slug is what the window adds to the name of a rule.
func (o *window) slug() string {
	text := strings.Join(o.spans(), " ")
	if o.begin != o.end {
		text += " " + o.hours()
	}
	if text == "" {
		text = "from " + o.from
		if o.from == "" {
			text = "until " + o.until
		}
	}
	return slug(text)
}

// bodies returns the Rego of the window: lists of lines of which one list must
// hold altogether. A window that goes over midnight has two, one for each day.
func (o *window) bodies() [][]string {
	now := "input.time"
	if o.zone != "" {
		now = "[input.time, " + quote(o.zone) + "]"
	}
	var bounds []string
	if o.from != "" {
		bounds = append(bounds, "input.time >= time.parse_rfc3339_ns("+quote(o.from)+")")
	}
	if o.until != "" {
		bounds = append(bounds, "input.time < time.parse_rfc3339_ns("+quote(o.until)+")")
	}
	after := fmt.Sprintf("time.clock(%s) >= [%d, %d, 0]", now, o.begin/60, o.begin%60)
	before := fmt.Sprintf("time.clock(%s) < [%d, %d, 0]", now, o.end/60, o.end%60)
	switch {
	case o.begin == o.end:
		return [][]string{slices.Concat(bounds, o.weekday(now, 0))}
	case o.end == midnight:
		return [][]string{slices.Concat(bounds, o.weekday(now, 0), []string{after})}
	case o.begin < o.end:
		return [][]string{slices.Concat(bounds, o.weekday(now, 0), []string{after, before})}
	}
	evening := slices.Concat(bounds, o.weekday(now, 0), []string{after})
	if o.end == 0 {
		return [][]string{evening}
	}
	return [][]string{evening, slices.Concat(bounds, o.weekday(now, 1), []string{before})}
}

// weekday returns the line that asks for a day, if it matters; later is how many
// days the window began before.
func (o *window) weekday(now string, later int) []string {
	var names []string
	for d, open := range o.days {
		if open {
			names = append(names, quote(time.Weekday((d+1+later)%7).String()))
		}
	}
	switch len(names) {
	case 0:
		return nil
	case 1:
		return []string{"time.weekday(" + now + ") == " + names[0]}
	}
	return []string{"time.weekday(" + now + ") in {" + strings.Join(names, ", ") + "}"}
}
