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

// What tls does, h2c would do without it: one of them is not meant.
func TestHTTP2WithoutTLSStandsNotBesideTLS(t *testing.T) {
	const rest = "public_url: https://app.example.com\nupstreams: { app: http://127.0.0.1:3000 }\nroutes: [{ name: all, allow: signed-in }]\n" +
		"tls: { cert: cert.pem, key: key.pem }\n"
	for text, want := range map[string]string{
		"listen: { addr: 8443, h2c: true }\n": "h2c is HTTP/2 without TLS", "listen: { addr: 8443, h2c: false }\n": "", "listen: 8443\n": "",
	} {
		_, err := conf.Parse("gatehouse.yaml", []byte(text+rest), new(Config))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s gives %v, want %q", text, err, want)
		}
	}
}
