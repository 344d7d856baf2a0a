package breach

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
)

// ErrFilter means that a file is no filter, of another version, or damaged.
var ErrFilter = errors.New("not a usable breach filter")

// The form of a filter file, numbers in little endian: magic, version and number
// of shards (16 bytes); the fingerprints of each shard, 2 bytes each; the table,
// one entry a shard; how many passwords and from which count on (8 bytes each);
// SHA-256 of all before it. A shard is a binary fuse filter over the passwords
// whose SHA-1 begins with its number, in 10 bits.
const (
	magic      = "GHBREACH"
	version    = 1
	shardBits  = 10
	shards     = 1 << shardBits
	headBytes  = 16
	entryBytes = 32
	footBytes  = shards*entryBytes + 16 + sha256.Size
)

// entry is one shard in the table.
type entry struct {
	seed          uint64
	offset        uint64 // of the first fingerprint, from the start of the file
	segmentLength uint32 // a power of two
	segments      uint32
	prints        uint32 // 0 for a shard without passwords
	keys          uint32
}

// Filter is an open filter file. It keeps 40 KiB in memory; a look-up reads three
// times two bytes of the file, which the system keeps in its page cache as long
// as there is room. It is safe for concurrent use.
type Filter struct {
	file     *os.File
	table    [shards]entry
	count    uint64
	minCount uint64
}

// OpenFilter opens the filter at path and verifies all of it, which takes some
// seconds for the full list. It returns ErrFilter or the error of the file.
func OpenFilter(path string) (*Filter, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open breach filter: %w", err)
	}
	f := &Filter{file: file}
	if err := f.load(); err != nil {
		file.Close()
		return nil, fmt.Errorf("open breach filter %s: %w", path, err)
	}
	return f, nil
}

// Close closes the file.
func (f *Filter) Close() error { return f.file.Close() }

// Count is how many passwords the filter was built of.
func (f *Filter) Count() uint64 { return f.count }

// MinCount is how often each of them had been seen at least.
func (f *Filter) MinCount() uint64 { return f.minCount }

// load verifies the checksum, then the table.
func (f *Filter) load() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if !info.Mode().IsRegular() || size < headBytes+footBytes {
		return fmt.Errorf("%w: not a file of filters", ErrFilter)
	}
	var head [headBytes]byte
	if _, err := f.file.ReadAt(head[:], 0); err != nil {
		return err
	}
	if !bytes.Equal(head[:], header()) {
		return fmt.Errorf("%w: it does not begin like one of version %d", ErrFilter, version)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f.file, 0, size-sha256.Size)); err != nil {
		return err
	}
	foot := make([]byte, footBytes)
	if _, err := f.file.ReadAt(foot, size-footBytes); err != nil {
		return err
	}
	table, rest := foot[:shards*entryBytes], foot[shards*entryBytes:]
	if !bytes.Equal(sum.Sum(nil), rest[16:]) {
		return fmt.Errorf("%w: its checksum is wrong; build it again", ErrFilter)
	}
	f.count, f.minCount = binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:])
	for i := range f.table {
		f.table[i] = readEntry(table[i*entryBytes:])
		if !f.table[i].fits(uint64(size - footBytes)) {
			return fmt.Errorf("%w: shard %d lies outside of the file", ErrFilter, i)
		}
	}
	return nil
}

func header() []byte {
	h := binary.LittleEndian.AppendUint32([]byte(magic), version)
	return binary.LittleEndian.AppendUint32(h, shards)
}

func readEntry(b []byte) entry {
	le := binary.LittleEndian
	return entry{
		seed: le.Uint64(b), offset: le.Uint64(b[8:]), segmentLength: le.Uint32(b[16:]),
		segments: le.Uint32(b[20:]), prints: le.Uint32(b[24:]), keys: le.Uint32(b[28:]),
	}
}

func (e entry) append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(le.AppendUint64(b, e.seed), e.offset)
	b = le.AppendUint32(le.AppendUint32(b, e.segmentLength), e.segments)
	return le.AppendUint32(le.AppendUint32(b, e.prints), e.keys)
}

// fits tells whether every look-up in e reads within the first end bytes.
func (e entry) fits(end uint64) bool {
	if e.prints == 0 {
		return true
	}
	return bits.OnesCount32(e.segmentLength) == 1 &&
		(uint64(e.segments)+2)*uint64(e.segmentLength) <= uint64(e.prints) &&
		e.offset >= headBytes && e.offset <= end && 2*uint64(e.prints) <= end-e.offset
}

// Contains tells whether the password with that SHA-1 is in the filter. One of
// 65,536 that are not is taken for one that is. An error is that of the file.
func (f *Filter) Contains(sum [20]byte) (bool, error) {
	e := f.table[shardOf(sum)]
	if e.prints == 0 {
		return false, nil
	}
	// The arithmetic of xorfilter's BinaryFuse, over a file instead of a slice.
	hash := mix(keyOf(sum) + e.seed)
	first, _ := bits.Mul64(hash, uint64(e.segments)*uint64(e.segmentLength))
	mask := uint64(e.segmentLength) - 1
	second := first + uint64(e.segmentLength)
	third := second + uint64(e.segmentLength)
	left := uint16(hash ^ hash>>32)
	for _, at := range []uint64{first, second ^ hash>>18&mask, third ^ hash&mask} {
		var b [2]byte
		if _, err := f.file.ReadAt(b[:], int64(e.offset+2*at)); err != nil {
			return false, fmt.Errorf("read breach filter: %w", err)
		}
		left ^= binary.LittleEndian.Uint16(b[:])
	}
	return left == 0, nil
}

// shardOf returns the first bits of sum.
func shardOf(sum [20]byte) int { return int(binary.BigEndian.Uint16(sum[:]) >> (16 - shardBits)) }

// keyOf returns 64 bits of sum that the shard says nothing about.
func keyOf(sum [20]byte) uint64 { return binary.BigEndian.Uint64(sum[8:]) }

// mix is the finalizer of MurmurHash3.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
