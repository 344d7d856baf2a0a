package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// script runs targets by noting their names. CPU is what cost says, 1 µs where
// it says nothing; a target named broken fails.
func scripted(cost map[string]time.Duration) (*rounds, *[]string) {
	var asked []string
	r := &rounds{own: map[string][]pairing{}, failed: map[string]error{}}
	r.run = func(_ context.Context, t target) (sample, error) {
		asked = append(asked, t.name)
		if t.name == "broken" {
			return sample{}, errors.New("refused")
		}
		return sample{cpu: max(cost[t.name], 1) * time.Microsecond}, nil
	}
	return r, &asked
}

func rowOf(name, beside string) row {
	return row{name: name, own: target{name: name, base: name}, beside: target{name: beside, base: beside}}
}

func TestYardstickRunsBeforeAndAfterEachRow(t *testing.T) {
	rows := []row{rowOf("a", "bare"), rowOf("b", "bare"), rowOf("c", "other")}
	for round, want := range []string{"bare a bare b bare other c other", "other c other bare b bare a bare"} {
		r, asked := scripted(nil)
		r.round(t.Context(), ordered(rows, round))
		if got := strings.Join(*asked, " "); got != want {
			t.Errorf("round %d ran %s, want %s", round, got, want)
		}
	}
}

func TestARowThatFailsCostsTheOthersNothing(t *testing.T) {
	rows := []row{rowOf("a", "bare"), rowOf("broken", "bare"), rowOf("c", "bare")}
	r, asked := scripted(nil)
	r.round(t.Context(), rows)
	r.round(t.Context(), rows)
	if want := "bare a bare broken bare c bare bare a bare c bare"; strings.Join(*asked, " ") != want {
		t.Errorf("ran %s, want %s", strings.Join(*asked, " "), want)
	}
	for _, row := range rows {
		l := r.lines(row)[0]
		if failed := l.err != nil; failed != (row.name == "broken") || !failed && len(l.values) != 2 {
			t.Errorf("line of %s: %+v", row.name, l)
		}
	}
}

func TestOverSubtractsRoundByRound(t *testing.T) {
	rows := []row{rowOf("plain", "bare"), rowOf("signed", "bare")}
	rows[1].figures = []figure{cpu(0), over("plain", 0.10)}
	r, _ := scripted(map[string]time.Duration{"bare": 10, "plain": 12, "signed": 15})
	r.round(t.Context(), rows)
	lines := r.lines(rows[1])
	if len(lines) != 2 || lines[1].name != "signed, over plain" || len(lines[1].values) != 1 {
		t.Fatalf("lines = %+v", lines)
	}
	if got := lines[1].values[0]; got < 0.299 || got > 0.301 {
		t.Errorf("over = %v, want 0.3", got)
	}
}

func TestSectionsAreChosenByName(t *testing.T) {
	all := []section{{name: "a"}, {name: "b"}, {name: "c"}}
	for only, want := range map[string]string{"": "abc", "b": "b", "c,a": "ac"} {
		list, err := choose(all, only)
		if err != nil {
			t.Fatal(err)
		}
		names := ""
		for _, s := range list {
			names += s.name
		}
		if names != want {
			t.Errorf("choose %q = %s, want %s", only, names, want)
		}
	}
	if _, err := choose(all, "a,d"); err == nil {
		t.Error("choose takes a section that is not there")
	}
}

func TestSectionsHaveNamesOfTheirOwn(t *testing.T) {
	var names []string
	for _, s := range sections() {
		if slices.Contains(names, s.name) || s.title == "" || s.measure == nil {
			t.Errorf("section %q", s.name)
		}
		names = append(names, s.name)
	}
}

func TestWhoeverEndsBenchKeepsTheRoundsSoFar(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := scripted(nil)
	rows := []row{rowOf("a", "bare"), rowOf("broken", "bare")}
	r.round(ctx, rows[:1])
	cancel()
	r.round(ctx, rows)
	if l := r.lines(rows[0])[0]; l.err != nil || len(l.values) == 0 {
		t.Errorf("line of a row that ran: %+v", l)
	}
	if l := r.lines(rows[1])[0]; l.err == nil {
		t.Errorf("line of a row that never ran: %+v", l)
	}
}
