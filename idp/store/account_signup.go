package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gatehouse/idp/account"
)

const (
	signUpColumns = `id, username, email, phone, name, attributes, password_hash, browser_hash, code_hash, link_hash, tries,
		restart, created, expires`

	qSignUpAdd = `INSERT INTO account_signup (` + signUpColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $12, $13)
		ON CONFLICT (id) DO UPDATE SET username = excluded.username, email = excluded.email, phone = excluded.phone,
			name = excluded.name, attributes = excluded.attributes, password_hash = excluded.password_hash,
			browser_hash = excluded.browser_hash, code_hash = excluded.code_hash, link_hash = excluded.link_hash, tries = 0,
			restart = excluded.restart, created = excluded.created, expires = excluded.expires
		WHERE account_signup.expires <= excluded.created`
	qSignUpGet  = `SELECT ` + signUpColumns + ` FROM account_signup WHERE id = $1`
	qSignUpLink = `SELECT ` + signUpColumns + ` FROM account_signup WHERE link_hash = $1`
	qSignUpSet  = `UPDATE account_signup SET code_hash = $1, link_hash = $2 WHERE id = $3`
	qSignUpTry  = `UPDATE account_signup SET tries = tries + 1 WHERE id = $1 RETURNING tries`
	qSignUpTake = `DELETE FROM account_signup WHERE id = $1`
	qSignUpList = `SELECT ` + signUpColumns + ` FROM account_signup
		WHERE link_hash <> '' AND expires > $1 AND id > $2 ORDER BY id LIMIT $3`
)

type signUps struct{ db *DB }

// SignUps returns the sign-ups that nobody has confirmed.
func (db *DB) SignUps() account.SignUps { return signUps{db} }

// Unconfirmed lists the same.
func (db *DB) Unconfirmed() account.Unconfirmed { return signUps{db} }

func (s signUps) Insert(ctx context.Context, v account.SignUp) (bool, error) {
	n, err := s.db.exec(ctx, qSignUpAdd, v.ID, v.Username, v.Email, v.Phone, v.Name, object(v.Attributes), v.PasswordHash,
		base(v.BrowserHash), base(v.CodeHash), base(v.LinkHash), v.Restart, millis(v.Created), millis(v.Expires))
	if err != nil {
		return false, fmt.Errorf("insert sign-up: %w", err)
	}
	return n == 1, nil
}

func (s signUps) Find(ctx context.Context, id string) (account.SignUp, error) {
	return foundSignUp(scanSignUp(s.db.one(ctx, qSignUpGet, id)))
}

func (s signUps) FindLink(ctx context.Context, linkHash []byte) (account.SignUp, error) {
	if len(linkHash) == 0 {
		// Sign-ups without a link have the empty hash.
		return account.SignUp{}, account.ErrLink
	}
	return foundSignUp(scanSignUp(s.db.one(ctx, qSignUpLink, base(linkHash))))
}

func (s signUps) Resent(ctx context.Context, v account.SignUp) error {
	n, err := s.db.exec(ctx, qSignUpSet, base(v.CodeHash), base(v.LinkHash), v.ID)
	if err != nil {
		return fmt.Errorf("update sign-up: %w", err)
	}
	if n == 0 {
		return account.ErrLink
	}
	return nil
}

func (s signUps) CountTry(ctx context.Context, id string) (int, error) {
	var n int
	err := s.db.returning(ctx, qSignUpTry, id).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, account.ErrLink
	}
	if err != nil {
		return 0, fmt.Errorf("count try: %w", err)
	}
	return n, nil
}

func (s signUps) Take(ctx context.Context, id string) (bool, error) {
	n, err := s.db.exec(ctx, qSignUpTake, id)
	if err != nil {
		return false, fmt.Errorf("take sign-up: %w", err)
	}
	return n == 1, nil
}

func (s signUps) List(ctx context.Context, now time.Time, after string, limit int) ([]account.SignUp, error) {
	all, err := collect(ctx, s.db.reader(ctx), scanSignUp, qSignUpList, millis(now), after, limit)
	if err != nil {
		return nil, fmt.Errorf("list sign-ups: %w", err)
	}
	return all, nil
}

func foundSignUp(v account.SignUp, err error) (account.SignUp, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return account.SignUp{}, account.ErrLink
	}
	if err != nil {
		return account.SignUp{}, fmt.Errorf("read sign-up: %w", err)
	}
	return v, nil
}

func scanSignUp(row scanner) (account.SignUp, error) {
	var v account.SignUp
	var attributes, browser, code, link string
	var created, expires int64
	err := row.Scan(&v.ID, &v.Username, &v.Email, &v.Phone, &v.Name, &attributes, &v.PasswordHash, &browser, &code, &link,
		&v.Tries, &v.Restart, &created, &expires)
	if err != nil {
		return v, err
	}
	v.BrowserHash, v.CodeHash, v.LinkHash, v.Created, v.Expires = unbase(browser), unbase(code), unbase(link), at(created), at(expires)
	v.Attributes, err = members(attributes)
	return v, err
}
