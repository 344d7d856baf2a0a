package breach

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/FastFilter/xorfilter"
)

// maxShard bounds the memory of a build; the full list has a million a shard.
const maxShard = 1 << 24

// Build says what to build a filter of.
type Build struct {
	List *List
	// Out is the path of the filter. It is replaced in one step when the new one
	// is complete.
	Out string
	// MinCount leaves out passwords that were seen less often. Default 1.
	MinCount uint64
	// Read is told what was read since the last call, in units of List.Size; Done
	// how many passwords are in the filter by now. Both may be nil.
	Read, Done func(n int64)
}

// Built says what a build has made.
type Built struct {
	// Passwords is how many the filter holds, Skipped how many were seen too
	// seldom, Bytes how large the file is.
	Passwords, Skipped, Bytes uint64
}

// Run builds the filter. It holds one shard in memory at a time, a thousandth of
// the list: less than 100 MiB for 1,000,000,000 passwords. It returns ErrList, the
// errors of the files, or the error of ctx; then nothing has been replaced.
func (b Build) Run(ctx context.Context) (Built, error) {
	if b.Read == nil {
		b.Read = func(int64) {}
	}
	if b.Done == nil {
		b.Done = func(int64) {}
	}
	temp := b.Out + "." + rand.Text() + ".new"
	// The list is public; whoever builds need not be who serves.
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return Built{}, fmt.Errorf("make breach filter: %w", err)
	}
	built, err := b.write(ctx, file)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(temp, b.Out)
	}
	if err != nil {
		return Built{}, errors.Join(fmt.Errorf("make breach filter: %w", err), os.Remove(temp))
	}
	return built, syncDir(filepath.Dir(b.Out))
}

// syncDir makes a new name in dir survive a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

func (b Build) write(ctx context.Context, file *os.File) (Built, error) {
	w := &writer{out: bufio.NewWriterSize(file, 1<<20), sum: sha256.New()}
	if err := w.write(header()); err != nil {
		return Built{}, err
	}
	var skipped uint64
	err := b.List.each(ctx, b.Read, func(sum [20]byte, count uint64) error {
		if err := w.order(sum); err != nil {
			return err
		}
		if count < max(b.MinCount, 1) {
			skipped++
			return nil
		}
		if w.count%4096 == 0 {
			b.Done(int64(w.count))
		}
		return w.add(sum)
	})
	if err == nil && w.count == 0 {
		err = fmt.Errorf("%w: there is no password in it that was seen %d times", ErrList, max(b.MinCount, 1))
	}
	if err != nil {
		return Built{}, err
	}
	if err := w.end(max(b.MinCount, 1)); err != nil {
		return Built{}, err
	}
	b.Done(int64(w.count))
	return Built{Passwords: w.count, Skipped: skipped, Bytes: w.size}, file.Sync()
}

// writer writes a filter, shard by shard.
type writer struct {
	out   *bufio.Writer
	sum   hash.Hash
	size  uint64
	table [shards]entry
	count uint64

	fuse  xorfilter.BinaryFuseBuilder
	keys  []uint64
	shard int
	begun bool
	last  [20]byte // of the list
	raw   []byte
}

// order holds the list to the order of SHA-1, each hash once.
func (w *writer) order(sum [20]byte) error {
	if w.begun && bytes.Compare(w.last[:], sum[:]) >= 0 {
		return fmt.Errorf("%w: it is not in order of SHA-1; take the list ordered by hash, or sort it", ErrList)
	}
	w.begun, w.last = true, sum
	return nil
}

// add takes the passwords in order.
func (w *writer) add(sum [20]byte) error {
	if s := shardOf(sum); s != w.shard {
		if err := w.flush(); err != nil {
			return err
		}
		w.shard = s
	}
	if len(w.keys) == maxShard {
		return fmt.Errorf("%w: more than %d of them begin alike; these are no hashes", ErrList, maxShard)
	}
	w.keys = append(w.keys, keyOf(sum))
	w.count++
	return nil
}

// flush builds the filter of the shard and writes it.
func (w *writer) flush() error {
	if len(w.keys) == 0 {
		return nil
	}
	n := len(w.keys)
	f, err := xorfilter.BuildBinaryFuse[uint16](&w.fuse, w.keys)
	if err != nil {
		return fmt.Errorf("build shard %d: %w", w.shard, err)
	}
	w.table[w.shard] = entry{
		seed: f.Seed, offset: w.size, segmentLength: f.SegmentLength, segments: f.SegmentCount,
		prints: uint32(len(f.Fingerprints)), keys: uint32(n),
	}
	w.raw = w.raw[:0]
	for _, p := range f.Fingerprints {
		w.raw = binary.LittleEndian.AppendUint16(w.raw, p)
	}
	w.keys = w.keys[:0]
	return w.write(w.raw)
}

// end writes the last shard, the table and the checksum.
func (w *writer) end(minCount uint64) error {
	if err := w.flush(); err != nil {
		return err
	}
	var foot []byte
	for _, e := range w.table {
		foot = e.append(foot)
	}
	foot = binary.LittleEndian.AppendUint64(foot, w.count)
	foot = binary.LittleEndian.AppendUint64(foot, minCount)
	if err := w.write(foot); err != nil {
		return err
	}
	if err := w.write(w.sum.Sum(nil)); err != nil {
		return err
	}
	return w.out.Flush()
}

func (w *writer) write(b []byte) error {
	w.size += uint64(len(b))
	_, err := io.MultiWriter(w.out, w.sum).Write(b)
	return err
}
