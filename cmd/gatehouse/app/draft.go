package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"gatehouse/internal/conf"
	"gatehouse/internal/watch"
	"gatehouse/policy"
	"gatehouse/policy/bundle"
)

// draft is a configuration file that has been decoded, and the one that decides
// in its shadow. Of what it names, ${file:…} and the files of operators have been
// read, once: a plan that lives on keeps them, whatever becomes of the files.
type draft struct {
	path string // "" for a configuration that is in memory
	file *conf.File
	cfg  *Config
	// shadow is what policy.shadow names; nil for none, and for one that cannot
	// be read, which the report of file tells.
	shadow *draft
	// sight is what all files looked like before they were read.
	sight *watch.Sight
	// operators are the files of policy.custom and policy.data.
	operators *policy.Sources
	// named are the bundles of policy.custom.
	named []entry
}

// Load reads and compiles the configuration at path. The error is a
// *conf.Problems with every mistake when the file can be read at all. It reads
// files only: bundles from servers are missing, and warned of.
func Load(path string) (*Plan, error) {
	d, err := readDraft(path)
	if err != nil {
		return nil, err
	}
	return d.compileAlone()
}

// Parse is Load for a configuration that is in memory; relative paths start
// at the working directory.
func Parse(name string, text []byte) (*Plan, error) {
	d := &draft{cfg: &Config{}, sight: watch.Look()}
	var err error
	if d.file, err = conf.Parse(name, text, d.cfg); err != nil {
		return nil, err
	}
	if err := d.place(name); err != nil {
		return nil, err
	}
	return d.compileAlone()
}

// readDraft decodes the configuration at path, and that in its shadow. The draft
// is there beside an error too: its sight tells what to watch.
func readDraft(path string) (*draft, error) {
	d := &draft{path: path, cfg: &Config{}, sight: watch.Look(path)}
	var err error
	d.file, err = conf.Load(path, d.cfg)
	if d.file != nil {
		d.sight.Add(d.file.Files()...)
	}
	if err != nil {
		return d, err
	}
	return d, d.place(path)
}

// place sets the directories, looks at the files that are to be read, and reads
// those of operators and the shadow.
func (d *draft) place(path string) error {
	if err := d.cfg.place(path); err != nil {
		return err
	}
	d.sight.Add(d.cfg.files(d.file)...)
	d.operators, d.named = policy.Read(d.cfg.Policy), bundlesOf(d.cfg)
	at := d.file.Path(d.cfg.Policy.Shadow)
	if at == "" {
		return nil
	}
	shadow, err := readDraft(at)
	d.sight.Join(shadow.sight)
	if err == nil && shadow.cfg.Policy.Shadow != "" {
		err = errors.New("it has a shadow itself (policy.shadow)")
	}
	if err != nil {
		d.blameShadow(err)
		return d.file.Err()
	}
	d.shadow = shadow
	return nil
}

// blameShadow reports what is wrong with the shadow at the place that names it.
func (d *draft) blameShadow(err error) {
	d.file.Report().Errorf(&d.cfg.Policy.Shadow, "policy.shadow cannot be used\n%v", err)
}

// files returns what the configuration names and its compilation reads. Keys and
// certificates of listeners and directories of data are none of them.
func (c *Config) files(file *conf.File) []string {
	var files []string
	for _, u := range c.Upstreams {
		if u != nil {
			files = append(files, u.CA)
		}
	}
	for _, entry := range c.Policy.Custom {
		files = append(files, entry.File(entry.Path), entry.File(entry.Key), entry.File(entry.CA))
		if entry.Bundle != "" && entry.URL() == nil {
			files = append(files, entry.File(entry.Bundle))
		}
	}
	for _, path := range c.Policy.Data {
		files = append(files, file.Path(path))
	}
	return files
}

// compileAlone compiles without asking any server: with bundles that are files,
// and with what serve has kept of others.
func (d *draft) compileAlone() (*Plan, error) {
	have := bundles{}
	for _, e := range d.entries() {
		if e.URL() != nil {
			continue
		}
		source, err := bundle.New(e.Custom, bundle.Options{Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			have[e.key], err = source.Load(context.Background())
		}
		if err != nil {
			d.blame(e, err)
		}
	}
	if err := d.file.Err(); err != nil {
		return nil, err
	}
	d.addKept(have)
	return d.compile(have)
}

// compile makes a plan of the draft and of these bundles. Everything it finds
// wrong joins what decoding found.
func (d *draft) compile(have bundles) (*Plan, error) {
	p := &Plan{Config: d.cfg, draft: d, bundles: have}
	if err := p.compile(d.file, have); err != nil {
		return nil, err
	}
	if d.shadow != nil {
		shadow, err := d.shadow.compile(have)
		if err != nil {
			d.blameShadow(err)
			return nil, d.file.Err()
		}
		p.shadow = shadow
	}
	p.warn(d.file)
	p.revise()
	// A plan lives as long as its generation, and the text is the larger part.
	d.file.Forget()
	return p, nil
}

// missing tells of bundles that the plan was compiled without.
func (p *Plan) missing() []conf.Problem {
	var all []conf.Problem
	for _, e := range p.draft.named {
		if _, have := p.bundles[e.key]; !have {
			all = append(all, conf.Problem{Pos: e.Pos, Warning: true, Message: fmt.Sprintf(
				"the bundle %s was not fetched, as only serve does: what asks for its rules is refused here", e.Label())})
		}
	}
	if p.shadow != nil {
		all = append(all, p.shadow.missing()...)
	}
	return all
}
