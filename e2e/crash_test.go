package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/idp/store/storetest/pgserver"
)

// Killed at any moment, gatehouse loses nothing that it has confirmed, and
// nothing that has worked works again. People sign up, sign in and reset their
// passwords, programs exchange codes and refresh, while the process is killed
// (SIGKILL) and started again, over and over; each of them keeps a record of what
// was answered, and holds gatehouse to it.
//
// GATEHOUSE_CRASH_KILLS is how often it is killed on each store, and
// GATEHOUSE_CRASH_SEED repeats the moments of an earlier run, which the load
// does not.

// usualKills is how often gatehouse is killed on each store unless told
// otherwise; `make crash` does it 50 times.
const usualKills = 15

func TestNothingConfirmedIsLostAndNothingWorksTwice(t *testing.T) {
	kills := int(fromEnv(t, "GATEHOUSE_CRASH_KILLS", usualKills))
	seed := fromEnv(t, "GATEHOUSE_CRASH_SEED", rand.Uint64()>>1)
	t.Run("sqlite", func(t *testing.T) {
		newOrdeal(t, nil).run(kills, seed)
	})
	t.Run("postgres", func(t *testing.T) {
		server, err := pgserver.Start(t.Context())
		if errors.Is(err, pgserver.ErrMissing) {
			missing(t, err.Error())
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		})
		newOrdeal(t, server).run(kills, seed)
	})
}

func fromEnv(t *testing.T, name string, usual uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 {
		t.Fatalf("%s is %q, want a number", name, text)
	}
	return n
}

// Workers at once, for each kind of load.
const (
	lives   = 6
	holders = 3
	// together is how many confirm at the same moment, if there are as many.
	together = 4
)

// ordeal is a gatehouse that is killed, and all who use it meanwhile.
type ordeal struct {
	t       *testing.T
	config  string
	public  string
	issuer  string
	post    *postOffice
	rows    *rows
	web     *http.Transport
	process *process
	over    atomic.Bool
	begun   chan string // what somebody is about to ask, if anyone wants to know

	mu       sync.Mutex
	up       chan struct{} // closed while gatehouse answers
	people   []*resident
	happened map[string]int
	took     map[string]time.Duration // by step, the last time
	waiting  int                      // at gather
	ready    chan struct{}            // closed when enough of them wait
}

