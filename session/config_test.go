package session

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/conf"
)

func TestConfig(t *testing.T) {
	read := func(text string) (Config, error) {
		var c struct {
			Session Config `yaml:"session"`
		}
		_, err := conf.Parse("gatehouse.yaml", []byte(text), &c)
		return c.Session, err
	}
	if c, err := read("{}"); err != nil || c.Idle != time.Hour || c.Lifetime != 12*time.Hour {
		t.Errorf("defaults %+v, %v", c, err)
	}
	if c, err := read("session: {idle: 30m, lifetime: 7d}"); err != nil || c.Lifetime != 7*24*time.Hour {
		t.Errorf("%+v, %v", c, err)
	}
	for text, want := range map[string]string{
		"session: {idle: 30s}":                 "at least 2m0s",
		"session: {idle: 2h, lifetime: 1h}":    "shorter than",
		"session: {lifetime: 31d}":             "at most 30d",
		"session: {lifetime: -1h, idle: -10h}": "want a duration",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
