package app

import (
	"gatehouse/idp/pool"
	"gatehouse/idp/pool/transfer"
)

// Transfer returns what brings people into the pool by the thousand.
func (s *Store) Transfer() transfer.Parts {
	return transfer.Parts{Pool: s.Pool, Factors: s.Factors, Rows: s.db.Bulk(), Marks: s.db.Marks(), Journal: s.db}
}

// Exporter returns what writes the people of the pool down.
func (s *Store) Exporter() transfer.Exporter {
	return transfer.Exporter{Pool: s.Pool, Factors: s.Factors, Rows: s.db.Bulk(), Journal: s.db}
}

// Schema returns which attributes people have, by the configuration alone;
// ErrNoProvider.
func Schema(plan *Plan) (pool.Schema, error) {
	if plan.Config.IDP == nil {
		return pool.Schema{}, ErrNoProvider
	}
	return pool.NewSchema(plan.Config.IDP.Pool), nil
}
