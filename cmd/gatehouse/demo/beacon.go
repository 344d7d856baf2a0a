package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// beaconDir is where demos of this user leave their files: the user's cache
// directory, or where the sockets are for a user without a home, as in a
// container.
func beaconDir() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return socketDir()
	}
	return filepath.Join(cache, "gatehouse")
}

// socketDir is where the sockets of this user's demos are. It is in the
// directory for temporary files because paths of sockets are short.
func socketDir() string {
	return filepath.Join(os.TempDir(), "gatehouse-"+strconv.Itoa(os.Geteuid()))
}

// writeBeacon leaves the file of a demo and returns its path.
func writeBeacon(b beacon, port string) (string, error) {
	dir := beaconDir()
	if err := privateDir(dir); err != nil {
		// A home that cannot be written to, as in a container, is no home.
		if dir = socketDir(); privateDir(dir) != nil {
			return "", err
		}
	}
	path := filepath.Join(dir, "demo-"+port+".json")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("remove stale file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return "", fmt.Errorf("announce demo: %w", err)
	}
	if err := errors.Join(json.NewEncoder(f).Encode(b), f.Close()); err != nil {
		return "", fmt.Errorf("announce demo: %w", err)
	}
	return path, nil
}

// beacons returns the announced demos, newest first. A file that is not
// privately ours is not believed.
func beacons() ([]beacon, error) {
	var paths []string
	for _, dir := range []string{beaconDir(), socketDir()} {
		found, err := filepath.Glob(filepath.Join(dir, "demo-*.json"))
		if err != nil {
			return nil, fmt.Errorf("list demos: %w", err)
		}
		paths = append(paths, found...)
	}
	var all []beacon
	for _, path := range paths {
		if b, err := readBeacon(path); err == nil {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b beacon) int { return b.Started.Compare(a.Started) })
	return all, nil
}

func readBeacon(path string) (beacon, error) {
	var b beacon
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return b, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return b, err
	}
	if !ours(info) || info.Mode().Perm() != 0o600 || !info.Mode().IsRegular() {
		return b, fmt.Errorf("%s is not a private file of this user", path)
	}
	return b, json.NewDecoder(io.LimitReader(f, 64<<10)).Decode(&b)
}

// privateDir makes dir with mode 0700, or insists that it is ours alone.
func privateDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make directory: %w", err)
	}
	return ownedPrivately(dir)
}

// ownedPrivately fails unless dir is a directory, no symbolic link, that
// belongs to this user and that nobody else may enter.
func ownedPrivately(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	if !info.IsDir() || !ours(info) || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is not a directory that only this user may enter; remove it or set its mode to 0700", dir)
	}
	return nil
}

func ours(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
