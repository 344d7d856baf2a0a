package starter_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/cmd/gatehouse/starter"
)

func setups() map[string]starter.Setup {
	return map[string]starter.Setup{
		"local": {
			Upstream: starter.DefaultUpstream, PublicURL: starter.DefaultPublicURL, Provider: starter.Pool,
			Issuer: "http://login.localhost:8080", Listen: []string{"127.0.0.1:8080", "[::1]:8080"},
		},
		"production": {
			Upstream: "https://orders.internal:8443", PublicURL: "https://app.example.com", Provider: starter.Pool,
			Issuer: "https://login.example.com", Listen: []string{"8080"},
		},
		"another issuer": {
			Upstream: "h2c://127.0.0.1:50051", PublicURL: "https://app.example.com", Provider: starter.OIDC,
			Issuer: "https://accounts.example.org/realms/a", ClientID: "gate", Listen: []string{"8080"},
		},
	}
}

// parsed compiles the configuration that s makes.
func parsed(t *testing.T, s starter.Setup) *app.Plan {
	t.Helper()
	files, err := starter.Files(s)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := app.Parse(filepath.Join(t.TempDir(), starter.ConfigFile), files[0].Text)
	if err != nil {
		t.Fatalf("%v\n%s", err, files[0].Text)
	}
	return plan
}

func TestWhatIsWrittenLoadsWithoutAWarning(t *testing.T) {
	for name, s := range setups() {
		plan := parsed(t, s)
		if w := plan.Summary().Warnings; len(w) > 0 {
			t.Errorf("%s: warnings %q", name, w)
		}
		found, err := plan.Lint(t.Context())
		if err != nil || len(found.Warnings) > 0 {
			t.Errorf("%s: lint found %v (%v), want nothing", name, found.Warnings, err)
		}
		if got := plan.Config.Upstreams["app"].URL.String(); got != s.Upstream {
			t.Errorf("%s: upstream %q, want %q", name, got, s.Upstream)
		}
	}
}

// Whatever is answered is a value, and neither YAML nor a variable.
func TestAnswersAreValues(t *testing.T) {
	for _, id := range []string{
		"gate", "${HOME}", "$x", `a: "b"`, "x # y", "- z", `\n`, "é\u2028", "0x10", "true", "null", "~", "1.0", "{a: b}", "a'b", "tab\tend", "*a", "&a", "!!int 3",
	} {
		s := setups()["another issuer"]
		s.ClientID = id
		if got := parsed(t, s).Config.Login.Providers["company"].ClientID; got != id {
			t.Errorf("client id %q was written as %q", id, got)
		}
	}
}

func FuzzAnswersAreValues(f *testing.F) {
	f.Add("${file:/etc/passwd}")
	f.Fuzz(func(t *testing.T, id string) {
		if id == "" || len(id) > 1000 || strings.ToValidUTF8(id, "") != id {
			return
		}
		s := setups()["another issuer"]
		s.ClientID = id
		if got := parsed(t, s).Config.Login.Providers["company"].ClientID; got != id {
			t.Errorf("client id %q was written as %q", id, got)
		}
	})
}

func TestIssuerHasAHostOfItsOwn(t *testing.T) {
	for public, want := range map[string]string{
		"https://app.example.com":       "https://login.example.com",
		"https://app.example.com:8443":  "https://login.example.com:8443",
		"https://APP.example.com:443":   "https://login.example.com",
		"https://example.com":           "https://login.example.com",
		"https://example.co.uk":         "https://login.example.co.uk",
		"https://a.b.example.com":       "https://login.b.example.com",
		"https://login.example.com":     "https://id.example.com",
		"https://192.0.2.1":             "",
		"https://[2001:db8::1]":         "",
		"https://co.uk":                 "",
		"http://app.localhost:8080":     "http://login.localhost:8080",
		"http://localhost":              "http://login.localhost",
		"http://login.localhost":        "http://id.localhost",
		"http://127.0.0.1:9000":         "http://login.localhost:9000",
		"https://app.example.com/a/b/c": "",
	} {
		if got := starter.IssuerFor(public); got != want {
			t.Errorf("IssuerFor(%s) = %q, want %q", public, got, want)
		}
	}
}

func TestLocalGatewayListensOnThisMachineOnly(t *testing.T) {
	for public, want := range map[string]string{
		"https://app.example.com": "8080", "http://app.localhost:9000": "127.0.0.1:9000 [::1]:9000",
		"http://localhost": "127.0.0.1:80 [::1]:80", "http://127.0.0.2:9000": "127.0.0.2:9000", "http://[::1]:9000": "[::1]:9000",
	} {
		if got := strings.Join(starter.ListenOn(public, func() bool { return true }), " "); got != want {
			t.Errorf("ListenOn(%s) = %q, want %q", public, got, want)
		}
	}
	if got := starter.ListenOn("http://localhost:1", func() bool { return false }); len(got) != 1 {
		t.Errorf("ListenOn = %q on a machine without [::1]", got)
	}
}

