package store_test

import (
	"strings"
	"testing"

	"gatehouse/idp/store"
	"gatehouse/internal/conf"
)

func TestConfigSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"{}": "",
		"{ connections: 2, postgres: postgres://u:p@127.0.0.1/db }": "",
		"connections: 2":                          "connections is for PostgreSQL",
		"insecure_sslmode: true":                  "insecure_sslmode is for PostgreSQL",
		"postgres: postgres://u:p@127.0.0.1/db":   "",
		"connections: 1":                          "idp.store.connections is 1, want 2 to 1000",
		`postgres: ""`:                            "idp.store.postgres is empty",
		"postgres: hunter2":                       "idp.store.postgres: it is no URL such as",
		"postgres: postgres://u:hunter2@db.x/db":  "the server db.x need not prove who it is: set sslmode=verify-full",
		"postgres: postgres://u:hunter2@[::1/db":  "idp.store.postgres: it is no URL such as",
		"postgres: postgres://hunter2@db.x:x/db":  "idp.store.postgres: it is no URL such as",
		"postgres: postgres://u@/db?host=/x&a=b":  "idp.store.postgres: ",
		"postgres: postgres://u@127.0.0.1/db?x=1": "idp.store.postgres: ",
	} {
		var c struct {
			Store store.Config `yaml:"store"`
		}
		_, err := conf.Parse("gatehouse.yaml", []byte("store:\n  "+text+"\n"), &c)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: the password is told:\n%v", text, err)
		}
	}
}
