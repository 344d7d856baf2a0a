package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"

	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
	"gatehouse/internal/audit"
)

// Rows is what bulk work asks of the store of people.
type Rows interface {
	// Owners returns who has which of the canonical names, by name.
	Owners(ctx context.Context, names []string) (map[string]string, error)
	// Held returns those of ids that users have.
	Held(ctx context.Context, ids []string) ([]string, error)
	// Insert adds users with names and memberships, all or none; pool.ErrExists
	// if somebody else has taken a name or an id.
	Insert(ctx context.Context, all []pool.Draft) error
	// Memberships returns the names of the groups of users, sorted, by id.
	Memberships(ctx context.Context, ids []string) (map[string][]string, error)
}

// Marks remember how far an import has come.
type Marks interface {
	// Mark returns the text under key, "" for none.
	Mark(ctx context.Context, key string) (string, error)
	// Swap replaces the text old under key, "" being none, and reports whether
	// old was there: of any number of callers one succeeds.
	Swap(ctx context.Context, key, old, text string) (bool, error)
}

var (
	// ErrTwice means that the same file is being imported by somebody else.
	ErrTwice = errors.New("this file is being imported by somebody else at the same time")
	// ErrReport means that an import goes on whose report is not the one given.
	ErrReport = errors.New("the report is not the one that this import began with")

	errDry = errors.New("nothing is kept")
)

// DefaultBatch is how many rows go in together. The store has one writer, and
// others wait for it for no longer than a batch takes.
const DefaultBatch = 500

// attempts is how often a batch is tried that somebody else came before.
const attempts = 5

// Update says what of users that exist is changed; nothing for the zero value.
type Update struct {
	// Attributes are e-mail address, phone number, name, and attributes.
	Attributes bool
	// Groups makes the groups those of the row, where it speaks of them.
	Groups bool
	// Passwords replaces the password where the row has a hash.
	Passwords bool
}

func (u Update) any() bool { return u.Attributes || u.Groups || u.Passwords }

// Parts are what an Importer is made of. All are required.
type Parts struct {
	Pool    *pool.Pool
	Factors *mfa.Factors
	Rows    Rows
	Marks   Marks
	Journal audit.Journal
}

// Options say how a file is brought in.
type Options struct {
	// Key names the file by its content and how it is read; the import goes on
	// where one of the same Key was cut short. "" for what cannot go on, such as
	// standard input.
	Key string
	// FromStart forgets where an import of this Key has come to.
	FromStart bool
	// DryRun looks at every row and keeps nothing.
	DryRun bool
	Update Update
	// Batch is how many rows go in together. Default DefaultBatch.
	Batch int
	// Report is told of every refused row.
	Report *Report
	// Progress, if any, is told how many rows are done.
	Progress func(rows int64)
}

// Result counts what became of the rows of a file, also those of before it was
// cut short.
type Result struct {
	Rows      int64 `json:"rows"`
	Added     int64 `json:"added"`
	Updated   int64 `json:"updated"`
	Unchanged int64 `json:"unchanged"`
	Refused   int64 `json:"refused"`
	// Stranded are people that were added with neither a password nor a verified
	// address or number: they have no way in yet.
	Stranded int64 `json:"stranded"`
	// Authenticators are people that were added with their authenticator app.
	Authenticators int64 `json:"authenticators"`
	// From is the line that an import went on after, 0 for one from the start.
	From int `json:"from"`
}

// mark is what is remembered of an import.
type mark struct {
	Line   int
	Report int64
	Result Result
}

// Importer brings people into a pool. Use it for one file.
type Importer struct {
	has    Parts
	opt    Options
	in     Reader
	line   int // all rows up to here are done
	result Result
	stored string // the mark as the store has it
	held   *item  // read, and not yet part of a batch
	// seen holds, in a dry run, what earlier rows would have taken: eight bytes
	// for each name, for nothing of it is in the store.
	seen map[uint64]struct{}
	seed maphash.Seed
}

// NewImporter returns an Importer; it starts nothing.
func NewImporter(p Parts, o Options) *Importer {
	if o.Batch <= 0 {
		o.Batch = DefaultBatch
	}
	if o.Report == nil {
		o.Report = &Report{}
	}
	m := &Importer{has: p, opt: o}
	if o.DryRun {
		m.seen, m.seed = map[uint64]struct{}{}, maphash.MakeSeed()
	}
	return m
}

// Run brings in what in holds. Rows that are refused go to the report and are no
// error. ErrFile, ErrTwice, ErrReport, and those of the store, the context and
// the reading; what was brought in before stays, and the same file goes on there.
func (m *Importer) Run(ctx context.Context, in Reader) (Result, error) {
	m.in = in
	if err := m.resume(ctx); err != nil {
		return m.result, err
	}
	for {
		batch, last, err := m.collect()
		if err != nil {
			return m.result, err
		}
		if len(batch) > 0 || last {
			if err := m.commit(ctx, batch, last); err != nil {
				return m.result, err
			}
		}
		if m.opt.Progress != nil {
			m.opt.Progress(m.result.Rows)
		}
		if last {
			return m.result, nil
		}
	}
}

