package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"gatehouse/proxy/whatif"
)

// The folder of the task that docs compare with eight other dialects.
const nineDialects = "../../../docs/examples/nine-dialects"

// command runs the program in the folder dir and returns what it prints.
func command(t *testing.T, dir string, args ...string) (stdout string, code int) {
	t.Helper()
	t.Chdir(dir)
	var out, errs bytes.Buffer
	code = Main(t.Context(), args, Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	if errs.Len() > 0 {
		t.Log(errs.String())
	}
	return out.String(), code
}

func TestNineDialectsTaskTakesFewLines(t *testing.T) {
	text, err := os.ReadFile(nineDialects + "/gatehouse.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines++
		}
	}
	if lines > 24 {
		t.Errorf("the configuration has %d lines, want at most 24", lines)
	}
}

func TestNineDialectsTaskIsTestedWhole(t *testing.T) {
	out, code := command(t, nineDialects, "policy", "test", "--coverage", "100", "--output", "json")
	var report whatif.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	if code != exitFine || report.Failed != 0 || report.Tests < 6 || report.Coverage.Percent != 100 {
		t.Errorf("exit %d, %d tests, %d failed, %d %% covered; want 0, at least 6, none, 100 %%",
			code, report.Tests, report.Failed, report.Coverage.Percent)
	}
}

func TestNineDialectsTaskHasTheMatrixThatDocsShow(t *testing.T) {
	golden, err := filepath.Abs(nineDialects + "/matrix.txt")
	if err != nil {
		t.Fatal(err)
	}
	out, code := command(t, nineDialects, "policy", "matrix")
	if code != exitFine {
		t.Fatalf("policy matrix exits %d", code)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || out != string(want) {
		t.Errorf("policy matrix prints\n%s\nwant\n%s(%v)", out, want, err)
	}
}

// The scripts hold copies, so that each can be read by itself.
func TestScriptsHoldTheNineDialectsTask(t *testing.T) {
	for _, script := range []string{"policy_test.txtar", "policy_matrix.txtar"} {
		archive, err := txtar.ParseFile("testdata/" + script)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if f.Name != "gatehouse.yaml" && f.Name != "policy/tests.yaml" {
				continue
			}
			want, err := os.ReadFile(nineDialects + "/" + f.Name)
			if err != nil {
				t.Fatal(err)
			}
			if string(f.Data) != string(want) {
				t.Errorf("%s of %s is not that of docs/examples/nine-dialects", f.Name, script)
			}
		}
	}
}
