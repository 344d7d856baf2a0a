package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// features are keys of the configuration that not every gatehouse has.
type features struct {
	accessLog bool // telemetry.access_log
	h1        bool // upstreams.NAME.transport
	cache     bool // principals.max
}

// probe asks the binary which keys it knows.
func (w *world) probe(ctx context.Context) (f features, err error) {
	const small = "public_url: http://localhost:8080\nroutes:\n  - { name: open, allow: anyone, upstream: app }\n"
	const app = "upstreams: { app: { url: \"http://127.0.0.1:3000\"%s } }\n"
	knows := func(name, upstream, more string) bool {
		file := filepath.Join(w.dir, name+".yaml")
		if err == nil {
			err = os.WriteFile(file, []byte(small+fmt.Sprintf(app, upstream)+more), 0o600)
		}
		return err == nil && exec.CommandContext(ctx, w.binary, "check", file).Run() == nil
	}
	if !knows("plain", "", "") {
		out, _ := exec.CommandContext(ctx, w.binary, "check", filepath.Join(w.dir, "plain.yaml")).CombinedOutput()
		return f, fmt.Errorf("%s takes no configuration of ours: %w\n%s", w.binary, err, out)
	}
	f.accessLog = knows("access-log", "", "telemetry: { access_log: \"off\" }\n")
	f.h1 = knows("h1", ", transport: h1", "")
	f.cache = knows("cache", "", "principals: { max: 64MiB }\n")
	return f, err
}

// unsupported is what a row says of a key that is not there.
const unsupported = "not supported by this binary: it does not know the key %s"