// resume goes to where an import of the same file has come to.
func (m *Importer) resume(ctx context.Context) error {
	if m.opt.Key == "" || m.opt.DryRun {
		return m.opt.Report.begin(0)
	}
	stored, err := m.has.Marks.Mark(ctx, m.opt.Key)
	if err != nil {
		return fmt.Errorf("read how far the import has come: %w", err)
	}
	if stored == "" {
		return m.opt.Report.begin(0)
	}
	var at mark
	if !m.opt.FromStart {
		if err := json.Unmarshal([]byte(stored), &at); err != nil {
			return fmt.Errorf("read how far the import has come: %w", err)
		}
	}
	m.stored, m.line, m.result = stored, at.Line, at.Result
	m.result.From = at.Line
	// What was reported after the mark was not kept, and comes again.
	return m.opt.Report.begin(at.Report)
}

// collect reads a batch and reports whether it is the last one. With updates a
// batch ends before a row that has to do with one in it, so that each row finds
// what the rows before it have made.
func (m *Importer) collect() (batch []*item, last bool, err error) {
	claimed := map[string]bool{}
	for len(batch) < m.opt.Batch {
		next := m.held
		m.held = nil
		if next == nil {
			if next, err = m.read(); errors.Is(err, io.EOF) {
				return batch, true, nil
			} else if err != nil {
				return nil, false, err
			}
		}
		if m.opt.Update.any() && len(batch) > 0 && next.touches(claimed) {
			m.held = next
			return batch, false, nil
		}
		for _, name := range next.names() {
			claimed[name] = true
		}
		batch = append(batch, next)
		if m.opt.Update.any() && next.alone() {
			return batch, false, nil
		}
	}
	return batch, false, nil
}

// read returns the next row that is not done yet, checked by itself.
func (m *Importer) read() (*item, error) {
	for {
		row, err := m.in.Next()
		var refused *RowError
		if err != nil && !errors.As(err, &refused) {
			return nil, err
		}
		next := &item{row: row, refused: refused}
		if refused != nil {
			next.row.Line = refused.Line
		}
		if next.row.Line <= m.line {
			continue
		}
		if refused == nil {
			next.check(m.has.Pool)
		}
		return next, nil
	}
}

// commit brings in a batch, again when somebody else came before it.
func (m *Importer) commit(ctx context.Context, batch []*item, last bool) error {
	line := m.line
	if len(batch) > 0 {
		line = batch[len(batch)-1].row.Line
	}
	for n := 1; ; n++ {
		result, stored, err := m.try(ctx, batch, mark{Line: line}, last)
		if errors.Is(err, pool.ErrExists) && n < attempts {
			continue
		}
		if err != nil {
			return fmt.Errorf("import lines %d to %d: %w", m.line+1, line, err)
		}
		m.result, m.stored, m.line = result, stored, line
		return nil
	}
}

// try brings in a batch in one transaction, with its event and its mark.
func (m *Importer) try(ctx context.Context, batch []*item, at mark, last bool) (result Result, stored string, err error) {
	before := m.opt.Report.size()
	err = m.has.Journal.InTx(ctx, func(ctx context.Context) error {
		b := &batchRun{m: m, result: m.result}
		if err := b.run(ctx, batch); err != nil {
			return err
		}
		result = b.result
		// Written before the commit: a report may say more than was kept, until
		// the import goes on, but never less.
		if err := m.opt.Report.put(b.refused); err != nil {
			return err
		}
		if m.opt.DryRun {
			m.remember(b)
			return errDry
		}
		if err := m.record(ctx, b, at.Line); err != nil {
			return err
		}
		at.Report, at.Result = m.opt.Report.size(), result
		stored, err = m.swap(ctx, at, last)
		return err
	})
	if errors.Is(err, errDry) {
		return result, "", nil
	}
	if err != nil {
		err = errors.Join(err, m.opt.Report.cut(before))
	}
	return result, stored, err
}

// record appends the event of a batch that changed something.
func (m *Importer) record(ctx context.Context, b *batchRun, line int) error {
	before := m.result
	added, updated := b.result.Added-before.Added, b.result.Updated-before.Updated
	if added+updated == 0 {
		return nil
	}
	return m.has.Journal.Append(ctx, audit.Event{Type: "users.imported", Target: m.opt.Key, Detail: map[string]string{
		"lines": fmt.Sprintf("%d-%d", m.line+1, line), "added": fmt.Sprint(added), "updated": fmt.Sprint(updated),
		"refused": fmt.Sprint(b.result.Refused - before.Refused), "authenticators": fmt.Sprint(b.result.Authenticators - before.Authenticators),
	}})
}

// swap stores the mark in the transaction of its batch; nothing is left of it
// after the last one.
func (m *Importer) swap(ctx context.Context, at mark, last bool) (string, error) {
	if m.opt.Key == "" || last && m.stored == "" {
		return "", nil
	}
	text := ""
	if !last {
		raw, err := json.Marshal(at)
		if err != nil {
			return "", err
		}
		text = string(raw)
	}
	ok, err := m.has.Marks.Swap(ctx, m.opt.Key, m.stored, text)
	if err != nil {
		return "", fmt.Errorf("store how far the import has come: %w", err)
	}
	if !ok {
		return "", ErrTwice
	}
	return text, nil
}

// remember keeps what the rows of a dry run would have taken.
func (m *Importer) remember(b *batchRun) {
	for _, d := range b.adds {
		for _, name := range d.Keys {
			m.seen[maphash.String(m.seed, name)] = struct{}{}
		}
		m.seen[maphash.String(m.seed, "\x00"+d.User.ID)] = struct{}{}
	}
}

// foreseen reports whether an earlier row of a dry run would have that name.
func (m *Importer) foreseen(name string) bool {
	if m.seen == nil {
		return false
	}
	_, ok := m.seen[maphash.String(m.seed, name)]
	return ok
}
