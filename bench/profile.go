package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// profileFor is how long a gateway is loaded for a profile.
const profileFor = 20 * time.Second

// writeProfile writes a CPU profile of a gateway under load into file, and
// prints where the time went. The profile can be given to the compiler, as
// cmd/gatehouse/default.pgo.
func writeProfile(ctx context.Context, p plan, name, file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	p.buildFlags = []string{"-tags", "profile"}
	p.gatewayEnv = []string{"GATEHOUSE_CPU_PROFILE=" + file}
	w, err := openWorld(ctx, p)
	if err != nil {
		return err
	}
	defer w.close()
	name, h1 := strings.CutPrefix(name, "h1-")
	name, medium := strings.CutSuffix(name, "-64k")
	if h1 && !w.knows.h1 {
		return fmt.Errorf("profile: "+unsupported, "upstreams.NAME.transport")
	}
	g, err := w.gateway(ctx, setup{idp: true, h1: h1})
	if err != nil {
		return err
	}
	t, ok := map[string]target{
		"public": g.open(), "bearer": g.bearer(), "session": g.session(),
		"bearer-assertion": g.bearerAssertion(), "session-assertion": g.sessionAssertion(),
	}[name]
	if !ok {
		return fmt.Errorf("profile: there is no target %q", name)
	}
	if medium {
		t = t.with(t.name, func(t *target) { t.path = mediumFile })
	}
	w.tell("asking %s for %v", t.url(), profileFor)
	run, err := w.runLoad(ctx, t, profileFor)
	if err != nil {
		return err
	}
	w.tell("%.0f requests a second, each with %v of CPU", run.rate, run.cpu)
	// The profile is written at the end of the process.
	g.proc.end()
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		return errors.New("profile: the gateway wrote none; is it built with -tags profile?")
	}
	top := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=40", w.binary, file)
	top.Stdout, top.Stderr = os.Stdout, os.Stderr
	return top.Run()
}
