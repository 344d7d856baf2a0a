package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	journalMagic = "gatehouse-revocations 1"
	// compactAt is how many lines a file has before expired ones are dropped.
	compactAt = 1024
	// maxJournal bounds what is read at start.
	maxJournal = 256 << 20
)

var (
	// ErrJournalCorrupt means that a revocation file is damaged in a way that
	// a crash does not explain. Whoever deletes it lets every session that was
	// signed out live again until it expires, unless the cookie ring is
	// rotated as well.
	ErrJournalCorrupt = errors.New("revocation file is damaged")
	// ErrJournalInUse means that another process holds the file.
	ErrJournalInUse = errors.New("revocation file is in use by another process")
)

// FileJournal is the Journal of a gateway without a provider: one text file,
// a line per revocation, each with a checksum, appended and synced before
// Append returns. One process holds it at a time.
type FileJournal struct {
	path string

	mu    sync.Mutex
	file  *os.File
	size  int64 // up to here the file is known to be whole
	lines int   // in the file, expired ones included
	all   []Revocation
	seq   int64
}

// OpenFileJournal opens or creates (0600) the file at path and reads it. A
// last line that a crash cut short is dropped: nobody was told it is durable.
// Errors are ErrJournalInUse, ErrJournalCorrupt and those of the file system.
func OpenFileJournal(path string) (*FileJournal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open revocation file: %w", err)
	}
	j := &FileJournal{path: path, file: file}
	if err := j.load(); err != nil {
		_ = file.Close() // the first error is the one to tell
		return nil, fmt.Errorf("open revocation file %s: %w", path, err)
	}
	return j, nil
}

func (j *FileJournal) load() error {
	if err := lock(j.file); err != nil {
		return err
	}
	info, err := j.file.Stat()
	if err != nil {
		return err
	}
	// Between opening and locking, its holder may have put a new file in place.
	if there, err := os.Lstat(j.path); err != nil || !os.SameFile(info, there) {
		return ErrJournalInUse
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("mode is %s, want a regular file that only its owner can read (chmod 600)", info.Mode())
	}
	text, err := io.ReadAll(io.LimitReader(j.file, maxJournal+1))
	if err != nil {
		return err
	}
	if len(text) > maxJournal {
		return ErrJournalCorrupt
	}
	if err := j.parse(text); err != nil {
		return err
	}
	// Always begin with a whole file: the torn line goes, expired ones too.
	return j.rewrite()
}

func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrJournalInUse
	}
	return err
}

// parse reads the lines; what stands behind the last line break was never
// finished.
func (j *FileJournal) parse(text []byte) error {
	whole := bytes.LastIndexByte(text, '\n') + 1
	lines := strings.Split(string(text[:whole]), "\n")
	lines = lines[:len(lines)-1]
	if len(lines) == 0 {
		return nil // new, or its very first write was cut short
	}
	if lines[0] != journalMagic {
		return ErrJournalCorrupt
	}
	for i, line := range lines[1:] {
		r, err := parseLine(line)
		if err != nil && i == len(lines)-2 && strings.IndexByte(line, 0) >= 0 {
			// The file had grown when the machine stopped, its content had not
			// arrived: no line of ours holds a NUL.
			break
		}
		if err != nil || r.Seq <= j.seq {
			return fmt.Errorf("line %d: %w", i+2, ErrJournalCorrupt)
		}
		j.seq = r.Seq
		j.all = append(j.all, r)
	}
	return nil
}

// line writes a revocation: checksum, number, kind, not-before and expiry in
// Unix nanoseconds, quoted issuer and value.
func (r Revocation) line() []byte {
	nb := int64(0)
	if !r.NotBefore.IsZero() {
		nb = r.NotBefore.UnixNano()
	}
	body := fmt.Sprintf("%d %s %d %d %s %s", r.Seq, r.Kind, nb, r.Expires.UnixNano(),
		strconv.QuoteToASCII(r.Issuer), strconv.QuoteToASCII(r.Value))
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE([]byte(body)), body)
}

