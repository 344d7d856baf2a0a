package whatif

import (
	"encoding/xml"
	"io"
	"strconv"
	"strings"
	"time"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	File     string      `xml:"file,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name     string         `xml:"name,attr"`
	Class    string         `xml:"classname,attr"`
	Time     string         `xml:"time,attr"`
	File     string         `xml:"file,attr"`
	Line     int            `xml:"line,attr"`
	Failures []junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the report as JUnit XML, as Jenkins and its like read it:
// one testsuite a file, one testcase a test, times in seconds, and file and line
// beside each. A test that failed has one failure with all its lines.
func (r *Report) WriteJUnit(w io.Writer) error {
	all := junitSuites{Name: "gatehouse policy test", Tests: r.Tests, Failures: r.Failed}
	var total time.Duration
	for _, f := range r.Files {
		suite := junitSuite{Name: f.File, File: f.File, Tests: len(f.Tests)}
		var took time.Duration
		for _, t := range f.Tests {
			c := junitCase{
				Name: t.Name, Class: f.File, Time: seconds(t.Took), File: t.File, Line: t.Line,
			}
			if !t.Passed {
				suite.Failures++
				c.Failures = []junitFailure{junitFailureOf(t)}
			}
			suite.Cases = append(suite.Cases, c)
			took += t.Took
		}
		suite.Time = seconds(took)
		total += took
		all.Suites = append(all.Suites, suite)
	}
	all.Time = seconds(total)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func junitFailureOf(t TestResult) junitFailure {
	f := junitFailure{Type: "failure", Message: "failed"}
	var lines []string
	for i, failure := range t.Failures {
		if i == 0 {
			f.Message = failure.lines()[0]
			if failure.Request != "" {
				f.Message = failure.Request + ": " + failure.lines()[1]
			}
		}
		lines = append(lines, failure.lines()...)
	}
	f.Text = strings.Join(lines, "\n")
	return f
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 6, 64) }
