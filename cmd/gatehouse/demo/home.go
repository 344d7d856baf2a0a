package demo

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Home is the directory of a demo, with what its screen tells.
type Home struct {
	// Dir is absolute.
	Dir string
	// Kept is true when the caller named the directory.
	Kept bool
	// Passwords are the users' passwords by username.
	Passwords map[string]string
	// GivenPassword is true when the caller chose the passwords.
	GivenPassword bool
	// JobSecret is the client secret of orders-job, new each time.
	JobSecret string
}

// minPassword is the least that a user pool takes.
const minPassword = 8

// minShared is how long a chosen password must be where others can try it.
const minShared = 12

// OpenHome makes or opens the directory dir, "" for a temporary one. given is
// the password of every user, "" for random ones; those of a kept directory
// stay the same. shared says that the demo can be reached from elsewhere.
func OpenHome(dir, given string, shared bool) (*Home, error) {
	h := &Home{Kept: dir != "", JobSecret: rand.Text() + rand.Text(), Passwords: map[string]string{}}
	if given != "" && shared && len(given) < minShared {
		return nil, fmt.Errorf("GATEHOUSE_DEMO_PASSWORD has fewer than %d characters, and this demo can be reached from other machines", minShared)
	}
	if given != "" && len(given) < minPassword {
		return nil, fmt.Errorf("GATEHOUSE_DEMO_PASSWORD has fewer than %d characters", minPassword)
	}
	if err := h.makeDir(dir); err != nil {
		return nil, err
	}
	for _, name := range usernames {
		h.Passwords[name] = given
		if given == "" {
			h.Passwords[name] = Password()
		}
	}
	if h.GivenPassword = given != ""; h.GivenPassword || !h.Kept {
		return h, nil
	}
	return h, h.remember()
}

func (h *Home) makeDir(dir string) error {
	if dir == "" {
		made, err := os.MkdirTemp("", "gatehouse-demo-")
		if err != nil {
			return fmt.Errorf("make temporary directory: %w", err)
		}
		h.Dir = made
		return nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find data directory: %w", err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w; choose a directory this user may write with --data", err)
	}
	h.Dir = abs
	return h.claim()
}

// ConfigPath is where the demo's configuration is written.
func (h *Home) ConfigPath() string { return filepath.Join(h.Dir, "gatehouse.yaml") }

// claim refuses a directory with somebody's own configuration: it would be
// overwritten.
func (h *Home) claim() error {
	text, err := os.ReadFile(h.ConfigPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into data directory: %w", err)
	}
	mark, _, _ := strings.Cut(configText, "\n")
	if !strings.HasPrefix(string(text), mark) {
		return fmt.Errorf("%s was not made by `gatehouse demo`, which would overwrite it; choose another directory with --data", h.ConfigPath())
	}
	return nil
}

// remember keeps random passwords beside the data they belong to, so that the
// next start prints the ones that work.
func (h *Home) remember() error {
	path := filepath.Join(h.Dir, "demo-passwords.json")
	text, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(text, &h.Passwords); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read demo passwords: %w", err)
	}
	if text, err = json.Marshal(h.Passwords); err != nil {
		return fmt.Errorf("write demo passwords: %w", err)
	}
	return WritePrivate(path, text)
}

// Close removes a temporary directory.
func (h *Home) Close() error {
	if h.Kept {
		return nil
	}
	return os.RemoveAll(h.Dir)
}

// WritePrivate replaces the file at path, mode 0600, in one step.
func WritePrivate(path string, text []byte) error {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(temp, path)
}

// Users are the people of the demo, for the screen.
func (h *Home) Users() []User {
	groups := map[string][]string{"alice": {"admins"}, "bob": {"staff"}}
	var all []User
	for _, name := range usernames {
		all = append(all, User{Username: name, Email: name + "@example.com", Password: h.Passwords[name], Groups: groups[name]})
	}
	return all
}

// Routes are the demo's routes, for the screen.
func Routes() []Route {
	return []Route{
		{Who: "anyone", What: []string{"/healthz", "/public/**"}},
		{Who: "group admins", What: []string{"/admin/**"}},
		{Who: "scope orders.read", What: []string{"GET /api/orders/**"}},
		{Who: "signed in", What: []string{"everything else"}},
	}
}
