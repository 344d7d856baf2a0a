package store_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
	"gatehouse/idp/store/storetest/pgserver"
	"gatehouse/internal/conf"
)

// A server elsewhere is trusted by its certificate and nothing else, and is shown
// the password inside of TLS alone.
func TestPostgresOverTLS(t *testing.T) {
	cert, root := certificate(t)
	_, other := certificate(t)
	server, err := pgserver.StartTLS(t.Context(), cert)
	if errors.Is(err, pgserver.ErrMissing) && os.Getenv("GATEHOUSE_E2E") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	const secret = "a-secret-of-the-database"
	for _, statement := range []string{"CREATE ROLE keeper LOGIN PASSWORD '" + secret + "'", "CREATE DATABASE pool OWNER keeper"} {
		if err := storetest.Admin(t.Context(), server.URL("postgres"), statement); err != nil {
			t.Fatal(err)
		}
	}
	open := func(password, host, ssl, ca string) (*store.DB, error) {
		c := store.Config{
			Postgres:        conf.Secret(server.Address("keeper", password, host, "pool", url.Values{"sslmode": {ssl}, "sslrootcert": {ca}})),
			InsecureSSLMode: true,
		}
		c.Defaults()
		return store.OpenPostgres(t.Context(), c, store.Options{Create: true, Migrate: true, Sealer: storetest.Sealer(t)})
	}
	db, err := open(secret, "127.0.0.1", "verify-full", root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	super, err := sql.Open("pgx", server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = super.Close() })
	var secured, plain int
	if err := super.QueryRowContext(t.Context(), `SELECT count(*) FILTER (WHERE s.ssl), count(*) FILTER (WHERE NOT s.ssl)
		FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'keeper'`).Scan(&secured, &plain); err != nil {
		t.Fatal(err)
	}
	if secured == 0 || plain != 0 {
		t.Errorf("%d connections with TLS and %d without, want some and none", secured, plain)
	}
	for what, c := range map[string]struct{ password, host, ssl, ca, want string }{
		"another authority": {secret, "127.0.0.1", "verify-full", other, "certificate"},
		"another name":      {secret, "localhost", "verify-full", root, "certificate"},
		"without TLS":       {secret, "127.0.0.1", "disable", root, "no pg_hba.conf entry"},
		"another password":  {"another-password", "127.0.0.1", "verify-full", root, "password authentication failed"},
	} {
		other, err := open(c.password, c.host, c.ssl, c.ca)
		if err == nil {
			_ = other.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), c.password) {
			t.Errorf("%s: %v, want an error of its %s that does not tell the password", what, err, c.want)
		}
	}
}

// certificate makes a certificate for 127.0.0.1, and not for localhost, that signs
// itself, and returns it and the file of it that a client trusts.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "database"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}
