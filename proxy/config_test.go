package proxy

import (
	"strings"
	"testing"

	"gatehouse/internal/conf"
)

func TestASizeWithoutItsUnitIsNotTakenForOne(t *testing.T) {
	for text, want := range map[string]string{
		"0": "", "1MiB": "", "320MiB": "", "64": "such as 64MiB", "1023KiB": "1MiB at least", "-1": "want a size",
	} {
		var file struct {
			Principals Principals `yaml:"principals"`
		}
		_, err := conf.Parse("gatehouse.yaml", []byte("principals: { max: "+text+" }\n"), &file)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("max: %s gives %v, want %q", text, err, want)
		}
	}
}