// newOrdeal starts gatehouse on SQLite, or in a database of server.
func newOrdeal(t *testing.T, server *pgserver.Server) *ordeal {
	t.Helper()
	port, dir := freePort(t), t.TempDir()
	o := &ordeal{
		t: t, config: filepath.Join(dir, "gatehouse.yaml"), post: openPostOffice(t), up: make(chan struct{}), web: transport(), begun: make(chan string), happened: map[string]int{},
		took: map[string]time.Duration{}, ready: make(chan struct{}),
		public: fmt.Sprintf("http://localhost:%d", port), issuer: fmt.Sprintf("http://127.0.0.1:%d", port),
	}
	o.web.MaxIdleConnsPerHost = lives + holders
	t.Cleanup(o.web.CloseIdleConnections)
	store := ""
	if server != nil {
		store = makeDatabase(t, server)
	}
	text := file{
		public: o.public, dir: dir, upstream: "http://127.0.0.1:9",
		parts: []string{crashProvider(o.issuer, o.post.port(), store)},
	}.String()
	if err := os.WriteFile(o.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o.start()
	t.Cleanup(func() {
		if err := o.process.end(); err != nil {
			t.Errorf("gatehouse ends with %v", err)
		}
		if t.Failed() {
			t.Logf("gatehouse printed:\n%s", o.process.out.tail())
		}
	})
	o.rows = openRows(t, store, filepath.Join(dir, "data", "pool.db"))
	return o
}

// run kills gatehouse that often while everybody uses it, and asks at the end
// for everything that was ever confirmed.
func (o *ordeal) run(kills int, seed uint64) {
	o.t.Logf("%d kills, GATEHOUSE_CRASH_SEED=%d", kills, seed)
	var load sync.WaitGroup
	for n := range lives {
		load.Go(func() { o.settle(n) })
	}
	for n := range holders {
		load.Go(func() { o.hold(n) })
	}
	moments := rand.New(rand.NewPCG(seed, 0))
	for n := 0; n < kills && !o.t.Failed(); n++ {
		o.await(moments)
		o.kill()
		o.start()
		o.rows.check(o.t)
		o.rows.endClaims(o.t)
	}
	o.over.Store(true)
	load.Wait()
	o.rows.check(o.t)
	o.settleUp()
	for _, what := range slices.Sorted(maps.Keys(o.happened)) {
		o.t.Logf("%6d × %s", o.happened[what], what)
	}
	for _, what := range []string{"signed up", "confirmed", "password reset", "code exchanged", "refreshed", "cut off"} {
		if o.happened[what] == 0 {
			o.t.Errorf("there is no %q: this has tested nothing", what)
		}
	}
}

// steps are what is worth dying at: paths, and grants.
var steps = []string{"/signup", "/signup/confirm", "/signup/confirm", "/forgot", "/reset", "/login", "authorization_code", "refresh_token"}

// await waits for a random moment: one of three at any time, the others in the
// middle of a step.
func (o *ordeal) await(moments *rand.Rand) {
	whenever := time.Duration(20+moments.IntN(600)) * time.Millisecond
	step, share := steps[moments.IntN(len(steps))], moments.Float64()
	if moments.IntN(3) == 0 {
		time.Sleep(whenever)
		return
	}
	for limit := time.After(2 * time.Second); ; {
		select {
		case begun := <-o.begun:
			if begun != step {
				continue
			}
			o.mu.Lock()
			took := o.took[step]
			o.mu.Unlock()
			// A little longer than the last time, for it may be over by then.
			time.Sleep(time.Duration(share * 1.3 * float64(took)))
			return
		case <-limit:
			return
		}
	}
}

// timed does a step, says that it has begun, and remembers how long it took.
func (o *ordeal) timed(step string, do func() (*answer, error)) (*answer, error) {
	select {
	case o.begun <- step:
	default:
	}
	begin := time.Now()
	a, err := do()
	if err == nil {
		o.mu.Lock()
		o.took[step] = time.Since(begin)
		o.mu.Unlock()
	}
	return a, err
}

// gather waits until several do the same at once, so that a death hits some of
// them; not for long.
func (o *ordeal) gather() {
	o.mu.Lock()
	ready := o.ready
	if o.waiting++; o.waiting == together {
		o.waiting, o.ready = 0, make(chan struct{})
		close(ready)
	}
	o.mu.Unlock()
	select {
	case <-ready:
	case <-time.After(time.Second):
	}
}

// kill ends gatehouse without warning.
func (o *ordeal) kill() {
	o.mu.Lock()
	o.up = make(chan struct{})
	o.mu.Unlock()
	if err := o.process.cmd.Process.Kill(); err != nil {
		o.t.Fatalf("kill gatehouse: %v", err)
	}
	<-o.process.done
	o.web.CloseIdleConnections()
	o.note("killed")
}

// start starts gatehouse and lets everybody go on once it answers.
func (o *ordeal) start() {
	o.t.Helper()
	var err error
	if o.process, err = launch("gatehouse serve", nil, binary, "serve", "--config", o.config); err != nil {
		o.t.Fatal(err)
	}
	if err := waitFor(o.process, o.public+"/_gatehouse/health"); err != nil {
		o.t.Fatal(err)
	}
	o.mu.Lock()
	close(o.up)
	o.mu.Unlock()
}

// errCut means that a request had no answer: what it asked for may have happened
// or not.
var errCut = errors.New("no answer")

// persist does something until it is answered. do is told whether it may have
// happened before, without an answer.
func (o *ordeal) persist(do func(before bool) error) error {
	before := false
	for limit := time.Now().Add(2 * time.Minute); time.Now().Before(limit); {
		err := do(before)
		if !errors.Is(err, errCut) {
			return err
		}
		before = true
		o.note("cut off")
		o.mu.Lock()
		up := o.up
		o.mu.Unlock()
		select {
		case <-up:
		case <-time.After(patience):
			return errors.New("gatehouse does not come back")
		}
	}
	return errors.New("there is never an answer")
}

// note counts what happened.
func (o *ordeal) note(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.happened[what]++
}

// settleUp asks for all that is still open at the end: every letter that was
// promised has come, and every person signs in with the password that counts.
func (o *ordeal) settleUp() {
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Minute)
	defer cancel()
	o.rows.endClaims(o.t)
	for _, r := range o.people {
		if !o.post.await(ctx, r.email, r.letters) {
			o.t.Errorf("%s was promised %d letters, %d came", r.email, r.letters, o.post.count(r.email))
		}
		if !r.confirmed {
			o.lateConfirm(r)
		}
	}
	var all sync.WaitGroup
	turn := make(chan struct{}, lives)
	for _, r := range o.people {
		if !r.confirmed {
			continue
		}
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			_, err := o.signIn(r, r.password, o.grace())
			if r.enrolled && !errors.Is(err, errAsked) {
				o.t.Errorf("%s has a second factor and is not asked for it: %v", r.name, err)
			}
			if !r.enrolled && err != nil {
				o.t.Errorf("%s cannot sign in at the end: %v", r.name, err)
			}
			o.note("signed in at the end")
		})
	}
	all.Wait()
}

