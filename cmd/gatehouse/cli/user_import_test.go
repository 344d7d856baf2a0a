package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// crowd writes N people into FILE as user export writes them.
func crowd(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `{"username":"user%06d","sub":"id-%d","email":"user%d@example.com","email_verified":true,"phone_number_verified":false,"enabled":true,`+
			`"status":"CONFIRMED","groups":[],"password_hash":"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZWRpZ2VzdHNvbWVkaWdlc3Rzb21lZGlnZXN0MTI",`+
			`"password_set":"2020-01-02T03:04:05.006Z","created":"2019-01-02T03:04:05.006Z","updated":"2021-01-02T03:04:05.006Z"}`+"\n", i, i, i)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b.Bytes(), 0o600))
}

// rowsDone finds the number in the line of a progress bar.
var rowsDone = regexp.MustCompile(` ([1-9][0-9]*) rows `)

// slay imports FILE in a process of its own, and kills it with SIGKILL as soon as
// it says that rows are done.
func slay(ts *testscript.TestScript, _ bool, args []string) {
	program := ""
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "gatehouse")); err == nil {
			program = filepath.Join(dir, "gatehouse")
			break
		}
	}
	cmd := exec.Command(program, "user", "import", args[0], "--progress", "always")
	cmd.Dir = ts.Getenv("WORK")
	cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"))
	bar, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	lines := bufio.NewScanner(bar)
	lines.Split(func(data []byte, eof bool) (int, []byte, error) {
		if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
			return i + 1, data[:i], nil
		}
		return 0, nil, nil
	})
	for lines.Scan() {
		if rowsDone.MatchString(lines.Text()) {
			ts.Check(cmd.Process.Kill())
			break
		}
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		ts.Fatalf("the import ended before it was killed: %v", err)
	}
}
