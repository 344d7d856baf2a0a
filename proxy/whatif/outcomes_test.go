package whatif

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"gatehouse/policy"
)

// grow makes a random tree of conditions; leaves that are called a to d are open.
func grow(rng *rand.Rand, depth int) *policy.Finding {
	if depth == 0 || rng.IntN(4) == 0 {
		f := &policy.Finding{Text: string(rune('a' + rng.IntN(7)))}
		f.Result = [...]policy.Result{policy.Hit, policy.Miss, policy.Unknown}[rng.IntN(3)]
		return f
	}
	f := &policy.Finding{Text: [...]string{"any of", "all of", "not"}[rng.IntN(3)]}
	n := 1
	if f.Text != "not" {
		n = 2 + rng.IntN(2)
	}
	for range n {
		f.Children = append(f.Children, grow(rng, depth-1))
	}
	return f
}

const openLeaves = "abcd"

func openLeaf(f *policy.Finding) (key, kind string) {
	if strings.Contains(openLeaves, f.Text) {
		return f.Text, "kind of " + f.Text
	}
	return "", ""
}

// value is the truth of f, -1, 0 or 1, by the textbook.
func value(f *policy.Finding, open map[string]int) int {
	if len(f.Children) == 0 {
		if v, ok := open[f.Text]; ok {
			return v
		}
		return map[policy.Result]int{policy.Hit: 1, policy.Miss: -1}[f.Result]
	}
	v := value(f.Children[0], open)
	if f.Text == "not" {
		return -v
	}
	for _, c := range f.Children[1:] {
		if f.Text == "all of" {
			v = min(v, value(c, open))
		} else {
			v = max(v, value(c, open))
		}
	}
	return v
}

// every tries all values of the open leaves.
func every(f *policy.Finding) (met, other bool) {
	for n := range 81 {
		open := map[string]int{}
		for i, rest := 0, n; i < len(openLeaves); i, rest = i+1, rest/3 {
			open[openLeaves[i:i+1]] = rest%3 - 1
		}
		if value(f, open) == 1 {
			met = true
		} else {
			other = true
		}
	}
	return met, other
}

func spell(f *policy.Finding) string {
	if len(f.Children) == 0 {
		return fmt.Sprintf("%s:%s", f.Text, f.Result)
	}
	var parts []string
	for _, c := range f.Children {
		parts = append(parts, spell(c))
	}
	return f.Text + "(" + strings.Join(parts, ", ") + ")"
}

func TestCellDependsExactlyWhereSomeValueChangesTheOutcome(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[[2]bool]int{}
	for range 20_000 {
		f := grow(rng, 4)
		met, other := treeOf(f, openLeaf).outcomes()
		wantMet, wantOther := every(f)
		if met != wantMet || other != wantOther {
			t.Fatalf("%s: can be met %t, can fail %t; want %t, %t", spell(f), met, other, wantMet, wantOther)
		}
		seen[[2]bool{met, other}]++
	}
	if len(seen) != 3 {
		t.Errorf("the trees had the outcomes %v, want all three kinds", seen)
	}
}

func TestCellNamesWhatItHangsOn(t *testing.T) {
	leaf := func(name string, r policy.Result) *policy.Finding { return &policy.Finding{Text: name, Result: r} }
	node := func(word string, c ...*policy.Finding) *policy.Finding {
		return &policy.Finding{Text: word, Children: c}
	}
	for _, c := range []struct {
		tree *policy.Finding
		want string
	}{
		{node("all of", leaf("x", policy.Hit), leaf("a", policy.Miss), leaf("b", policy.Miss), leaf("a", policy.Miss)), "[kind of a kind of b]"},
		{node("any of", leaf("a", policy.Miss), node("all of", leaf("x", policy.Miss), leaf("b", policy.Miss))), "[kind of a]"},
		{node("not", leaf("c", policy.Hit)), "[kind of c]"},
		{leaf("x", policy.Hit), "[]"},
	} {
		if got := fmt.Sprint(treeOf(c.tree, openLeaf).hangsOn(nil)); got != c.want {
			t.Errorf("%s hangs on %s, want %s", spell(c.tree), got, c.want)
		}
	}
}

func TestManySharedConditionsAreJudgedInTime(t *testing.T) {
	root := &policy.Finding{Text: "all of"}
	for i := range 40 {
		// Always true when known: a or not a.
		a := &policy.Finding{Text: fmt.Sprint("leaf", i)}
		root.Children = append(root.Children, &policy.Finding{Text: "any of", Children: []*policy.Finding{
			a, {Text: "not", Children: []*policy.Finding{a}},
		}})
	}
	met, other := treeOf(root, func(f *policy.Finding) (string, string) { return f.Text, "ip" }).outcomes()
	if !met || !other {
		t.Errorf("met %t, other %t, want both: each may be unknown", met, other)
	}
}
