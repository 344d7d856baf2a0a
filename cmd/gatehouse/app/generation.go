package app

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"gatehouse/internal/jose"
	"gatehouse/policy"
	"gatehouse/policy/declog"
	"gatehouse/proxy"
	"gatehouse/proxy/identity"
	"gatehouse/proxy/upstream"
	"gatehouse/proxy/whatif"
	"gatehouse/session"
	"gatehouse/session/bearer"
)

// generation is one configuration at work: a gate and what it is made of. It is
// complete before anybody sees it, and nothing of it changes then. What it holds
// beside others it shares with the generations before and after it.
type generation struct {
	proxy.Parts
	plan    *Plan
	gate    *proxy.Gate
	cookies *session.Cookies
	signer  *identity.Signer
	// sources are where its bundles come from, the shadow's too.
	sources []source
	record  recorder

	parts *parts
	held  []*part
}

// newGeneration returns an empty generation. Whoever does not keep it releases
// it.
func (a *App) newGeneration() *generation {
	return &generation{parts: &a.parts}
}

// assemble puts plan to work in g. Nobody sees an effect besides the files of
// the decision log, and besides the gateway's registration, which comes last.
func (a *App) assemble(ctx context.Context, g *generation, plan *Plan) error {
	g.plan = plan
	c := plan.Config
	var err error
	if g.cookies, err = session.NewCookies(c.Session, a.cookieKeys, session.Options{Boot: a.feed.Boot()}); err != nil {
		return err
	}
	for _, open := range []func(*generation) error{
		a.openTokens, a.openSigner, a.openUpstreams, (*generation).openHeaders, a.openSignIn, a.openRecorder, a.openObserver,
	} {
		if err := open(g); err != nil {
			return err
		}
	}
	g.Sites, g.Cookies, g.Policy, g.Revocations, g.Bodies = plan.sites, g.cookies, plan.policy, a.feed, a.bodies
	g.Principals, g.Table = a.principals, plan.routes
	g.SharedOrigin = plan.sharedOrigin()
	g.Mounts = plan.mounts(a.provider)
	if g.gate, err = proxy.NewGate(&c.Config, g.Parts); err != nil {
		return err
	}
	return a.keepRegistered(ctx, plan)
}

// openTokens makes the verifier of access tokens, with its cached keys.
func (a *App) openTokens(g *generation) error {
	cfg := g.plan.Config.Bearer
	tokens, err := use(g, "tokens"+fingerprint(cfg), func() (*bearer.Verifier, work, error) {
		v, err := bearer.New(cfg, a.ownIssuer(), a.clientFor, a.log)
		if err != nil {
			return nil, work{}, err
		}
		return v, work{run: v.Run}, nil
	})
	g.Tokens = verifier{tokens, a.metrics}
	return err
}

// openSigner makes what signs identity headers.
func (a *App) openSigner(g *generation) error {
	arn := g.plan.signer()
	var err error
	g.signer, err = use(g, "signer"+arn, func() (*identity.Signer, work, error) {
		s, err := identity.NewSigner(arn, a.assertionKeys)
		return s, work{}, err
	})
	return err
}

// signer is the name under which identity headers are signed.
func (p *Plan) signer() string {
	if arn := p.Config.ALB.Signer; arn != "" {
		return arn
	}
	return identity.DefaultSigner(p.Config.PublicURL[0])
}

func (a *App) openUpstreams(g *generation) error {
	g.Upstreams = map[string]*upstream.Upstream{}
	for _, name := range slices.Sorted(maps.Keys(g.plan.Config.Upstreams)) {
		cfg := *g.plan.Config.Upstreams[name]
		key := "upstream" + fingerprint(name, cfg) + content(cfg.CA)
		u, err := use(g, key, func() (*upstream.Upstream, work, error) {
			u, err := upstream.New(name, cfg, a.log)
			if err != nil {
				return nil, work{}, err
			}
			return u, work{close: u.Close}, nil
		})
		if err != nil {
			return err
		}
		g.Upstreams[name] = u
	}
	return nil
}

