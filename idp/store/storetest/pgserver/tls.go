package pgserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
)

// access lets in by the socket as before, and by TCP with TLS and a password alone.
const access = `local all all trust
hostssl all all 127.0.0.1/32 scram-sha-256
`

// StartTLS is Start of a server that takes TCP connections as well, on a port of the
// loopback, with TLS under this certificate and with passwords.
func StartTLS(ctx context.Context, cert tls.Certificate) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return start(ctx, &Server{port: port, cert: &cert}, place(), unsafe)
}

// secure writes what the server needs for TLS, and returns the settings for it.
func (s *Server) secure() ([]string, error) {
	key, err := x509.MarshalPKCS8PrivateKey(s.cert.PrivateKey)
	if err != nil {
		return nil, err
	}
	settings := []string{"-c", "listen_addresses=127.0.0.1", "-c", "port=" + strconv.Itoa(s.port), "-c", "ssl=on"}
	for setting, text := range map[string][]byte{
		"ssl_cert_file": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Certificate[0]}),
		"ssl_key_file":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"hba_file":      []byte(access),
	} {
		path := filepath.Join(s.Dir, setting)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, err
		}
		if _, _, err := give(path); err != nil {
			return nil, err
		}
		settings = append(settings, "-c", setting+"="+path)
	}
	return settings, nil
}

// Address returns the address of a database on a server of StartTLS, over TCP and
// with TLS.
func (s *Server) Address(user, password, host, database string, parameters url.Values) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: net.JoinHostPort(host, strconv.Itoa(s.port)),
		Path: "/" + database, RawQuery: parameters.Encode(),
	}
	return u.String()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
