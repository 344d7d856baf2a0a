package keyring

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

var (
	// ErrNoKey means that the key file is not there and may not be made. For
	// the sealing key: a database without its key cannot be opened.
	ErrNoKey = errors.New("key file does not exist")
	// ErrUnsafe means that a file or directory of ours is not safe to use: a
	// symbolic link, no regular file, readable by others, or somebody else's.
	ErrUnsafe = errors.New("file is not safe to use")
	// ErrMalformed means that a key file is not in the format of this package.
	ErrMalformed = errors.New("malformed key file")
)

// maxFile bounds a key file: three keys of 1 KiB and room.
const maxFile = 16 << 10

// CheckPrivate returns ErrUnsafe unless path is a regular file, no symbolic link,
// owned by the effective user and closed to group and others. Opening what root
// owns as somebody else, or what somebody else owns as root, ends in files that
// one of the two cannot use.
func CheckPrivate(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	return checkInfo(path, info)
}

func checkInfo(path string, info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %s is not a regular file", ErrUnsafe, path)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%w: %s is open to others (mode %04o); run chmod 600 on it", ErrUnsafe, path, info.Mode().Perm())
	}
	return checkOwner(path, info)
}

// MakeDir makes the directory dir and its parents with mode 0700. One that exists
// must be a directory, and nobody else's to write in unless it is sticky.
func MakeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("%w: anybody may write in directory %s", ErrUnsafe, dir)
	}
	return nil
}

// read returns the text of a private file, and which file it was; fs.ErrNotExist
// if there is none.
func read(path string) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		return nil, nil, fmt.Errorf("open key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("open key file: %w", err)
	}
	if err := checkInfo(path, info); err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read key file: %w", err)
	}
	if len(text) > maxFile {
		return nil, nil, fmt.Errorf("%w: %s is too long", ErrMalformed, path)
	}
	return text, info, nil
}

// write puts text at path durably and in one step. With replace false an
// existing file is left alone and fs.ErrExist returned.
func write(path string, text []byte, replace bool) (err error) {
	dir := filepath.Dir(path)
	if err := MakeDir(dir); err != nil {
		return err
	}
	var suffix [8]byte
	rand.Read(suffix[:])
	temp := path + "." + hex.EncodeToString(suffix[:]) + ".new"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|noFollow, 0o600)
	if err != nil {
		return fmt.Errorf("make key file: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(temp)
		}
	}()
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	if err = place(temp, path, replace); err != nil {
		return fmt.Errorf("place key file: %w", err)
	}
	return syncDir(dir)
}

// place gives the finished file its name.
func place(temp, path string, replace bool) error {
	if replace {
		return os.Rename(temp, path)
	}
	// Link, unlike rename, does not replace what another process just made.
	err := os.Link(temp, path)
	if err == nil {
		return os.Remove(temp)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without hard links.
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	return os.Rename(temp, path)
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
