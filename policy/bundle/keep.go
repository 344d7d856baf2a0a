package bundle

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// keptAt is the file that holds the last good bundle of name in dir.
func keptAt(dir, name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(dir, "bundle-"+hex.EncodeToString(sum[:8])+".tar.gz")
}

// keep writes raw to file in one step: whoever reads finds the old one or the
// new one.
func keep(file string, raw []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	var suffix [8]byte
	_, _ = rand.Read(suffix[:]) // never fails
	temp := file + "." + hex.EncodeToString(suffix[:]) + ".new"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp)
		}
	}()
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(temp, file)
}

// open returns the content of a regular file, at most maxPacked bytes and one
// more, by which the caller sees that there was too much. Without waiting:
// a pipe would keep it for ever.
func open(file string, flags int) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK|flags, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", file)
	}
	return io.ReadAll(io.LimitReader(f, maxPacked+1))
}