func TestURLsAreChecked(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://app.example.com": true, "https://app.example.com/": true, "http://localhost:3000": true, "http://127.0.0.1": true,
		"http://app.example.com": false, "app.example.com": false, "https://": false, "https://a@b": false, "https://a/b": false,
		"https://a?b": false, "ftp://localhost": false, "": false, "https://a\nb": false,
	} {
		if err := starter.CheckPublicURL(url); (err == nil) != ok {
			t.Errorf("CheckPublicURL(%q) = %v, want ok = %t", url, err, ok)
		}
	}
	for url, ok := range map[string]bool{
		"http://10.0.0.1:3000": true, "h2c://x": true, "unix:///x": false, "localhost:3000": false, "http://a/b": false,
	} {
		if err := starter.CheckUpstream(url); (err == nil) != ok {
			t.Errorf("CheckUpstream(%q) = %v, want ok = %t", url, err, ok)
		}
	}
}

func TestWritesAllFilesOrNone(t *testing.T) {
	files, err := starter.Files(setups()["local"])
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "new", "gateway")
	if err := starter.Write(dir, files); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := os.Stat(filepath.Join(dir, f.Path))
		if err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v, want mode 0644", f.Path, info, err)
		}
	}
	if there, err := starter.Existing(dir, files); err != nil || len(there) != len(files) {
		t.Errorf("Existing = %v, %v, want all files", there, err)
	}

	other := t.TempDir()
	last := filepath.Join(other, starter.IgnoreFile)
	if err := os.WriteFile(last, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := starter.Write(other, files); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("Write over a file = %v, want that it exists", err)
	}
	if text, err := os.ReadFile(last); err != nil || string(text) != "mine" {
		t.Errorf("the file that was there is %q, %v", text, err)
	}
	var left []string
	err = filepath.WalkDir(other, func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			left = append(left, path)
		}
		return err
	})
	if err != nil || len(left) != 1 {
		t.Errorf("files left = %q, %v, want the one that was there", left, err)
	}
}

func TestNoLinkIsFollowedBelowTheDirectory(t *testing.T) {
	files, err := starter.Files(setups()["local"])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ link, to string }{
		"a folder elsewhere":   {"policy", "elsewhere"},
		"a folder that is not": {"policy", "nowhere"},
		"a folder beside it":   {"policy", "gateway"},
		"a file elsewhere":     {starter.IgnoreFile, "elsewhere/file"},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			dir, elsewhere := filepath.Join(base, "gateway"), filepath.Join(base, "elsewhere")
			err := errors.Join(os.Mkdir(dir, 0o755), os.Mkdir(elsewhere, 0o755), os.Symlink(filepath.Join(base, c.to), filepath.Join(dir, c.link)))
			if err != nil {
				t.Fatal(err)
			}
			if err := starter.Write(dir, files); err == nil {
				t.Error("Write followed a link")
			}
			for folder, want := range map[string]int{base: 2, elsewhere: 0} {
				if there, err := os.ReadDir(folder); err != nil || len(there) != want {
					t.Errorf("in %s there are %v, %v, want %d", folder, there, err, want)
				}
			}
			if _, err := os.Lstat(filepath.Join(dir, starter.ConfigFile)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a file is left: %v", err)
			}
		})
	}
}

func TestTheDirectoryItselfMayBeALink(t *testing.T) {
	files, err := starter.Files(setups()["local"])
	if err != nil {
		t.Fatal(err)
	}
	dir, link := t.TempDir(), filepath.Join(t.TempDir(), "gateway")
	if err := errors.Join(os.Symlink(dir, link), starter.Write(link, files)); err != nil {
		t.Fatal(err)
	}
	if there, err := starter.Existing(dir, files); err != nil || len(there) != len(files) {
		t.Errorf("Existing = %v, %v, want all files", there, err)
	}
}

// The gateway that is written runs, lets everybody see what is public, and sends
// people to a page to sign in on.
func TestWhatIsWrittenServes(t *testing.T) {
	upstream, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	application := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "the application") // a client that is gone needs no answer
	})}
	go func() { _ = application.Serve(upstream) }() // ends by Close
	defer application.Close()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	public := "http://app.localhost:" + port
	s := starter.Setup{
		Upstream: "http://" + upstream.Addr().String(), PublicURL: public, Provider: starter.Pool, Issuer: starter.IssuerFor(public),
		Listen: starter.ListenOn(public, func() bool { return false }),
	}
	ctx, stop := context.WithCancel(t.Context())
	running, err := app.Open(ctx, parsed(t, s), app.Options{Log: slog.New(slog.DiscardHandler), Listeners: []net.Listener{ln}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	}()

	visit := func(address string) (int, *url.URL, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html")
		// *.localhost is this machine, whatever resolver there is (RFC 6761 §6.3).
		transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, ln.Addr().String())
		}}
		defer transport.CloseIdleConnections()
		res, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		to, _ := res.Location() // nil where it leads nowhere
		return res.StatusCode, to, string(text)
	}
	if status, _, text := visit(public + "/healthz"); status != http.StatusOK || text != "the application" {
		t.Errorf("GET /healthz = %d %q, want the application", status, text)
	}
	status, to, _ := visit(public + "/admin/")
	if status != http.StatusFound || to == nil || !strings.HasPrefix(to.String(), s.Issuer+"/") {
		t.Fatalf("GET /admin/ = %d to %v, want a redirect to %s", status, to, s.Issuer)
	}
	if status, to, text := visit(to.String()); status != http.StatusOK && status != http.StatusFound && status != http.StatusSeeOther {
		t.Errorf("the place to sign in is %d to %v: %.200s", status, to, text)
	}
}
