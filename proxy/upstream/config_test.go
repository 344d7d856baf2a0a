package upstream_test

import (
	"testing"
	"time"

	"gatehouse/internal/conf"
	"gatehouse/proxy/upstream"
)

func TestConfig(t *testing.T) {
	type file struct {
		Upstreams map[string]*upstream.Config `yaml:"upstreams"`
	}
	var f file
	_, err := conf.Parse("t.yaml", []byte("upstreams:\n  app: http://127.0.0.1:3000\n  api: { url: 'h2c://api:50051', host: upstream, max_body: 1MiB }\n"), &f)
	if err != nil {
		t.Fatal(err)
	}
	app, api := f.Upstreams["app"], f.Upstreams["api"]
	if app.URL.Host != "127.0.0.1:3000" || app.Host != "keep" || app.MaxBody != 64<<20 || app.DialTimeout != 5*time.Second || !app.HTTP2 {
		t.Errorf("app = %+v, want the defaults", app)
	}
	if api.URL.Scheme != "h2c" || api.Host != "upstream" || api.MaxBody != 1<<20 || api.ResponseTimeout != time.Minute {
		t.Errorf("api = %+v", api)
	}
	for _, bad := range []string{
		"[a]", "ftp://x", "http://", "127.0.0.1:3000", "http://u:p@x", "http://x/path", "http://x?q", "{host: keep}",
		"{url: 'http://x', host: other}", "{url: 'http://x', ca: x.pem}", "{url: 'http://x', max_body: 0}",
		"{url: 'http://x', dial_timeout: 0s}", "{url: 'http://x', insecure_skip_verify: true}",
		"{url: 'h2c://x', http2: false}", "{url: 'http://x', http2: false}", "{urls: 'http://x'}",
	} {
		var f file
		if _, err := conf.Parse("t.yaml", []byte("upstreams:\n  app: "+bad+"\n"), &f); err == nil {
			t.Errorf("upstream %s was accepted", bad)
		}
	}
	if _, err := upstream.New("app", config(t, "https://x", func(c *upstream.Config) { c.CA = "testdata/none.pem" }), nil); err == nil {
		t.Error("a missing ca file was accepted")
	}
}
