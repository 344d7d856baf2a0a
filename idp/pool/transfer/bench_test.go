package transfer_test

import (
	"testing"

	"gatehouse/idp/pool/transfer"
)

// BenchmarkImport tells how many rows a second go into SQLite.
func BenchmarkImport(b *testing.B) {
	const rows = 10000
	text := crowd(rows)
	for b.Loop() {
		b.StopTimer()
		w := newWorld(b)
		b.StartTimer()
		if out := w.try("jsonl", text, transfer.Options{Key: "k"}); out.err != nil || out.Added != rows {
			b.Fatalf("import = %+v", out)
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}