// openHeaders compiles each route's identity headers for its upstream.
func (g *generation) openHeaders() error {
	c := g.plan.Config
	// Routes to one upstream that say nothing of headers themselves share a plan.
	shared := map[string]*identity.Plan{}
	g.Headers = make([]*identity.Plan, 0, len(c.Routes))
	for _, rt := range c.Routes {
		plan := shared[rt.Upstream]
		if rt.IdentityHeaders != nil {
			plan = nil
		}
		if plan == nil {
			headers := c.IdentityHeaders
			if rt.IdentityHeaders != nil {
				headers = *rt.IdentityHeaders
			}
			var err error
			if plan, err = headers.Compile(g.signer, rt.Upstream); err != nil {
				return fmt.Errorf("route %q: %w", rt.Name, err)
			}
			if rt.IdentityHeaders == nil {
				shared[rt.Upstream] = plan
			}
		}
		g.Headers = append(g.Headers, plan)
	}
	return nil
}

// openRecorder makes what is told of each decision: the figures, the log of
// decisions, and the shadow.
func (a *App) openRecorder(g *generation) error {
	plan := g.plan
	g.record.revision = plan.Revision()
	if a.metrics != nil {
		g.record.counts = a.metrics.Decisions(plan.routeNames())
	}
	if given := plan.Config.Policy.Log; given != nil {
		cfg := *given
		if cfg.File != "-" {
			cfg.File = plan.draft.file.Path(cfg.File)
		}
		log, err := use(g, "log"+fingerprint(cfg), func() (*declog.Log, work, error) { return a.openLog(cfg) })
		if err != nil {
			return err
		}
		g.record.log = log
	}
	if plan.shadow != nil {
		gate, err := plan.shadow.deciding()
		if err != nil {
			return err
		}
		key := "shadow" + fingerprint(plan.shadow.Config.Config, plan.shadow.Config.Policy) + plan.shadow.policy.Revision()
		g.record.shadow, err = use(g, key, func() (*whatif.Shadow, work, error) {
			s := whatif.NewShadow(gate, a.log)
			return s, work{run: s.Run}, nil
		})
		if err != nil {
			return err
		}
	}
	if g.record.any() {
		g.Recorder = &g.record
	}
	return nil
}

// openLog opens the log of decisions.
func (a *App) openLog(cfg policy.LogConfig) (*declog.Log, work, error) {
	log, err := declog.New(cfg, declog.Options{Labels: a.labels, Log: a.log})
	if err != nil {
		return nil, work{}, err
	}
	ran := false
	return log, work{
		run: func(ctx context.Context) {
			ran = true
			log.Run(ctx)
		},
		close: func() {
			if !ran { // only Run ends what New began
				ended, end := context.WithCancel(context.Background())
				end()
				log.Run(ended)
			}
		},
	}, nil
}

// deciding returns a gate of the plan that can be asked and not used: it has no
// upstreams, no keys and no sign-in.
func (p *Plan) deciding() (*proxy.Gate, error) {
	// What is signed with this key is never sent.
	key, err := jose.GenerateKey(jose.ES256, "00000000-0000-4000-8000-000000000000")
	if err != nil {
		return nil, err
	}
	g := &generation{plan: p}
	if g.signer, err = identity.NewSigner(p.signer(), []*jose.Key{key}); err != nil {
		return nil, err
	}
	if err := g.openHeaders(); err != nil {
		return nil, err
	}
	g.Sites, g.Policy, g.Mounts, g.Table = p.sites, p.policy, p.mounts(nil), p.routes
	return proxy.NewGate(&p.Config.Config, g.Parts)
}

func (p *Plan) routeNames() []string {
	names := make([]string, len(p.Config.Routes))
	for i, rt := range p.Config.Routes {
		names[i] = rt.Name
	}
	return names
}