func parseLine(line string) (r Revocation, err error) {
	sum, body, ok := strings.Cut(line, " ")
	if !ok || sum != fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(body))) {
		return r, ErrJournalCorrupt
	}
	var nb, expires int64
	n, err := fmt.Sscanf(body, "%d %s %d %d %q %q", &r.Seq, &r.Kind, &nb, &expires, &r.Issuer, &r.Value)
	if err != nil || n != 6 {
		return r, ErrJournalCorrupt
	}
	if nb != 0 {
		r.NotBefore = time.Unix(0, nb)
	}
	r.Expires = time.Unix(0, expires)
	return r, r.check()
}

// ReadFileJournal returns the revocations in the file at path without holding
// or changing it: for a look at it beside the process that holds it. A file that
// does not exist has none.
func ReadFileJournal(path string) ([]Revocation, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read revocation file: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxJournal+1))
	j := &FileJournal{path: path}
	switch {
	case err != nil:
	case len(text) > maxJournal:
		err = ErrJournalCorrupt
	default:
		err = j.parse(text)
	}
	if err != nil {
		return nil, fmt.Errorf("read revocation file %s: %w", path, err)
	}
	return j.all, nil
}

// Append implements Journal.
func (j *FileJournal) Append(_ context.Context, rs ...Revocation) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return fmt.Errorf("append to revocation file: %w", os.ErrClosed)
	}
	if j.lines > compactAt && j.expired(time.Now()) > j.lines/2 {
		if err := j.rewrite(); err != nil {
			return fmt.Errorf("compact revocation file: %w", err)
		}
	}
	var text []byte
	numbered := slices.Clone(rs)
	for i := range numbered {
		numbered[i].Seq = j.seq + int64(i) + 1
		if err := numbered[i].check(); err != nil {
			return err
		}
		text = append(text, numbered[i].line()...)
	}
	if _, err := j.file.WriteAt(text, j.size); err != nil {
		return fmt.Errorf("append to revocation file: %w", errors.Join(err, j.file.Truncate(j.size)))
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("sync revocation file: %w", errors.Join(err, j.file.Truncate(j.size)))
	}
	j.size += int64(len(text))
	j.lines += len(numbered)
	j.seq += int64(len(numbered))
	j.all = append(j.all, numbered...)
	return nil
}

// Since implements Journal.
func (j *FileJournal) Since(_ context.Context, seq int64) ([]Revocation, int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil, 0, fmt.Errorf("read revocation file: %w", os.ErrClosed)
	}
	now := time.Now()
	var rs []Revocation
	for _, r := range after(j.all, seq) {
		if r.Expires.After(now) {
			rs = append(rs, r)
		}
	}
	return rs, j.seq, nil
}

// Close lets go of the file.
func (j *FileJournal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

func (j *FileJournal) expired(now time.Time) (n int) {
	for _, r := range j.all {
		if !r.Expires.After(now) {
			n++
		}
	}
	return n
}

// rewrite replaces the file by one with only what has not expired. A crash
// leaves the old file or the new one.
func (j *FileJournal) rewrite() error {
	now := time.Now()
	kept := make([]Revocation, 0, len(j.all))
	for _, r := range j.all {
		if r.Expires.After(now) {
			kept = append(kept, r)
		}
	}
	text := []byte(journalMagic + "\n")
	for _, r := range kept {
		text = append(text, r.line()...)
	}
	file, err := writeNew(j.path, text)
	if err != nil {
		return err
	}
	_ = j.file.Close() // the old file is gone, and with it its lock
	j.file, j.size, j.lines, j.all = file, int64(len(text)), len(kept), kept
	return nil
}

// writeNew puts a locked, synced file with text in the place of path.
func writeNew(path string, text []byte) (*os.File, error) {
	// One fixed name: we hold the lock of path, so nobody else writes it, and
	// what a crash left is overwritten.
	temp := path + ".new"
	file, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*os.File, error) {
		_ = file.Close()
		return nil, err
	}
	if err := lock(file); err != nil {
		return fail(err)
	}
	if _, err := file.Write(text); err != nil {
		return fail(err)
	}
	if err := file.Sync(); err != nil {
		return fail(err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fail(err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fail(err)
	}
	return file, nil
}

// syncDir makes a rename durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
