package store

import (
	"context"

	"gatehouse/idp/keys"
)

const (
	qKeyAdd    = `INSERT INTO token_key (id, alg, sealed, created, signs) VALUES ($1, $2, $3, $4, $5)`
	qKeyList   = `SELECT id, alg, sealed, created, signs FROM token_key ORDER BY signs, created, id`
	qKeyReseal = `UPDATE token_key SET sealed = $1 WHERE id = $2`
	qKeyDrop   = `DELETE FROM token_key WHERE id = $1`
)

type tokenKeys struct{ db *DB }

// Keys returns the token-signing keys, sealed.
func (db *DB) Keys() keys.Rows { return tokenKeys{db} }

func (s tokenKeys) Insert(ctx context.Context, r keys.Row) error {
	_, err := s.db.exec(ctx, qKeyAdd, r.ID, r.Alg, base(r.Sealed), millis(r.Created), millis(r.Signs))
	return err
}

func (s tokenKeys) List(ctx context.Context) ([]keys.Row, error) {
	return collect(ctx, s.db.reader(ctx), func(row scanner) (keys.Row, error) {
		var r keys.Row
		var sealed string
		var created, signs int64
		err := row.Scan(&r.ID, &r.Alg, &sealed, &created, &signs)
		r.Sealed, r.Created, r.Signs = unbase(sealed), at(created), at(signs)
		return r, err
	}, qKeyList)
}

func (s tokenKeys) Reseal(ctx context.Context, id string, sealed []byte) error {
	_, err := s.db.exec(ctx, qKeyReseal, base(sealed), id)
	return err
}

func (s tokenKeys) Delete(ctx context.Context, id string) error {
	_, err := s.db.exec(ctx, qKeyDrop, id)
	return err
}