// crashProvider is the block of the provider: anybody may sign up, and nobody is
// slowed down, neither for coming from the same address as everybody else nor for
// sign-ins without an answer, which count as tries.
func crashProvider(issuer string, mailPort int, postgres string) string {
	store := ""
	if postgres != "" {
		store = fmt.Sprintf("\n  store: { postgres: %q }", postgres)
	}
	return fmt.Sprintf(`idp:
  issuer: %s%s
  mail: { host: 127.0.0.1, port: %d, tls: none, from: no-reply@example.com }
  account: { sign_up: open, network_per_hour: 1000000 }
  signin: { address_tries: 1000000, address_starts: 1000000, account_tries: 1000000 }
  bootstrap:
    users:
      - { username: %s0, email: h0@example.com, email_verified: true, password: %[5]s }
      - { username: %[4]s1, email: h1@example.com, email_verified: true, password: %[5]s }
      - { username: %[4]s2, email: h2@example.com, email_verified: true, password: %[5]s }
    clients:
      - id: %[6]s
        secret: %[7]s
        grants: [authorization_code, refresh_token]
        redirect_uris: [%[8]q]
        scopes: [openid]
        refresh_grace: 60s
      - id: %[9]s
        public: true
        grants: [authorization_code, refresh_token]
        redirect_uris: [%[8]q]
        scopes: [openid]
`, issuer, store, mailPort, holderName, demoPassword, webClient, webSecret, callbackURI, publicClient)
}

// makeDatabase makes an empty database and returns its URL.
func makeDatabase(t *testing.T, server *pgserver.Server) string {
	t.Helper()
	admin := openPostgres(t, server.URL("postgres"))
	defer admin.Close()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		_, err := admin.ExecContext(t.Context(), "CREATE DATABASE crash")
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	return server.URL("crash")
}

// tokenURL is where tokens are.
func (o *ordeal) tokenURL() string { return o.issuer + "/oauth2/token" }

func (o *ordeal) authorizeURL(c *program) string {
	return o.issuer + "/oauth2/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {c.id}, "redirect_uri": {callbackURI}, "scope": {"openid"},
		"state": {"s-0123456789"}, "nonce": {"n-0123456789"},
		"code_challenge": {challenge(crashVerifier)}, "code_challenge_method": {"S256"},
	}.Encode()
}
