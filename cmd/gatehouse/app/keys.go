package app

import (
	"errors"
	"fmt"
	"path/filepath"

	"gatehouse/internal/jose"
	"gatehouse/internal/keyring"
	"gatehouse/session"
)

// SealingEnv names the environment variable that takes the place of the file
// with the sealing key.
const SealingEnv = "GATEHOUSE_SEALING_KEY"

// openSealer opens the sealing key, and makes it when fresh says that nothing
// sealed exists yet.
func (c *Config) openSealer(fresh bool, env string) (*keyring.Sealer, error) {
	// What only looks makes no directory: one that belongs to the user of the
	// command line would lock the server out.
	if fresh {
		if err := c.makeSecretsDir(); err != nil {
			return nil, err
		}
	}
	sealer, err := keyring.OpenSealing(filepath.Join(c.SecretsDir, "sealing.key"), fresh, env)
	if errors.Is(err, keyring.ErrNoKey) {
		return nil, fmt.Errorf("%w, and no other key opens %s: restore the key from your backup, or move that database away to begin anew", err, c.IDP.Store.Name(c.DataDir))
	}
	return sealer, err
}

// makeDataDir and makeSecretsDir make the two directories, or say which key of
// the configuration chooses another one.
func (c *Config) makeDataDir() error {
	if err := keyring.MakeDir(c.DataDir); err != nil {
		return fmt.Errorf("data_dir: %w; choose a directory this user may write", err)
	}
	return nil
}

func (c *Config) makeSecretsDir() error {
	if err := keyring.MakeDir(c.SecretsDir); err != nil {
		return fmt.Errorf("secrets_dir: %w; choose a directory this user may write", err)
	}
	return nil
}

// openRing opens the keys of cookies or of assertions, and makes the first.
func (c *Config) openRing(purpose keyring.Purpose) (*keyring.Ring, error) {
	if err := c.makeSecretsDir(); err != nil {
		return nil, err
	}
	return keyring.OpenRing(filepath.Join(c.SecretsDir, string(purpose)+".key"), purpose, true)
}

// ReadRing opens a ring of keys as it is, for the command line.
func (c *Config) ReadRing(purpose keyring.Purpose) (*keyring.Ring, error) {
	return keyring.OpenRing(filepath.Join(c.SecretsDir, string(purpose)+".key"), purpose, false)
}

// cookieKeys splits the keys of a ring as securecookie wants them.
func cookieKeys(ring *keyring.Ring) []session.CookieKey {
	var keys []session.CookieKey
	for _, k := range ring.Keys() {
		keys = append(keys, session.CookieKey{Hash: k.Secret[:64], Block: k.Secret[64:]})
	}
	return keys
}

// assertionKeys reads the keys of signed identity headers.
func assertionKeys(ring *keyring.Ring) ([]*jose.Key, error) {
	var keys []*jose.Key
	for _, k := range ring.Keys() {
		key, err := jose.ParsePKCS8(k.ID, jose.ES256, k.Secret)
		if err != nil {
			return nil, fmt.Errorf("read assertion key %s: %w", k.ID, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
