package store

import (
	"context"
	"time"

	"gatehouse/idp/mfa"
)

const (
	deviceColumns = `id, user_id, hash, name, failures, created, used, expires`

	qDeviceAdd = `INSERT INTO mfa_device (id, user_id, hash, name, failures, created, used, expires)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	qDeviceTrim = `DELETE FROM mfa_device WHERE user_id = $1 AND id NOT IN
		(SELECT id FROM mfa_device WHERE user_id = $1 ORDER BY used DESC, created DESC, id LIMIT $2)`
	qDeviceRotate = `UPDATE mfa_device SET hash = $1, used = $2, failures = 0
		WHERE user_id = $3 AND hash = $4 AND expires > $2 RETURNING ` + deviceColumns
	qDeviceTry = `UPDATE mfa_device SET failures = failures + 1
		WHERE user_id = $1 AND hash = $2 AND expires > $3 RETURNING ` + deviceColumns
	qDeviceList   = `SELECT ` + deviceColumns + ` FROM mfa_device WHERE user_id = $1 ORDER BY used DESC, id`
	qDeviceDrop   = `DELETE FROM mfa_device WHERE id = $1 AND user_id = $2`
	qDevicesOfOne = `DELETE FROM mfa_device WHERE user_id = $1`
)

type devices struct{ db *DB }

// MFADevices returns the devices that need no second factor.
func (db *DB) MFADevices() mfa.Devices { return devices{db} }

func (s devices) Insert(ctx context.Context, d mfa.Device, limit int) error {
	return s.db.InTx(ctx, func(ctx context.Context) error {
		_, err := s.db.exec(ctx, qDeviceAdd, d.ID, d.UserID, d.Hash, d.Name, d.Failures, millis(d.Created), millis(d.Used), millis(d.Expires))
		if err != nil {
			return mfaError("store device", err)
		}
		_, err = s.db.exec(ctx, qDeviceTrim, d.UserID, limit)
		return mfaError("forget old devices", err)
	})
}

func (s devices) Rotate(ctx context.Context, r mfa.Rotation) (mfa.Device, error) {
	d, err := scanDevice(s.db.returning(ctx, qDeviceRotate, r.New, millis(r.Now), r.UserID, r.Old))
	return d, mfaError("rotate device", err)
}

func (s devices) Try(ctx context.Context, userID, hash string, now time.Time) (mfa.Device, error) {
	d, err := scanDevice(s.db.returning(ctx, qDeviceTry, userID, hash, millis(now)))
	return d, mfaError("count try of device", err)
}

func (s devices) List(ctx context.Context, userID string) ([]mfa.Device, error) {
	all, err := collect(ctx, s.db.reader(ctx), scanDevice, qDeviceList, userID)
	return all, mfaError("list devices", err)
}

func (s devices) Delete(ctx context.Context, userID, id string) (bool, error) {
	n, err := s.db.exec(ctx, qDeviceDrop, id, userID)
	return n > 0, mfaError("forget device", err)
}

func scanDevice(row scanner) (mfa.Device, error) {
	var d mfa.Device
	var created, used, expires int64
	err := row.Scan(&d.ID, &d.UserID, &d.Hash, &d.Name, &d.Failures, &created, &used, &expires)
	d.Created, d.Used, d.Expires = at(created), at(used), at(expires)
	return d, err
}
