package app

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// ops is the address of a gateway's telemetry.
type ops struct {
	t    *testing.T
	addr string
	gate *gate
}

// newOps opens a gateway with telemetry.
func newOps(t *testing.T, rest string) *ops {
	t.Helper()
	g := placeGate(t)
	o := &ops{t, free(t), g}
	g.head += "telemetry: { listen: \"" + o.addr + "\" }\n"
	g.configure(rest)
	g.open(Options{NoWatch: true, Version: "1.2.3"})
	g.run()
	return o
}

func (o *ops) get(path string) (int, string) {
	o.t.Helper()
	return o.gate.fetch("http://" + o.addr + path)
}

func (o *ops) tells(when string, want ...string) {
	o.t.Helper()
	status, text := o.get("/metrics")
	if status != http.StatusOK {
		o.t.Errorf("%s, /metrics = %d", when, status)
	}
	for _, line := range want {
		if !strings.Contains(text, line) {
			o.t.Errorf("%s, /metrics does not tell %s", when, line)
		}
	}
}

func TestTelemetryTellsOfDecisionsAndReloads(t *testing.T) {
	const some = "routes: [{ name: page, match: { path: /page }, allow: signed-in, upstream: a }, { name: old, match: { path: /old }, allow: nobody, upstream: a }]\n"
	o := newOps(t, some)
	o.gate.wants("at the start", "/page", 401, "")
	o.gate.wants("at the start", "/page", 401, "")
	o.gate.wants("at the start", "/old", 403, "")
	o.tells("at the start",
		`gatehouse_decisions_total{decision="deny",reason="sign_in_required",route="page"} 2`,
		`gatehouse_decisions_total{decision="deny",reason="nobody",route="old"} 1`,
		`gatehouse_config_info{revision="`+o.gate.app.Summary().Revision+`"} 1`,
		`gatehouse_config_last_reload_successful 1`, `version="1.2.3"`,
		`gatehouse_policy_memory_misses_total`,
	)
	if status, _ := o.get("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz while serving = %d, want 200", status)
	}
	o.gate.configure("routes: [}\n")
	o.gate.app.Reload()
	o.gate.logs.next(t, refused)
	o.tells("after a broken file", `gatehouse_config_last_reload_successful 0`, `gatehouse_config_reloads_total{outcome="refused"} 1`,
		`gatehouse_config_info{revision="`+o.gate.app.Summary().Revision+`"} 1`)
	if status, _ := o.get("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz after a refused reload = %d, want 200: the gateway serves", status)
	}
	o.gate.configure(strings.Replace(some, "name: old", "name: young", 1))
	o.gate.app.Reload()
	o.gate.logs.next(t, reloaded)
	o.gate.wants("after a reload", "/page", 401, "")
	o.tells("after a reload", `gatehouse_config_last_reload_successful 1`, `gatehouse_config_reloads_total{outcome="loaded"} 1`,
		`gatehouse_decisions_total{decision="deny",reason="sign_in_required",route="page"} 3`,
		`gatehouse_config_info{revision="`+o.gate.app.Summary().Revision+`"} 1`)
	if _, text := o.get("/metrics"); strings.Contains(text, `route="old"`) {
		t.Error("a route that is gone is still told of")
	}
}

// TestReadinessEndsBeforeTheLastRequest keeps one request under way while the
// gateway drains.
func TestReadinessEndsBeforeTheLastRequest(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	slow := newSlow(t, begun, end)
	o := newOps(t, "routes: [{ name: page, match: { path: /page }, allow: anyone, upstream: a }]\n")
	o.gate.head = strings.Replace(o.gate.head, "upstreams: {", "upstreams: { slow: \""+slow+"\",", 1)
	o.gate.configure("routes: [{ name: page, match: { path: /page }, allow: anyone, upstream: slow }]\n")
	o.gate.app.Reload()
	o.gate.logs.next(t, reloaded)
	answered := make(chan int, 1)
	go func() {
		status, _ := o.gate.get("/page")
		answered <- status
	}()
	<-begun
	stopped := make(chan struct{})
	go func() { o.gate.stop(); close(stopped) }()
	deadline := time.Now().Add(10 * time.Second)
	for {
		status, _ := o.get("/readyz")
		if status == http.StatusServiceUnavailable {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("/readyz is 200 while the gateway drains")
		}
	}
	if status, _ := o.get("/livez"); status != http.StatusOK {
		t.Errorf("/livez while draining = %d, want 200", status)
	}
	close(end)
	if status := <-answered; status != http.StatusOK {
		t.Errorf("the request under way ends with %d, want 200", status)
	}
	<-stopped
}

// TestDecisionsAreLoggedAndShadowed looks at all who are told of a decision.
func TestDecisionsAreLoggedAndShadowed(t *testing.T) {
	const live = "routes: [{ name: page, match: { path: /page }, allow: signed-in, upstream: a }]\n"
	o := newOps(t, live)
	g := o.gate
	shadow := strings.Replace(g.head, "telemetry:", "x-telemetry:", 1)
	g.file("shadow.yaml", shadow+toA)
	g.configure(live + "policy: { shadow: shadow.yaml, log: { file: decisions.log, allows: 1 } }\n")
	g.app.Reload()
	g.logs.next(t, reloaded)
	g.wants("with a shadow", "/page", 401, "")
	line := g.logs.next(t, "shadow")
	for _, want := range []string{"page", "deny", "allow"} {
		if !strings.Contains(line, want) {
			t.Errorf("the difference is logged without %s: %s", want, line)
		}
	}
	o.tells("after one decision", `gatehouse_shadow_decisions_total{outcome="different"} 1`, `gatehouse_decision_log_events_total{outcome="recorded"} 1`)
	g.stop()
	text, err := os.ReadFile(g.dir + "/decisions.log")
	if err != nil {
		t.Fatal(err)
	}
	var event struct {
		Path   string            `json:"path"`
		Labels map[string]string `json:"labels"`
	}
	if err := json.Unmarshal(text, &event); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if event.Labels["app"] != "gatehouse" || event.Labels["version"] != "1.2.3" || event.Labels["id"] == "" {
		t.Errorf("labels = %v, want id, version and app", event.Labels)
	}
}

func TestAnAddressThatIsTakenNamesTelemetry(t *testing.T) {
	taken := listen(t, "127.0.0.1:0")
	defer taken.Close()
	g := placeGate(t)
	g.head += "telemetry: { listen: \"" + taken.Addr().String() + "\" }\n"
	g.configure(toA)
	plan, err := Load(g.path())
	if err != nil {
		t.Fatal(err)
	}
	if a, err := Open(t.Context(), plan, Options{Log: discard()}); err == nil || !strings.Contains(err.Error(), "telemetry.listen") {
		t.Errorf("Open() = %v, %v, want an error that names telemetry.listen", a, err)
	}
}
