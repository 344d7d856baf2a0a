package breach

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrList means that a list of passwords is not what it must be; the error's
// text says where and why.
var ErrList = errors.New("not a usable list")

const (
	prefixes = 1 << 20 // of five hexadecimal digits
	maxLine  = 256
)

// List is a list of passwords: one file of lines SHA1:COUNT in order of SHA-1,
// plain or gzipped, or a folder of files named by the first five digits (with or
// without .txt), of lines SUFFIX:COUNT.
type List struct {
	path    string
	dir     bool
	partial bool
	size    int64
}

// OpenList looks at path; it reads nothing yet.
func OpenList(path string) (*List, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open list: %w", err)
	}
	l := &List{path: path, dir: info.IsDir(), size: info.Size()}
	if l.dir {
		l.size = prefixes
	}
	return l, nil
}

// Partial accepts a folder in which files are missing; their passwords will not
// be found.
func (l *List) Partial() { l.partial = true }

// Size is how much is to be read: bytes of the file, or files of the folder.
func (l *List) Size() int64 { return l.size }

// each calls add with each entry in order, and progress with what was read since
// the last call, in units of Size.
func (l *List) each(ctx context.Context, progress func(int64), add func(sum [20]byte, count uint64) error) error {
	if l.dir {
		return l.eachFile(ctx, progress, add)
	}
	file, err := os.Open(l.path)
	if err != nil {
		return fmt.Errorf("open list: %w", err)
	}
	defer file.Close()
	raw := bufio.NewReaderSize(&counted{file, ctx, progress}, 1<<20)
	text := io.Reader(raw)
	if start, _ := raw.Peek(2); bytes.Equal(start, []byte{0x1f, 0x8b}) {
		if text, err = gzip.NewReader(raw); err != nil {
			return fmt.Errorf("read list: %w", err)
		}
	}
	return eachLine(text, l.path, "", add)
}

// eachFile reads the files of a folder by their number, so that a million names
// need not be kept and sorted.
func (l *List) eachFile(ctx context.Context, progress func(int64), add func(sum [20]byte, count uint64) error) error {
	names, missing, err := l.names()
	if err != nil {
		return err
	}
	if missing > 0 && !l.partial {
		return fmt.Errorf("%w: %d of the %d files 00000 to FFFFF are missing in %s; finish the download first", ErrList, missing, prefixes, l.path)
	}
	for i, kind := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		progress(1)
		if kind == absent {
			continue
		}
		prefix := fmt.Sprintf("%05X", i)
		name := filepath.Join(l.path, prefix+kind.ending())
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("open list: %w", err)
		}
		err = eachLine(bufio.NewReader(file), name, prefix, add)
		file.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// naming is how the file of a prefix is called.
type naming byte

const (
	absent naming = iota
	bare
	txt
)

func (n naming) ending() string {
	if n == txt {
		return ".txt"
	}
	return ""
}

// names returns how each prefix's file is called, and how many have none.
func (l *List) names() ([]naming, int, error) {
	dir, err := os.Open(l.path)
	if err != nil {
		return nil, 0, fmt.Errorf("open list: %w", err)
	}
	defer dir.Close()
	found, missing := make([]naming, prefixes), prefixes
	for {
		batch, err := dir.Readdirnames(4096)
		for _, name := range batch {
			kind := bare
			stem, ok := strings.CutSuffix(name, ".txt")
			if ok {
				kind = txt
			}
			n, err := strconv.ParseUint(stem, 16, 20)
			if err != nil || len(stem) != 5 || strings.ToUpper(stem) != stem {
				continue // notes of the downloader
			}
			if found[n] == absent {
				missing--
			}
			found[n] = kind
		}
		if errors.Is(err, io.EOF) {
			return found, missing, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("read list: %w", err)
		}
	}
}

// eachLine reads lines of HEX:COUNT, where prefix and HEX are 40 digits.
func eachLine(r io.Reader, name, prefix string, add func(sum [20]byte, count uint64) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	digits := append(make([]byte, 0, 40), prefix...)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimRight(lines.Bytes(), " \r")
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // the downloader runs on Windows, too
		}
		if len(line) == 0 {
			continue
		}
		text, number, ok := bytes.Cut(line, []byte(":"))
		var sum [20]byte
		digits = append(digits[:len(prefix)], text...)
		if !ok || len(digits) != 40 {
			return fmt.Errorf("%w: %s:%d is not SHA1:COUNT", ErrList, name, n)
		}
		if _, err := hex.Decode(sum[:], digits); err != nil {
			return fmt.Errorf("%w: %s:%d is not SHA1:COUNT", ErrList, name, n)
		}
		count, err := strconv.ParseUint(string(number), 10, 63)
		if err != nil {
			return fmt.Errorf("%w: %s:%d is not SHA1:COUNT", ErrList, name, n)
		}
		if err := add(sum, count); err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// counted tells how much is read, and ends with its context.
type counted struct {
	io.Reader
	ctx      context.Context
	progress func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.Reader.Read(p)
	c.progress(int64(n))
	return n, err
}
