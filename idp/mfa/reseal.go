package mfa

import (
	"context"
	"fmt"
)

// resealBatch is how many rows are read at once.
const resealBatch = 200

// sealed returns the purpose under which the secret of a kind is sealed.
func (k Kind) sealed() string {
	if k == Recovery {
		return "recovery"
	}
	return string(k)
}

// Reseal seals every secret again with the newest sealing key; it is called with
// keys.Ring.Reseal when the sealing ring was rotated. A row that changes
// meanwhile was sealed by the newest key already.
func (f *Factors) Reseal(ctx context.Context) error {
	var after Secret
	for {
		rows, err := f.has.Seals.Sealed(ctx, after, resealBatch)
		if err != nil {
			return fmt.Errorf("reseal factors: %w", err)
		}
		for _, row := range rows {
			if err := f.reseal(ctx, row); err != nil {
				return fmt.Errorf("reseal factor of %s: %w", row.UserID, err)
			}
			after = row
		}
		if len(rows) < resealBatch {
			return nil
		}
	}
}

func (f *Factors) reseal(ctx context.Context, row Secret) error {
	if f.has.Sealer.Newest(row.Sealed) {
		return nil
	}
	plain, err := f.has.Sealer.Open(row.Sealed, row.Kind.sealed(), "mfa_secret", "sealed", row.UserID)
	if err != nil {
		return err
	}
	sealed, err := f.has.Sealer.Seal(plain, row.Kind.sealed(), "mfa_secret", "sealed", row.UserID)
	if err != nil {
		return err
	}
	return f.has.Seals.Reseal(ctx, row, sealed)
}
