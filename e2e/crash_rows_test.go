package e2e

import (
	"context"
	"database/sql"
	"net/url"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// rows looks at the database itself, beside the running gatehouse.
type rows struct {
	db     *sql.DB
	sqlite bool
}

// openRows opens the database at the URL postgres, or, if that is "", the SQLite
// file.
func openRows(t *testing.T, postgres, file string) *rows {
	t.Helper()
	r := &rows{sqlite: postgres == ""}
	if !r.sqlite {
		r.db = openPostgres(t, postgres)
	} else {
		var err error
		dsn := url.URL{Scheme: "file", Path: file, RawQuery: "_pragma=busy_timeout(5000)&_txlock=immediate"}
		if r.db, err = sql.Open("sqlite", dsn.String()); err != nil {
			t.Fatal(err)
		}
	}
	r.db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := r.db.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return r
}

func openPostgres(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// never is what no row may be, whenever one looks; each query counts such rows.
var never = []struct{ what, query string }{
	{"users without their username", `SELECT COUNT(*) FROM pool_user u WHERE NOT EXISTS
		(SELECT 1 FROM pool_name n WHERE n.name_key = u.username_key AND n.user_id = u.id)`},
	{"users with a verified address that is not their name", `SELECT COUNT(*) FROM pool_user u WHERE u.email_verified = 1
		AND (SELECT COUNT(*) FROM pool_name n WHERE n.user_id = u.id) <> 2`},
	{"names of nobody", `SELECT COUNT(*) FROM pool_name n WHERE NOT EXISTS (SELECT 1 FROM pool_user u WHERE u.id = n.user_id)`},
	{"users without the event of their making", `SELECT COUNT(*) FROM pool_user u WHERE NOT EXISTS
		(SELECT 1 FROM event e WHERE e.type = 'user.created' AND e.target = u.id)`},
	{"users who signed up, without the event of that", `SELECT COUNT(*) FROM pool_user u WHERE u.username LIKE 'p%-%' AND NOT EXISTS
		(SELECT 1 FROM event e WHERE e.type = 'user.signed_up' AND e.target = u.id)`},
	{"events of sign-ups without a user", `SELECT COUNT(*) FROM event e WHERE e.type = 'user.signed_up' AND NOT EXISTS
		(SELECT 1 FROM pool_user u WHERE u.id = e.target)`},
	{"sign-ups of users", `SELECT COUNT(*) FROM account_signup s JOIN pool_user u ON u.email = s.email`},
	{"links of accounts that have none", `SELECT COUNT(*) FROM account_code c WHERE c.owner NOT LIKE '-%' AND NOT EXISTS
		(SELECT 1 FROM pool_user u WHERE u.id = c.owner)`},
	{"links to accounts whose password is younger", `SELECT COUNT(*) FROM account_code c JOIN pool_user u ON u.id = c.owner
		WHERE c.purpose = 'reset' AND u.password_set > c.created`},
	{"codes that are both new and used", `SELECT COUNT(*) FROM grant_code c JOIN grant_code_used u ON u.hash = c.hash`},
	{"tokens whose successor is not there", `SELECT COUNT(*) FROM grant_token t WHERE t.rotated <> 0 AND NOT EXISTS
		(SELECT 1 FROM grant_token s WHERE s.hash = t.successor AND s.family = t.family)`},
	{"families without exactly one newest token", `SELECT COUNT(*) FROM grant_family f WHERE
		(SELECT COUNT(*) FROM grant_token t WHERE t.family = f.id AND t.rotated = 0) <> 1`},
	{"families whose code was not used", `SELECT COUNT(*) FROM grant_family f JOIN grant_code c ON c.family = f.id`},
	{"events that are missing", `SELECT (SELECT n FROM counter WHERE name = 'event') - COUNT(*) FROM event`},
}

// check looks for rows that only half a transaction could have left.
func (r *rows) check(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, q := range never {
		var n int
		if err := r.db.QueryRowContext(ctx, q.query).Scan(&n); err != nil {
			t.Errorf("%s: %v", q.what, err)
		} else if n != 0 {
			t.Errorf("there are %d %s", n, q.what)
		}
	}
	if !r.sqlite {
		return
	}
	var verdict string
	if err := r.db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("the database is not whole: %s %v", verdict, err)
	}
}

// endClaims makes due what the dead process had begun to send. It would be after
// two minutes, which nobody waits for here.
func (r *rows) endClaims(t *testing.T) {
	t.Helper()
	if _, err := r.db.ExecContext(t.Context(), "UPDATE outbox SET due = $1 WHERE due > $1", time.Now().UnixMilli()); err != nil {
		t.Errorf("end claims: %v", err)
	}
}
