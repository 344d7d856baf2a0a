package policy

import (
	"context"
	"testing"
	"time"

	"gatehouse/session"
)

// at decides for a person at a time.
func at(t *testing.T, p *Policy, id *session.Identity, when string) Decision {
	t.Helper()
	now, err := time.Parse(time.RFC3339, when)
	if err != nil {
		t.Fatal(err)
	}
	return p.Decide(context.Background(), Query{Identity: id, Method: "GET", Time: now})
}

func TestWindowsOpenAndClose(t *testing.T) {
	for _, c := range []struct{ window, inside, outside string }{
		{"{ hours: '08:00-18:00' }", "2026-03-23T08:00:00Z", "2026-03-23T07:59:59Z"},
		{"{ hours: '08:00-18:00' }", "2026-03-23T17:59:59Z", "2026-03-23T18:00:00Z"},
		{"{ hours: '08:30-24:00' }", "2026-03-23T23:59:59Z", "2026-03-23T08:29:59Z"},
		{"{ hours: '22:00-06:00' }", "2026-03-23T05:59:59Z", "2026-03-23T06:00:00Z"},
		{"{ hours: '22:00-06:00' }", "2026-03-23T22:00:00Z", "2026-03-23T21:59:59Z"},
		{"{ hours: '22:00-00:00' }", "2026-03-23T22:00:00Z", "2026-03-23T00:00:00Z"},
		// 2026-03-23 is a Monday.
		{"{ days: [mon] }", "2026-03-23T00:00:00Z", "2026-03-22T23:59:59Z"},
		{"{ days: [mon-fri] }", "2026-03-27T23:59:59Z", "2026-03-28T00:00:00Z"},
		{"{ days: [fri-mon] }", "2026-03-22T12:00:00Z", "2026-03-24T12:00:00Z"},
		{"{ days: [tue, mon], hours: '10:00-11:00' }", "2026-03-24T10:00:00Z", "2026-03-25T10:00:00Z"},
		// The night belongs to the day on which it begins.
		{"{ days: [fri], hours: '22:00-06:00' }", "2026-03-28T05:00:00Z", "2026-03-27T05:00:00Z"},
		{"{ days: [sun], hours: '22:00-06:00' }", "2026-03-23T05:00:00Z", "2026-03-22T05:00:00Z"},
		{"{ days: [mon], hours: '08:00-09:00', zone: Asia/Kolkata }", "2026-03-23T02:30:00Z", "2026-03-23T08:30:00Z"},
		// Berlin goes to summer time in the night to 2026-03-29, at 01:00 UTC.
		{"{ hours: '08:00-18:00', zone: Europe/Berlin }", "2026-03-28T07:00:00Z", "2026-03-28T06:59:59Z"},
		{"{ hours: '08:00-18:00', zone: Europe/Berlin }", "2026-03-29T06:00:00Z", "2026-03-29T16:00:00Z"},
		{"{ days: [sun], hours: '00:30-05:00', zone: Europe/Berlin }", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z"},
		{"{ from: '2026-03-23T00:00:00+01:00' }", "2026-03-22T23:00:00Z", "2026-03-22T22:59:59Z"},
		{"{ until: '2026-03-23T00:00:00+01:00' }", "2026-03-22T22:59:59Z", "2026-03-22T23:00:00Z"},
		{
			"{ days: [mon], from: '2026-03-23T00:00:00Z', until: '2026-03-30T00:00:00Z' }",
			"2026-03-23T12:00:00Z", "2026-03-30T12:00:00Z",
		},
	} {
		p := one(t, "{ time: "+c.window+" }")
		if d := at(t, p, person(), c.inside); d.Outcome != OutcomeAllow || d.Reason != ConditionsOK {
			t.Errorf("%s at %s = %s %s (%v), want allow\n%s", c.window, c.inside, d.Outcome, d.Reason, d.Err, p.RouteModule(0))
		}
		if d := at(t, p, person(), c.outside); d.Outcome != OutcomeDeny || d.Reason != TimeNotAllowed {
			t.Errorf("%s at %s = %s %s (%v), want deny time_not_allowed\n%s", c.window, c.outside, d.Outcome, d.Reason, d.Err, p.RouteModule(0))
		}
		not := one(t, "{ not: { time: "+c.window+" } }")
		if in, out := at(t, not, person(), c.inside), at(t, not, person(), c.outside); in.Reason != Excluded || out.Outcome != OutcomeAllow {
			t.Errorf("not %s = %s inside, %s outside, want excluded and allow", c.window, in.Reason, out.Reason)
		}
		if d := at(t, p, machine(), c.inside); d.Reason != PersonRequired {
			t.Errorf("%s for a machine = %s %s, want person_required", c.window, d.Outcome, d.Reason)
		}
	}
}

func TestOneOfSeveralWindowsIsEnough(t *testing.T) {
	p := one(t, "{ time: [{ days: [mon] }, { hours: '10:00-11:00' }] }")
	for when, want := range map[string]Outcome{
		"2026-03-23T05:00:00Z": OutcomeAllow, "2026-03-24T10:30:00Z": OutcomeAllow, "2026-03-24T05:00:00Z": OutcomeDeny,
	} {
		if d := at(t, p, person(), when); d.Outcome != want {
			t.Errorf("at %s = %s, want %s", when, d.Outcome, want)
		}
	}
}

func TestWithoutATimeItIsNow(t *testing.T) {
	p := one(t, "{ time: { from: '2020-01-01T00:00:00Z', until: '2200-01-01T00:00:00Z' } }")
	if d := p.Decide(context.Background(), Query{Identity: person()}); d.Outcome != OutcomeAllow {
		t.Errorf("Decide now = %s %s, want allow", d.Outcome, d.Reason)
	}
}

func TestMistakesInWindowsAreToldWithTheirPlace(t *testing.T) {
	mistake(t, "{ time: [] }", "3:", "empty")
	mistake(t, "{ time: {} }", "3:18", "always open")
	mistake(t, "{ time: [{ days: [mon] }, { zone: UTC }] }", "3:", "always open")
	mistake(t, "{ time: { days: [monday] } }", "3:26", `"monday"`)
	mistake(t, "{ time: { days: [mon-funday] } }", "3:", "mon-funday")
	mistake(t, "{ time: { days: [Mon] } }", "3:", "want mon, tue")
	for _, hours := range []string{"8:00-18:00", "08:00", "08:00-25:00", "08:60-09:00", "08:00 - 18:00", "24:00-25:00", "-", "08:00-18:00-19:00"} {
		mistake(t, "{ time: { hours: '"+hours+"' } }", "3:", "such as 08:00-18:00")
	}
	mistake(t, "{ time: { hours: '08:00-08:00' } }", "3:", "no time at all")
	for _, zone := range []string{"Europe/Berlinn", "Local", "../etc/passwd", "CEST+3"} {
		mistake(t, "{ time: { days: [mon], zone: '"+zone+"' } }", "3:", "such as Europe/Berlin")
	}
	for _, from := range []string{"2026-12-24", "2026-12-24T00:00:00", "tomorrow", "1500-01-01T00:00:00Z", "2400-01-01T00:00:00Z"} {
		mistake(t, "{ time: { from: '"+from+"' } }", "3:", "want a time such as")
	}
	mistake(t, "{ time: { from: '2026-01-02T00:00:00Z', until: '2026-01-02T01:00:00+01:00' } }", "3:", "never opens")
	mistake(t, "{ time: { day: [mon] } }", "3:", "days") // did you mean
	mistake(t, "{ time: monday }", "3:", "")
}
