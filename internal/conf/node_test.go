package conf_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/conf"
)

// explorer walks its node by hand, as a union of many shapes does.
type explorer struct{ saw []string }

func (e *explorer) UnmarshalConf(n *conf.Node) { e.walk(n, 0) }

func (e *explorer) walk(n *conf.Node, depth int) {
	switch n.Kind() {
	case conf.Map:
		n.Only("a", "b", "c")
		e.saw = append(e.saw, fmt.Sprint(n.Where(), " keys ", n.Keys()))
		for _, key := range n.Keys() {
			if c := n.Get(key); c != nil {
				e.walk(c, depth+1)
			}
		}
	case conf.List:
		for _, c := range n.Items() {
			e.walk(c, depth+1)
		}
	default:
		e.saw = append(e.saw, n.Where()+" = "+n.Scalar())
	}
}

type explored struct {
	Top  explorer `yaml:"top"`
	Rest []string `yaml:"rest"`
}

func TestNodesAreWalkedByHand(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_NAME", "expanded")
	var x explored
	_, err := conf.Parse("f.yaml", []byte("top: {a: [1, {b: ${GATEHOUSE_TEST_NAME}x}], x-n: 1, c: two}\n"), &x)
	if err == nil {
		t.Fatal("braces in a flow map were accepted without quotes")
	}
	x = explored{}
	_, err = conf.Parse("f.yaml", []byte("top: {a: [1, {b: '${GATEHOUSE_TEST_NAME}x'}], x-n: 1, c: two}\n"), &x)
	want := []string{
		"top keys [a c]", "top.a[0] = 1", "top.a[1] keys [b]", "top.a[1].b = expandedx", "top.c = two",
	}
	if err != nil || !slices.Equal(x.Top.saw, want) {
		t.Errorf("saw %q, %v\nwant %q", x.Top.saw, err, want)
	}
}

func TestOnlyNamesUnknownKeys(t *testing.T) {
	var x explored
	_, err := conf.Parse("f.yaml", []byte("top: {a: 1, bb: hunter2}\n"), &x)
	if err == nil || !strings.Contains(err.Error(), `f.yaml:1:13: unknown key "bb" in top — did you mean "b"?`) {
		t.Errorf("got %v", err)
	}
}

func TestListThatHoldsItselfEnds(t *testing.T) {
	for _, text := range []string{
		"top: &a [*a, *a]\n",
		"top: &a {a: *a, b: *a}\n",
		"rest: &a [*a]\n",
		"top: &a {<<: *a, a: 1}\n",
	} {
		var x explored
		_, err := conf.Parse("f.yaml", []byte(text), &x)
		if err == nil && !strings.Contains(text, "<<") {
			t.Errorf("Parse(%q) found nothing wrong", text)
		}
	}
}

func TestAliasBombIsRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString("x-0: &a0 [1,1,1,1,1,1,1,1,1,1]\n")
	for i := range 12 {
		fmt.Fprintf(&b, "x-%d: &a%d [%s*a%d]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d,", i), 9), i)
	}
	for _, end := range []string{"rest: *a12\n", "top: *a12\n", "claims: {n: *a12}\n"} {
		var x struct {
			explored `yaml:"-"`
			Top      explorer       `yaml:"top"`
			Rest     []string       `yaml:"rest"`
			Claims   map[string]any `yaml:"claims"`
		}
		_, err := conf.Parse("f.yaml", []byte(b.String()+end), &x)
		if err == nil || !strings.Contains(err.Error(), "more than 500000 values once its aliases are followed") &&
			!strings.Contains(err.Error(), "want a single value") {
			t.Errorf("%s: %v", end, err)
		}
	}
}

func TestDepthAndSizeAreBounded(t *testing.T) {
	var x struct {
		Claims map[string]any `yaml:"claims"`
	}
	deep := "claims: {a: " + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}\n"
	if _, err := conf.Parse("f.yaml", []byte(deep), &x); err == nil || !strings.Contains(err.Error(), "nested more than 64 deep") {
		t.Errorf("deep: %v", err)
	}
	large := "claims: {a: " + strings.Repeat("b", 8<<20) + "}\n"
	if _, err := conf.Parse("f.yaml", []byte(large), &x); err == nil || err.Error() != "f.yaml: the file is larger than 8 MiB\n\n1 error" {
		t.Errorf("large: %v", err)
	}
}
